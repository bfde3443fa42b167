"""The records of bley 2: its table `bley_status`, in SQLite, PostgreSQL or MySQL.

    ip           the client, or the base address of its network (subnet_mask_v4 and subnet_mask_v6)
    status       0: passed; 1: on a DNS allowlist; 2 and more: greylisted
    last_action  the first attempt if greylisted, else the last sighting; in local time of the machine
    sender, recipient
    fail_count   the number of early retries

The table has no primary key: a triplet can occur several times, and every field can be NULL.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bley.core.greylist import MAX_ATTEMPTS, Record, Status
from bley.core.imported_record import ImportedRecord
from bley.predecessors.errors import PredecessorError
from bley.predecessors.values import (
    UNREADABLE,
    column_names,
    masked_network,
    open_connection,
    parse_instant,
    parse_text,
    stream_rows,
    text_column,
)
from bley.store.sqlite_file import sqlite_uri

if TYPE_CHECKING:  # takes 8 MB of memory, and SQLite does not need it
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["file_has_bley2", "has_bley2", "read_bley2"]

_TABLE = "bley_status"
_COLUMNS = {"ip", "status", "last_action", "sender", "recipient", "fail_count"}
_STATUSES = {0: Status.CLEAN, 1: Status.TRUSTED}


async def has_bley2(connection: "AsyncConnection") -> bool:
    """Return whether this database has the table of bley 2."""
    return await connection.run_sync(lambda sync: sa.inspect(sync).has_table(_TABLE))


def file_has_bley2(file: Path) -> bool:
    """Return the same of a file of SQLite, without SQLAlchemy's asynchronous part. Raises sqlite3.Error."""
    with closing(sqlite3.connect(sqlite_uri(file, "ro"), uri=True)) as connection:
        return connection.execute("SELECT 1 FROM pragma_table_info(?)", [_TABLE]).fetchone() is not None


async def read_bley2(database: "AsyncEngine") -> AsyncIterator[ImportedRecord | str]:
    """Yield each record, or the reason why it is skipped. Raises PredecessorError if bley 2's table is missing.

    Local times are read in the time zone of this machine.
    """
    async with open_connection(database) as connection:
        columns = await column_names(connection, _TABLE)
        if not columns:
            raise PredecessorError(f"there is no table {_TABLE}: this is not a database of bley 2")
        if missing := _COLUMNS - columns:
            raise PredecessorError(
                f"the table {_TABLE} belongs to another version of bley: it has no column {', '.join(sorted(missing))}"
            )
        selected = [text_column(connection, name) for name in ("ip", "sender", "recipient")]
        selected += [sa.column(name) for name in ("status", "last_action", "fail_count")]
        async for row in stream_rows(connection, _TABLE, selected):
            yield _parse_row(row)


def _parse_row(row: sa.Row[Any]) -> ImportedRecord | str:
    network = masked_network(parse_text(row.ip) or "")
    sender, recipient = parse_text(row.sender), parse_text(row.recipient)
    seen = parse_instant(row.last_action)
    if network is None or sender is None or not recipient or seen is None:
        return UNREADABLE
    if not isinstance(row.status, int) or row.status < 0 or not isinstance(row.fail_count, int | None):
        return UNREADABLE
    status = _STATUSES.get(row.status, Status.GREYLISTED)
    attempts = min(max(row.fail_count or 0, 0), MAX_ATTEMPTS) if status is Status.GREYLISTED else 0
    # Case-folded, unlike ANY: a sender that is spelled like ANY must not match every sender.
    return ImportedRecord(network, sender.casefold(), recipient.casefold(), Record(status, seen, seen, attempts))
