"""What the fields of another greylister's records mean, and how its tables are read.

What a field does not tell is None, never an exception: one bad record must not cost the others.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bley.core.mail import parse_address
from bley.core.wire import unambiguous
from bley.predecessors.errors import PredecessorError
from bley.store.driver_errors import driver_message

if TYPE_CHECKING:  # 8 MB, which SQLite does not need
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = [
    "UNREADABLE",
    "columns_of",
    "host",
    "instant",
    "masked_network",
    "opened",
    "rows",
    "shortened_network",
    "text",
    "text_column",
]

UNREADABLE = "not readable"
"""Why a record was skipped that says nothing we understand."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"\d+(\.\d*)?")
_THREE_OCTETS = re.compile(r"\d+\.\d+\.\d+")
_FOUR_GROUPS = re.compile(r"[0-9a-f]+(:[0-9a-f]+){3}", re.IGNORECASE)
_INTERFACE_BITS = 64

_PORTION = 10_000
"""Rows of SQLite that are read at once, in some 0.02 s and 4 MB."""


def host(address: str) -> IPv4Network | IPv6Network | None:
    """The network of this one address; None when it is none."""
    found = parse_address(address)
    return None if found is None else ip_network(found)


def masked_network(address: str) -> IPv4Network | IPv6Network | None:
    """The network that an address of unknown prefix stands for: a /24 if it ends in 0, a /64 if it is the base of one.

    Else it is the one address. None when it is none at all.
    """
    network = host(address)
    if network is None:
        return None
    prefix = 24 if network.version == 4 else _INTERFACE_BITS
    return network if int(network[0]) % (1 << network.max_prefixlen - prefix) else network.supernet(new_prefix=prefix)


def shortened_network(address: str) -> IPv4Network | IPv6Network | None:
    """The network of an address from which the end was cut: `192.0.2` is a /24, `2001:db8:0:1` a /64.

    A whole one is this one address. None when it is none at all.
    """
    if _THREE_OCTETS.fullmatch(address):
        return masked_network(f"{address}.0")
    if _FOUR_GROUPS.fullmatch(address):
        return masked_network(f"{address}::")
    return host(address)


def instant(value: object) -> datetime | None:
    """The instant, aware UTC: of seconds since 1970 UTC, of a time in words or of a datetime; local if it has no zone.

    None when it is none, and for the zero that stands for none: 0, and 0000-00-00 in MySQL.
    """
    try:
        match value:
            case datetime():
                found = value
            case str() if _NUMBER.fullmatch(value):
                found = datetime.fromtimestamp(float(value), UTC)
            case str():
                found = datetime.fromisoformat(value)
            case int() | float() | Decimal():
                found = datetime.fromtimestamp(float(value), UTC)
            case _:
                return None
        found = found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found > _EPOCH else None


def text(value: object) -> str | None:
    """The text as it is in a request, by core.wire's codes; None when it is none.

    A CR stays one. No mail address of a server has it, and so its record is left out (taking.py).
    """
    if isinstance(value, str):
        value = value.encode("utf-8", "backslashreplace")
    return "\r".join(map(unambiguous, value.split(b"\r"))) if isinstance(value, bytes) else None


@asynccontextmanager
async def opened(database: "AsyncEngine") -> AsyncIterator["AsyncConnection"]:
    """A connection to read by; what goes wrong on it is a PredecessorError."""
    try:
        async with database.connect() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise PredecessorError(driver_message(error)) from error


async def columns_of(connection: "AsyncConnection", table: str) -> set[str]:
    """The names of the table's columns; none when there is no such table."""

    def find(sync: sa.Connection) -> set[str]:
        inspector = sa.inspect(sync)
        return {column["name"] for column in inspector.get_columns(table)} if inspector.has_table(table) else set()

    return await connection.run_sync(find)


def text_column(connection: "AsyncConnection", name: str) -> sa.ColumnElement[Any]:
    """A column whose values are for `text`."""
    column: sa.ColumnElement[Any] = sa.column(name)
    # SQLite keeps whatever bytes it was given as text, and the driver fails at those that are no UTF-8.
    return sa.cast(column, sa.LargeBinary).label(name) if connection.dialect.name == "sqlite" else column


async def rows(
    connection: "AsyncConnection", table: str, columns: Sequence[sa.ColumnElement[Any]]
) -> AsyncIterator[sa.Row[Any]]:
    """The table's rows in whatever order, as they come: it is never in memory as a whole."""
    wanted = sa.select(*columns).select_from(sa.table(table))
    if connection.dialect.name != "sqlite":
        async with connection.stream(wanted) as result:
            async for row in result:
                yield row
        return
    # In portions: while a statement reads SQLite, nobody can write, and a greylister that waits for us holds up mail.
    rowid = sa.literal_column("rowid", sa.Integer).label("rowid")
    portion = wanted.add_columns(rowid).order_by(rowid).limit(_PORTION)
    read = (await connection.execute(portion)).all()
    while read:
        await connection.rollback()
        for row in read:
            yield row
        read = (await connection.execute(portion.where(rowid > read[-1].rowid))).all()
