"""The records of sqlgrey: its tables in SQLite, PostgreSQL or MySQL.

    connect      sender_name, sender_domain, src, rcpt, first_seen    deferred triplets
    from_awl     sender_name, sender_domain, src, first_seen, last_seen    senders that pass, to every recipient
    domain_awl   sender_domain, src, first_seen, last_seen    domains with senders that all pass
    optin_email, optin_domain, optout_email, optout_domain    recipients with rules of their own, which are no records

`src` is the client's address from Postfix, or its network: `192.0.2` for 192.0.2.0/24. IPv6 is written with all zeros;
of an address made from a MAC address (EUI-64) only the first four groups. Names are in lower case and cut at 64
characters, recipients at 255. The null sender has the name and domain `-undef-`.

In from_awl, `#` replaces the variable parts of a name, and `RCPT` replaces the recipient in it.

Times are the database's NOW(). In SQLite sqlgrey defines it as seconds since 1970. Elsewhere it is the local time of
the database server, in the time zone of the session.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bley.core.greylist import Record, Status
from bley.core.imported_record import ImportedRecord
from bley.core.triplet import ANY
from bley.predecessors.errors import PredecessorError
from bley.predecessors.values import (
    UNREADABLE,
    column_names,
    open_connection,
    parse_instant,
    parse_text,
    shortened_network,
    stream_rows,
    text_column,
)

if TYPE_CHECKING:  # takes 8 MB of memory, and SQLite does not need it
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["CUT_OFF", "OF_SECTIONS", "RECIPIENT_IN_SENDER", "read_recipients", "read_sqlgrey"]

OF_SECTIONS = "these recipients become a section of bley.conf: see docs/moving-from-sqlgrey.md"
CUT_OFF = "its sender or recipient is cut off"
RECIPIENT_IN_SENDER = "its sender has the recipient in it"

_TABLES = {
    "connect": (("sender_name", "sender_domain", "src", "rcpt"), ("first_seen",)),
    "from_awl": (("sender_name", "sender_domain", "src"), ("first_seen", "last_seen")),
    "domain_awl": (("sender_domain", "src"), ("first_seen", "last_seen")),
}
"""The columns of each table that are read: texts, and instants."""

_OF_RECIPIENTS = {"optin_email": "email", "optin_domain": "domain", "optout_email": "email", "optout_domain": "domain"}

_UNDEFINED = "-undef-"
_RECIPIENT_MARK = "RCPT"
"""The mark is in upper case, all other characters of a name are in lower case."""

_LONGEST_NAME = 64
_LONGEST_RECIPIENT = 255


async def read_sqlgrey(database: "AsyncEngine") -> AsyncIterator[ImportedRecord | str]:
    """Yield each record, or the reason why it is skipped. Raises PredecessorError if sqlgrey's tables are missing."""
    async with open_connection(database) as connection:
        for table, (texts, instants) in _TABLES.items():
            columns = await column_names(connection, table)
            if not columns:
                raise PredecessorError(f"there is no table {table}: this is not a database of sqlgrey")
            if missing := {*texts, *instants} - columns:
                raise PredecessorError(
                    f"the table {table} belongs to another version of sqlgrey: it has no {', '.join(sorted(missing))}"
                )
        for table, (texts, instants) in _TABLES.items():
            selected = [text_column(connection, name) for name in texts]
            selected += [_instant_column(connection, name) for name in instants]
            async for row in stream_rows(connection, table, selected):
                yield _parse_row(row._asdict())
        for table, name in _OF_RECIPIENTS.items():
            if name in await column_names(connection, table):
                async for _ in stream_rows(connection, table, [text_column(connection, name)]):
                    yield f"{table}: {OF_SECTIONS}"


async def read_recipients(database: "AsyncEngine") -> dict[str, list[str]]:
    """Return the recipients with rules of their own, by table; `@example.org` is a domain without its subdomains."""
    found: dict[str, list[str]] = {}
    async with open_connection(database) as connection:
        for table, name in _OF_RECIPIENTS.items():
            if name in await column_names(connection, table):
                rows = stream_rows(connection, table, [text_column(connection, name)])
                texts = [parse_text(row._asdict()[name]) or "" async for row in rows]
                found[table] = [f"@{text}" if name == "domain" else text for text in texts if text]
    return found


def _instant_column(connection: "AsyncConnection", name: str) -> sa.ColumnElement[Any]:
    """Return the column as instants by the server's time zone, which may differ from this machine's."""
    column: sa.ColumnElement[Any] = sa.column(name)
    match connection.dialect.name:
        case "postgresql":
            return sa.cast(column, sa.TIMESTAMP(timezone=True)).label(name)
        case "mysql" | "mariadb":
            return sa.func.unix_timestamp(column).label(name)
    return column


def _parse_row(row: dict[str, Any]) -> ImportedRecord | str:
    """Return the record of a row of any table. Without a column for the name or recipient it matches any."""
    network = shortened_network(parse_text(row["src"]) or "")
    name, recipient = parse_text(row.get("sender_name", ANY)), parse_text(row.get("rcpt", ANY))
    domain = parse_text(row["sender_domain"])
    first_seen = parse_instant(row["first_seen"])
    last_seen = parse_instant(row.get("last_seen", row["first_seen"]))
    if network is None or name is None or not domain or not recipient or first_seen is None or last_seen is None:
        return UNREADABLE
    if len(name) >= _LONGEST_NAME or len(recipient) >= _LONGEST_RECIPIENT:
        return CUT_OFF
    passes = "last_seen" in row
    if passes and _RECIPIENT_MARK in name:
        return RECIPIENT_IN_SENDER
    status = Status.CLEAN if passes else Status.GREYLISTED
    return ImportedRecord(network, _sender(name, domain), recipient, Record(status, first_seen, last_seen))


def _sender(name: str, domain: str) -> str:
    if domain == _UNDEFINED:
        return "" if name in {_UNDEFINED, ANY} else name
    # sqlgrey lowers ASCII letters only, and the domain after ANY is not case-folded later.
    return f"{name}@{domain.casefold()}"
