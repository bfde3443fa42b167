"""What sqlgrey knows: its tables in SQLite, PostgreSQL or MySQL.

    connect      sender_name, sender_domain, src, rcpt, first_seen    who must come again
    from_awl     sender_name, sender_domain, src, first_seen, last_seen    this sender passes, to every recipient
    domain_awl   sender_domain, src, first_seen, last_seen    every sender of the domain passes

`src` is the client's address as Postfix gave it, or its network: `192.0.2` for 192.0.2.0/24; IPv6 with all zeros, and
only the first four groups of an address made from a MAC address (EUI-64). Names are in lower case and cut at 64
characters, recipients at 255. `-undef-` stands for the name and the domain of the null sender.

In from_awl a name's changing parts are `#`, and the recipient in it is `RCPT`.

Times are the database's NOW(): seconds since 1970 in SQLite, where sqlgrey brings its own, and else local time of the
database's server, as its sessions see it.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bley.core.greylist import Record, Status
from bley.core.imported_record import ImportedRecord
from bley.core.triplet import ANY
from bley.predecessors.errors import PredecessorError
from bley.predecessors.values import UNREADABLE, columns_of, instant, opened, rows, shortened_network, text, text_column

if TYPE_CHECKING:  # 8 MB, which SQLite does not need
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["CUT_OFF", "RECIPIENT_IN_SENDER", "read_sqlgrey"]

CUT_OFF = "its sender or recipient is cut off"
RECIPIENT_IN_SENDER = "its sender has the recipient in it"

_TABLES = {
    "connect": (("sender_name", "sender_domain", "src", "rcpt"), ("first_seen",)),
    "from_awl": (("sender_name", "sender_domain", "src"), ("first_seen", "last_seen")),
    "domain_awl": (("sender_domain", "src"), ("first_seen", "last_seen")),
}
"""What we read of each table: texts, and instants."""

_UNDEFINED = "-undef-"
_RECIPIENT_MARK = "RCPT"
"""In a name that is else in lower case."""

_LONGEST_NAME = 64
_LONGEST_RECIPIENT = 255


async def read_sqlgrey(database: "AsyncEngine") -> AsyncIterator[ImportedRecord | str]:
    """Each record, or why it was skipped. Raises PredecessorError when sqlgrey does not keep its records there."""
    async with opened(database) as connection:
        for table, (texts, instants) in _TABLES.items():
            columns = await columns_of(connection, table)
            if not columns:
                raise PredecessorError(f"there is no table {table}: sqlgrey does not keep its records here")
            if missing := {*texts, *instants} - columns:
                raise PredecessorError(
                    f"the table {table} is that of another version of sqlgrey: it has no {', '.join(sorted(missing))}"
                )
        for table, (texts, instants) in _TABLES.items():
            wanted = [text_column(connection, name) for name in texts]
            wanted += [_instant_column(connection, name) for name in instants]
            async for row in rows(connection, table, wanted):
                yield _inherited(row._asdict())


def _instant_column(connection: "AsyncConnection", name: str) -> sa.ColumnElement[Any]:
    """The column's values as the server that wrote them understands them, which may be in another time zone than we."""
    column: sa.ColumnElement[Any] = sa.column(name)
    match connection.dialect.name:
        case "postgresql":
            return sa.cast(column, sa.TIMESTAMP(timezone=True)).label(name)
        case "mysql" | "mariadb":
            return sa.func.unix_timestamp(column).label(name)
    return column


def _inherited(row: dict[str, Any]) -> ImportedRecord | str:
    """What a row of any of the tables says: a name or recipient that it has no column for is any."""
    network = shortened_network(text(row["src"]) or "")
    name, recipient = text(row.get("sender_name", ANY)), text(row.get("rcpt", ANY))
    domain = text(row["sender_domain"])
    first_seen = instant(row["first_seen"])
    last_seen = instant(row.get("last_seen", row["first_seen"]))
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
    # sqlgrey's lower case knows ASCII only, and nobody folds the domain behind ANY later.
    return f"{name}@{domain.casefold()}"
