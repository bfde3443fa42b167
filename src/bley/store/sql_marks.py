"""The marks (engine.Mark) of the work that a SQL database has committed.

The writer's last number is written in the same transaction as the work. A transaction of unknown outcome, which may
still run on its old connection, locks the writer's row, so that the retry waits for its outcome.
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
        self._insert = dialect.upsert(insert, {"number": writers.c.number})
        self._set = dialect.upsert(insert, {"number": dialect.inserted(insert).number})

    def is_done(self, connection: sa.Connection, mark: Mark) -> bool:
        """Return whether the work of this mark is committed."""
        return mark.number <= self._last_of(connection, mark.writer)

    def to_merge(
        self, connection: sa.Connection, sightings: Sequence[Sighting], marks: Sequence[Mark | None]
    ) -> Sequence[Sighting]:
        """Return the sightings that are not committed yet."""
        writer = next((mark.writer for mark in marks if mark), None)
        if writer is None:
            return sightings
        last = self._last_of(connection, writer)
        each = zip_longest(sightings, marks)
        return [sighting for sighting, mark in each if mark is None or mark.number > last]

    def set(self, connection: sa.Connection, marks: Sequence[Mark | None]) -> None:
        """Store that the work of all these marks is done."""
        last = next((mark for mark in reversed(marks) if mark), None)
        if last:
            self._write(connection, self._set, [last._asdict()])

    def purge(self, connection: sa.Connection, now: datetime) -> None:
        """Delete writers that have written nothing for MARK_LIFETIME."""
        connection.execute(sa.delete(writers).where(writers.c.number < microseconds(now - MARK_LIFETIME)))

    def _last_of(self, connection: sa.Connection, writer: str) -> int:
        """Lock the writer's row and return its number."""
        number: int | None = connection.scalar(self._last, {"writer": writer})
        if number is None:
            self._write(connection, self._insert, [{"writer": writer, "number": 0}])
            number = connection.scalar(self._last, {"writer": writer})
        return number or 0
