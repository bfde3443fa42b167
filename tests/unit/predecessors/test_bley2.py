"""Every row of bley 2's table becomes a record or a reason; the times in it are local."""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bley.core.greylist import Record, Status
from bley.core.imported_record import ImportedRecord
from bley.predecessors.bley2 import file_has_bley2, has_bley2, read_bley2
from bley.predecessors.errors import PredecessorError
from bley.predecessors.values import UNREADABLE

TABLE = """
CREATE TABLE bley_status (
    ip VARCHAR(39), status SMALLINT, last_action TIMESTAMP,
    sender VARCHAR(254), recipient VARCHAR(254), fail_count INT DEFAULT 0
)
"""
ROW = {
    "ip": "192.0.2.7",
    "status": 2,
    "last_action": "2026-06-01 08:00:00",
    "sender": "jane@example.com",
    "recipient": "john@example.org",
    "fail_count": 0,
}
NETWORK = ip_network("192.0.2.7/32")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine is four hours behind UTC in June."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    database = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'bley.db'}")
    yield database
    await database.dispose()


async def insert(database: AsyncEngine, *rows: dict[str, Any]) -> None:
    async with database.begin() as connection:
        await connection.exec_driver_sql(TABLE)
        for row in rows:
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            await connection.execute(sa.text(f"INSERT INTO bley_status ({names}) VALUES ({values})"), row)


async def read(database: AsyncEngine) -> list[ImportedRecord | str]:
    return [record async for record in read_bley2(database)]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, Record(Status.CLEAN, NOON, NOON, 0)),
        (1, Record(Status.TRUSTED, NOON, NOON, 0)),
        (2, Record(Status.GREYLISTED, NOON, NOON, 3)),
        (5, Record(Status.GREYLISTED, NOON, NOON, 3)),
    ],
)
async def test_status(database: AsyncEngine, status: int, expected: Record) -> None:
    """Early retries are told of who still waits."""
    await insert(database, ROW | {"status": status, "fail_count": 3})
    assert await read(database) == [ImportedRecord(NETWORK, "jane@example.com", "john@example.org", expected)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ip": "192.0.2.0"}, {"network": ip_network("192.0.2.0/24")}),
        ({"ip": "2001:db8::7"}, {"network": ip_network("2001:db8::7/128")}),
        ({"ip": "2001:db8::"}, {"network": ip_network("2001:db8::/64")}),
        ({"sender": ""}, {"sender": ""}),
        ({"sender": "ANYONE@Example.com"}, {"sender": "anyone@example.com"}),
        ({"recipient": "ANY"}, {"recipient": "any"}),
        ({"sender": "jäne@example.com"}, {"sender": "jäne@example.com"}),
        ({"fail_count": None}, {}),
        ({"fail_count": -1}, {}),
    ],
    ids=repr,
)
async def test_fields(database: AsyncEngine, changed: dict[str, Any], expected: dict[str, Any]) -> None:
    await insert(database, ROW | changed)
    fields = {
        "network": NETWORK,
        "sender": "jane@example.com",
        "recipient": "john@example.org",
        "record": Record(Status.GREYLISTED, NOON, NOON),
    }
    assert await read(database) == [ImportedRecord(**fields | expected)]


async def test_fractions_of_seconds(database: AsyncEngine) -> None:
    await insert(database, ROW | {"last_action": "2026-06-01 08:00:00.250000"})
    seen = NOON.replace(microsecond=250_000)
    record = Record(Status.GREYLISTED, seen, seen)
    assert await read(database) == [ImportedRecord(NETWORK, "jane@example.com", "john@example.org", record)]


@pytest.mark.parametrize(
    "changed",
    [
        *({name: None} for name in ROW if name != "fail_count"),
        *({"ip": ip} for ip in ("", "192.0.2", "mail.example.com", b"\xff")),
        *({"status": status} for status in (-1, "greylisted")),
        *({"last_action": action} for action in ("", "0000-00-00 00:00:00", "yesterday", b"\xff")),
        {"recipient": ""},
        {"fail_count": "many"},
    ],
    ids=repr,
)
async def test_unreadable_rows_cost_no_other(database: AsyncEngine, changed: dict[str, Any]) -> None:
    await insert(database, ROW | changed, ROW)
    found = await read(database)
    assert found[0] == UNREADABLE
    assert isinstance(found[1], ImportedRecord)


async def test_text_that_is_no_utf_8(database: AsyncEngine) -> None:
    """It is kept as in a request."""
    await insert(database, ROW)
    async with database.begin() as connection:
        await connection.exec_driver_sql("UPDATE bley_status SET sender = CAST(X'6AE46E6540622E63' AS TEXT)")
    found = await read(database)
    assert isinstance(found[0], ImportedRecord)
    assert found[0].sender == r"j\xe4ne@b.c"


async def test_duplicates_are_all_told(database: AsyncEngine) -> None:
    await insert(database, ROW, ROW, ROW | {"status": 0})
    assert len(await read(database)) == 3


async def test_an_empty_table(database: AsyncEngine) -> None:
    await insert(database)
    assert await read(database) == []


async def test_no_bley2_there(database: AsyncEngine, tmp_path: Path) -> None:
    async with database.connect() as connection:
        assert not await has_bley2(connection)
    assert not file_has_bley2(tmp_path / "bley.db")
    with pytest.raises(PredecessorError, match=r"^there is no table bley_status: this is not a database of bley 2$"):
        await read(database)


async def test_bley2_there(database: AsyncEngine, tmp_path: Path) -> None:
    await insert(database)
    async with database.connect() as connection:
        assert await has_bley2(connection)
    assert file_has_bley2(tmp_path / "bley.db")


async def test_before_bley_1(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await connection.exec_driver_sql(
            "CREATE TABLE bley_status (ip VARCHAR(39), status SMALLINT, last_action TIMESTAMP,"
            " last_from VARCHAR(254), last_to VARCHAR(254), penalty INT)"
        )
    said = "^the table bley_status belongs to another version of bley: it has no column fail_count, recipient, sender$"
    with pytest.raises(PredecessorError, match=said):
        await read(database)


async def test_what_the_database_says(tmp_path: Path) -> None:
    file = tmp_path / "bley.db"
    file.write_text("no SQLite " * 100)
    database = create_async_engine(f"sqlite+aiosqlite:///{file}")
    with pytest.raises(PredecessorError, match=r"^file is not a database$"):
        await read(database)
    await database.dispose()
