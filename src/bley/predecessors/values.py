"""Parsers for the fields of other greylisters' records, and readers of their tables.

An unreadable field is None, never an exception, so that a bad record does not prevent the import of the others.
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

if TYPE_CHECKING:  # takes 8 MB of memory, and SQLite does not need it
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = [
    "UNREADABLE",
    "column_names",
    "masked_network",
    "open_connection",
    "parse_instant",
    "parse_text",
    "shortened_network",
    "single_address",
    "stream_rows",
    "text_column",
]

UNREADABLE = "not readable"
"""The reason for skipping a record that cannot be parsed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"\d+(\.\d*)?")
_THREE_OCTETS = re.compile(r"\d+\.\d+\.\d+")
_FOUR_GROUPS = re.compile(r"[0-9a-f]+(:[0-9a-f]+){3}", re.IGNORECASE)
_INTERFACE_BITS = 64

_PORTION = 10_000
"""Rows of SQLite in one query, which takes about 0.02 s and 4 MB."""


def single_address(address: str) -> IPv4Network | IPv6Network | None:
    """Return the network of this single address; None if it is not an address."""
    found = parse_address(address)
    return None if found is None else ip_network(found)


def masked_network(address: str) -> IPv4Network | IPv6Network | None:
    """Return the network of an address without a prefix: a /24 if it ends in 0, a /64 if it is the base of one.

    Otherwise it is this single address. None if it is not an address.
    """
    network = single_address(address)
    if network is None:
        return None
    prefix = 24 if network.version == 4 else _INTERFACE_BITS
    return network if int(network[0]) % (1 << network.max_prefixlen - prefix) else network.supernet(new_prefix=prefix)


def shortened_network(address: str) -> IPv4Network | IPv6Network | None:
    """Return the network of a shortened address: `192.0.2` is a /24, and `2001:db8:0:1` is a /64.

    A complete address is this single address. None if it is not an address.
    """
    if _THREE_OCTETS.fullmatch(address):
        return masked_network(f"{address}.0")
    if _FOUR_GROUPS.fullmatch(address):
        return masked_network(f"{address}::")
    return single_address(address)


def parse_instant(value: object) -> datetime | None:
    """Return the aware UTC instant of seconds since 1970, of ISO 8601 text or of a datetime; naive times are local.

    None if it is not an instant, or is a zero that means none: 0, and 0000-00-00 in MySQL.
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


def parse_text(value: object) -> str | None:
    """Return the text with the escapes of a policy request (core.wire); None if it is not text.

    A CR is not escaped. No mail address has one, and the RecordConverter skips its record.
    """
    if isinstance(value, str):
        value = value.encode("utf-8", "backslashreplace")
    return "\r".join(map(unambiguous, value.split(b"\r"))) if isinstance(value, bytes) else None


@asynccontextmanager
async def open_connection(database: "AsyncEngine") -> AsyncIterator["AsyncConnection"]:
    """Open a connection for reading; its errors become PredecessorError."""
    try:
        async with database.connect() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise PredecessorError(driver_message(error)) from error


async def column_names(connection: "AsyncConnection", table: str) -> set[str]:
    """Return the names of the table's columns; an empty set if there is no such table."""

    def find(sync: sa.Connection) -> set[str]:
        inspector = sa.inspect(sync)
        return {column["name"] for column in inspector.get_columns(table)} if inspector.has_table(table) else set()

    return await connection.run_sync(find)


def text_column(connection: "AsyncConnection", name: str) -> sa.ColumnElement[Any]:
    """Return a column with values for `parse_text`."""
    column: sa.ColumnElement[Any] = sa.column(name)
    # SQLite stores any bytes as text, and the driver fails at those that are not UTF-8.
    return sa.cast(column, sa.LargeBinary).label(name) if connection.dialect.name == "sqlite" else column


async def stream_rows(
    connection: "AsyncConnection", table: str, columns: Sequence[sa.ColumnElement[Any]]
) -> AsyncIterator[sa.Row[Any]]:
    """Yield the table's rows in any order, as a stream, so that a large table does not fill the memory."""
    selected = sa.select(*columns).select_from(sa.table(table))
    if connection.dialect.name != "sqlite":
        async with connection.stream(selected) as result:
            async for row in result:
                yield row
        return
    # In portions: a statement that reads SQLite blocks all writers, and a greylister that waits for it delays mail.
    rowid = sa.literal_column("rowid", sa.Integer).label("rowid")
    portion = selected.add_columns(rowid).order_by(rowid).limit(_PORTION)
    read = (await connection.execute(portion)).all()
    while read:
        await connection.rollback()
        for row in read:
            yield row
        read = (await connection.execute(portion.where(rowid > read[-1].rowid))).all()
