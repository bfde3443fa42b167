"""A field says what it says, or None: never an exception."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import create_async_engine

from bley.predecessors import values
from bley.predecessors.values import (
    masked_network,
    open_connection,
    parse_instant,
    parse_text,
    shortened_network,
    single_address,
    stream_rows,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine is four hours behind UTC in June, five in January."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("address", "as_host", "as_masked", "as_shortened"),
    [
        ("192.0.2.7", "192.0.2.7/32", "192.0.2.7/32", "192.0.2.7/32"),
        ("192.0.2.0", "192.0.2.0/32", "192.0.2.0/24", "192.0.2.0/32"),
        ("10.0.0.0", "10.0.0.0/32", "10.0.0.0/24", "10.0.0.0/32"),
        ("192.0.2", None, None, "192.0.2.0/24"),
        ("192.0", None, None, None),
        ("192.0.2.256", None, None, None),
        ("192.0.300", None, None, None),
        ("::ffff:192.0.2.7", "192.0.2.7/32", "192.0.2.7/32", "192.0.2.7/32"),
        ("2001:db8::7", "2001:db8::7/128", "2001:db8::7/128", "2001:db8::7/128"),
        ("2001:DB8:0:1:0:0:0:7", "2001:db8:0:1::7/128", "2001:db8:0:1::7/128", "2001:db8:0:1::7/128"),
        ("2001:db8:0:1::", "2001:db8:0:1::/128", "2001:db8:0:1::/64", "2001:db8:0:1::/128"),
        ("2001:0db8:0000:0001:0000:0000:0000:0000", "2001:db8:0:1::/128", "2001:db8:0:1::/64", "2001:db8:0:1::/128"),
        ("2001:0db8:0000:0001", None, None, "2001:db8:0:1::/64"),
        ("2001:DB8:0:0", None, None, "2001:db8::/64"),
        ("2001:db8:0:12345", None, None, None),
        ("2001:db8:0", None, None, None),
        ("mail.example.com", None, None, None),
        ("", None, None, None),
    ],
)
def test_network(address: str, as_host: str | None, as_masked: str | None, as_shortened: str | None) -> None:
    for read, expected in [(single_address, as_host), (masked_network, as_masked), (shortened_network, as_shortened)]:
        network = read(address)
        assert (None if network is None else str(network)) == expected


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize(
    "value",
    [
        NOON,
        NOON.astimezone(timezone(timedelta(hours=5))),
        NOON.astimezone(timezone(timedelta(hours=-4))).replace(tzinfo=None),
        1780315200,
        1780315200.0,
        Decimal("1780315200.000000"),
        "1780315200",
        "1780315200.0",
        "2026-06-01 08:00:00",
        "2026-06-01 08:00:00.000000",
        "2026-06-01T08:00:00",
        "2026-06-01 14:00:00+02:00",
    ],
    ids=str,
)
def test_instant(value: object) -> None:
    """Without a zone it is local time, in numbers it is seconds since 1970 UTC."""
    found = parse_instant(value)
    assert found == NOON
    assert found.tzinfo is UTC


@pytest.mark.usefixtures("new_york")
def test_instant_of_the_other_half_of_the_year() -> None:
    assert parse_instant("2026-01-01 07:00:00") == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_instant_keeps_fractions() -> None:
    assert parse_instant(datetime(2026, 6, 1, 12, 0, 0, 250_000, UTC)) == NOON + timedelta(milliseconds=250)
    assert parse_instant(1780315200.25) == NOON + timedelta(milliseconds=250)


@pytest.mark.parametrize(
    "value",
    [
        *(None, b"1780315200", "", "yesterday", "12:00", "2026-02-30 12:00:00", "1e9", "-1", "nan"),
        *(0, -1, "0", Decimal(0), "0000-00-00 00:00:00", "1970-01-01 00:00:00+00:00"),
        *(10**20, -(10**20), float("inf"), float("nan"), Decimal("NaN"), "9" * 400),
        *(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), "0001-01-01 00:00:00"),
    ],
    ids=repr,
)
def test_no_instant(value: object) -> None:
    assert parse_instant(value) is None


@given(st.text() | st.integers() | st.floats() | st.decimals() | st.datetimes() | st.from_regex(r"[0-9T:+. -]+"))
def test_instant_of_anything(value: object) -> None:
    """It is an instant of after 1970, aware UTC, or none."""
    found = parse_instant(value)
    assert found is None or (found.tzinfo is UTC and found > datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("jane", "jane"),
        ("", ""),
        (b"jane", "jane"),
        ("jäne".encode(), "jäne"),
        (b"j\xe4ne", "j\\xe4ne"),
        (None, None),
        (5, None),
    ],
)
def test_text(value: object, expected: str | None) -> None:
    assert parse_text(value) == expected


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
async def test_rows_of_sqlite_do_not_hold_up_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """However long we take for a row; and none is told twice, whatever is written meanwhile."""
    monkeypatch.setattr(values, "_PORTION", 2)
    file = tmp_path / "greylister.db"
    database = create_async_engine(f"sqlite+aiosqlite:///{file}")
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as greylister:
        greylister.execute("CREATE TABLE seen (number INT)")
        greylister.executemany("INSERT INTO seen VALUES (?)", [(number,) for number in range(count)])
        found = []
        async with open_connection(database) as connection:
            async for row in stream_rows(connection, "seen", [sa.column("number")]):
                found.append(row.number)
                greylister.execute("UPDATE seen SET number = number")
                greylister.execute("DELETE FROM seen WHERE number = ?", (row.number,))
    assert found == list(range(count))
    await database.dispose()
