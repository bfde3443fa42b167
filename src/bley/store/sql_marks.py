"""Which work of which writer a SQL database has done (engine.Mark).

The number of the last one is in the same transaction as the work. A transaction whose outcome is unknown, and which may
still be under way on its old connection, holds the writer's row: the next one waits for its outcome.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest

import sqlalchemy as sa

from bley.core.greylist import Sighting
from bley.store.dialects import Dialect
from bley.store.engine import MARK_LIFETIME, Mark
from bley.store.rows import microseconds
from bley.store.sql_schema import writers

__all__ = ["SqlMarks"]


class SqlMarks:
    """The table `writers` of a database of this dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._write = dialect.write
        self._last = sa.select(writers.c.number).where(writers.c.writer == sa.bindparam("writer")).with_for_update()
        insert = dialect.insert(writers)
        self._insert = dialect.or_update(insert, {"number": writers.c.number})
        self._set = dialect.or_update(insert, {"number": dialect.new(insert).number})

    def is_done(self, connection: sa.Connection, mark: Mark) -> bool:
        """Return whether the work of this mark was done, in a transaction that has ended by now."""
        return mark.number <= self._last_of(connection, mark.writer)

    def to_merge(
        self, connection: sa.Connection, sightings: Sequence[Sighting], marks: Sequence[Mark | None]
    ) -> Sequence[Sighting]:
        """Return the sightings that are not merged yet."""
        writer = next((mark.writer for mark in marks if mark), None)
        if writer is None:
            return sightings
        last = self._last_of(connection, writer)
        each = zip_longest(sightings, marks)
        return [sighting for sighting, mark in each if mark is None or mark.number > last]

    def set(self, connection: sa.Connection, marks: Sequence[Mark | None]) -> None:
        """Keep that all of these, in their order, were done."""
        last = next((mark for mark in reversed(marks) if mark), None)
        if last:
            self._write(connection, self._set, [last._asdict()])

    def purge(self, connection: sa.Connection, now: datetime) -> None:
        """Forget writers that have written nothing for MARK_LIFETIME."""
        connection.execute(sa.delete(writers).where(writers.c.number < microseconds(now - MARK_LIFETIME)))

    def _last_of(self, connection: sa.Connection, writer: str) -> int:
        """Return the writer's number, whose row is locked from now on."""
        number: int | None = connection.scalar(self._last, {"writer": writer})
        if number is None:
            self._write(connection, self._insert, [{"writer": writer, "number": 0}])
            number = connection.scalar(self._last, {"writer": writer})
        return number or 0
