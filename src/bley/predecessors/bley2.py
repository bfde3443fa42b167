"""What bley 2 knew: its table `bley_status`, in SQLite, PostgreSQL or MySQL.

    ip           the client, or the base of its network by the settings subnet_mask_v4 and subnet_mask_v6
    status       0 passed, 1 on a DNS allowlist, 2 and more greylisted
    last_action  local time of the machine it ran on: of a greylisted one the first attempt, else when it was last seen
    sender, recipient
    fail_count   early retries

It has no key: a triplet may occur more than once, and every field may be NULL.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bley.core.greylist import MAX_ATTEMPTS, Record, Status
from bley.core.imported_record import ImportedRecord
from bley.predecessors.errors import PredecessorError
from bley.predecessors.values import UNREADABLE, columns_of, instant, masked_network, opened, rows, text, text_column

if TYPE_CHECKING:  # 8 MB, which SQLite does not need
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["has_bley2", "read_bley2"]

_TABLE = "bley_status"
_COLUMNS = {"ip", "status", "last_action", "sender", "recipient", "fail_count"}
_STATUSES = {0: Status.CLEAN, 1: Status.TRUSTED}


async def has_bley2(connection: "AsyncConnection") -> bool:
    """Whether a bley 2 kept its records in this database."""
    return await connection.run_sync(lambda sync: sa.inspect(sync).has_table(_TABLE))


async def read_bley2(database: "AsyncEngine") -> AsyncIterator[ImportedRecord | str]:
    """Each record, or why it was skipped. Raises PredecessorError when there are none that bley 2 could have written.

    A local time is taken for one of this machine.
    """
    async with opened(database) as connection:
        columns = await columns_of(connection, _TABLE)
        if not columns:
            raise PredecessorError(f"there is no table {_TABLE}: no bley 2 kept its records here")
        if missing := _COLUMNS - columns:
            raise PredecessorError(
                f"the table {_TABLE} is that of another version of bley: it has no column {', '.join(sorted(missing))}"
            )
        wanted = [text_column(connection, name) for name in ("ip", "sender", "recipient")]
        wanted += [sa.column(name) for name in ("status", "last_action", "fail_count")]
        async for row in rows(connection, _TABLE, wanted):
            yield _inherited(row)


def _inherited(row: sa.Row[Any]) -> ImportedRecord | str:
    network = masked_network(text(row.ip) or "")
    sender, recipient = text(row.sender), text(row.recipient)
    seen = instant(row.last_action)
    if network is None or sender is None or not recipient or seen is None:
        return UNREADABLE
    if not isinstance(row.status, int) or row.status < 0 or not isinstance(row.fail_count, int | None):
        return UNREADABLE
    status = _STATUSES.get(row.status, Status.GREYLISTED)
    attempts = min(max(row.fail_count or 0, 0), MAX_ATTEMPTS) if status is Status.GREYLISTED else 0
    # Folded, since ANY is not: a sender that is spelt like it must not stand for all.
    return ImportedRecord(network, sender.casefold(), recipient.casefold(), Record(status, seen, seen, attempts))
