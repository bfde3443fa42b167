"""Every row of sqlgrey's tables becomes a record or a reason. With the real sqlgrey: tests/integration."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bley.core.greylist import Record, Status
from bley.core.imported_record import ImportedRecord
from bley.core.triplet import ANY
from bley.predecessors.errors import PredecessorError
from bley.predecessors.sqlgrey import CUT_OFF, RECIPIENT_IN_SENDER, read_recipients, read_sqlgrey
from bley.predecessors.values import UNREADABLE

FIRST = datetime(2026, 6, 1, 12, tzinfo=UTC)
LAST = FIRST + timedelta(days=1)
SECONDS = int(FIRST.timestamp())
NETWORK = ip_network("192.0.2.0/24")

CONNECT = {
    "sender_name": "jane",
    "sender_domain": "example.com",
    "src": "192.0.2",
    "rcpt": "john@example.org",
    "first_seen": SECONDS,
}
FROM_AWL = {
    "sender_name": "jane",
    "sender_domain": "example.com",
    "src": "192.0.2",
    "first_seen": SECONDS,
    "last_seen": SECONDS + 86400,
}
DOMAIN_AWL = {"sender_domain": "example.com", "src": "192.0.2", "first_seen": SECONDS, "last_seen": SECONDS + 86400}
WAITS = Record(Status.GREYLISTED, FIRST, FIRST)
PASSES = Record(Status.CLEAN, FIRST, LAST)

TABLES = {"connect": CONNECT, "from_awl": FROM_AWL, "domain_awl": DOMAIN_AWL}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    database = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'sqlgrey.db'}")
    yield database
    await database.dispose()


async def create(database: AsyncEngine, without: str = "") -> None:
    """The tables, except for a table or a column."""
    async with database.begin() as connection:
        for table, row in TABLES.items():
            columns = ", ".join(f"{name} {_type(name)}" for name in row if name != without)
            if table != without:
                await connection.exec_driver_sql(f"CREATE TABLE {table} ({columns})")


def _type(column: str) -> str:
    return "timestamp" if column.endswith("seen") else "varchar(255)"


async def insert(database: AsyncEngine, table: str, *rows: dict[str, Any]) -> None:
    async with database.begin() as connection:
        for row in rows:
            values = ", ".join(f":{name}" for name in row)
            await connection.execute(sa.text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})"), row)


async def test_recipients_with_rules_of_their_own_are_counted(database: AsyncEngine) -> None:
    """By table; a database of an older sqlgrey has no such tables."""
    await create(database)
    async with database.begin() as connection:
        for table, column in (("optin_email", "email"), ("optout_domain", "domain"), ("optin_domain", "domain")):
            await connection.exec_driver_sql(f"CREATE TABLE {table} ({column} varchar(255) NOT NULL)")
    await insert(database, "optin_email", {"email": "jane@example.org"}, {"email": "joe@example.org"})
    await insert(database, "optout_domain", {"domain": "example.net"})
    read_on = "these recipients become a section of bley.conf: see docs/moving-from-sqlgrey.md"
    assert await read(database) == [*2 * [f"optin_email: {read_on}"], f"optout_domain: {read_on}"]
    recipients = {"optin_email": ["jane@example.org", "joe@example.org"], "optout_domain": ["@example.net"]}
    assert await read_recipients(database) == recipients | {"optin_domain": []}


async def read(database: AsyncEngine) -> list[ImportedRecord | str]:
    return [record async for record in read_sqlgrey(database)]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("connect", ImportedRecord(NETWORK, "jane@example.com", "john@example.org", WAITS)),
        ("from_awl", ImportedRecord(NETWORK, "jane@example.com", ANY, PASSES)),
        ("domain_awl", ImportedRecord(NETWORK, f"{ANY}@example.com", ANY, PASSES)),
    ],
)
async def test_each_table(database: AsyncEngine, table: str, expected: ImportedRecord) -> None:
    await create(database)
    await insert(database, table, TABLES[table])
    assert await read(database) == [expected]


async def test_all_tables(database: AsyncEngine) -> None:
    await create(database)
    assert await read(database) == []
    for table, row in TABLES.items():
        await insert(database, table, row, row)
    assert len(await read(database)) == 6


@pytest.mark.parametrize(
    ("table", "changed", "sender"),
    [
        ("connect", {"sender_name": "-undef-", "sender_domain": "-undef-"}, ""),
        ("from_awl", {"sender_name": "-undef-", "sender_domain": "-undef-"}, ""),
        ("domain_awl", {"sender_domain": "-undef-"}, ""),
        ("from_awl", {"sender_name": "root", "sender_domain": "-undef-"}, "root"),
        ("from_awl", {"sender_name": "", "sender_domain": "example.com"}, "@example.com"),
        ("from_awl", {"sender_name": "list-#-bounce"}, "list-#-bounce@example.com"),
        ("from_awl", {"sender_name": "srs0=#=#=example.org=jane"}, "srs0=#=#=example.org=jane@example.com"),
        ("from_awl", {"sender_name": "rcpt"}, "rcpt@example.com"),
        ("domain_awl", {"sender_domain": "RCPT.example.com"}, f"{ANY}@rcpt.example.com"),
        ("from_awl", {"sender_name": b"j\xe4ne"}, r"j\xe4ne@example.com"),
    ],
    ids=repr,
)
async def test_senders(database: AsyncEngine, table: str, changed: dict[str, Any], sender: str) -> None:
    await create(database)
    await insert(database, table, TABLES[table] | changed)
    (found,) = await read(database)
    assert isinstance(found, ImportedRecord)
    assert found.sender == sender


@pytest.mark.parametrize(
    ("src", "network"),
    [
        ("192.0.2", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.0", "192.0.2.0/32"),
        ("2001:0db8:0001:0002", "2001:db8:1:2::/64"),
        ("2001:0db8:0001:0002:0000:0000:0000:0007", "2001:db8:1:2::7/128"),
        ("2001:db8:1:2::7", "2001:db8:1:2::7/128"),
    ],
)
async def test_clients(database: AsyncEngine, src: str, network: str) -> None:
    await create(database)
    await insert(database, "domain_awl", DOMAIN_AWL | {"src": src})
    (found,) = await read(database)
    assert isinstance(found, ImportedRecord)
    assert str(found.network) == network


@pytest.mark.parametrize(
    ("table", "changed", "reason"),
    [
        ("from_awl", {"sender_name": "bounce-RCPT"}, RECIPIENT_IN_SENDER),
        ("from_awl", {"sender_name": "x" * 64}, CUT_OFF),
        ("connect", {"sender_name": "x" * 64}, CUT_OFF),
        ("connect", {"rcpt": "x" * 255}, CUT_OFF),
        *((table, {name: None}, UNREADABLE) for table, row in TABLES.items() for name in row),
        *((table, {"first_seen": 0}, UNREADABLE) for table in TABLES),
        *((table, {"src": "mail.example.com"}, UNREADABLE) for table in TABLES),
        ("connect", {"rcpt": ""}, UNREADABLE),
        ("from_awl", {"sender_domain": ""}, UNREADABLE),
        ("from_awl", {"last_seen": "yesterday"}, UNREADABLE),
        # What sqlgrey makes of ::1.
        ("connect", {"src": "0000:" * 12 + "0001"}, UNREADABLE),
    ],
    ids=repr,
)
async def test_skipped_rows_cost_no_other(
    database: AsyncEngine, table: str, changed: dict[str, Any], reason: str
) -> None:
    await create(database)
    await insert(database, table, TABLES[table] | changed, TABLES[table])
    found = await read(database)
    assert found[0] == reason
    assert isinstance(found[1], ImportedRecord)


async def test_text_that_is_no_utf_8(database: AsyncEngine) -> None:
    """SQLite keeps it as it came; it is told as in a request."""
    await create(database)
    await insert(database, "connect", CONNECT)
    async with database.begin() as connection:
        await connection.exec_driver_sql("UPDATE connect SET sender_name = CAST(X'6AE46E65' AS TEXT)")
    assert await read(database) == [ImportedRecord(NETWORK, r"j\xe4ne@example.com", "john@example.org", WAITS)]


async def test_times_in_words(database: AsyncEngine) -> None:
    """As a database has them that was moved to SQLite."""
    await create(database)
    local = FIRST.astimezone().replace(tzinfo=None)
    await insert(database, "connect", CONNECT | {"first_seen": str(local)})
    assert await read(database) == [ImportedRecord(NETWORK, "jane@example.com", "john@example.org", WAITS)]


@pytest.mark.parametrize("table", TABLES)
async def test_no_sqlgrey_there(database: AsyncEngine, table: str) -> None:
    await create(database, without=table)
    said = f"^there is no table {table}: this is not a database of sqlgrey$"
    with pytest.raises(PredecessorError, match=said):
        await read(database)


async def test_another_version_of_sqlgrey(database: AsyncEngine) -> None:
    await create(database, without="src")
    said = "^the table connect belongs to another version of sqlgrey: it has no src$"
    with pytest.raises(PredecessorError, match=said):
        await read(database)
