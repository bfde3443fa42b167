"""Keyset paging: a table is read in steps, in the order of a key, without OFFSET; each step starts after the last one.

A step is one statement. Besides rows that meet the conditions, it reads some random others, the milestones. So its time
is bounded, whatever the table contains: it ends after so many rows of both kinds, and the last one is its position.
"""

import operator
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from bley.store.dialects import Dialect

__all__ = ["Key", "KeysetScan", "ScanCursor"]

_FIRST, _LATER, _WIDEST = 64_000, 500_000, 4_000_000
"""Rows that a step examines: at first so few that a frequent word is found at once, later as many as take STEP_SECONDS.

At least _LATER of them, so that a million rows take three steps on a busy machine too; on MariaDB they take 2.5 s.
"""

STEP_SECONDS = 1.0
"""The time of a step, by the speed of the one before. A step is work of the database, and holds up no mail."""

Key = tuple[Any, ...]


class ScanCursor(NamedTuple):
    """The position of a scan, which has examined all rows up to `after`; None: none yet."""

    after: Key | None = None
    width: int = _FIRST
    is_done: bool = False


class KeysetScan:
    """Reads the rows of a table that meet all conditions, in the order of the columns of a unique key.

    `bounds`: further conditions, of the first column of the key, outside of which no row is examined.
    """

    def __init__(
        self,
        table: sa.Table,
        key: Sequence[str],
        dialect: Dialect,
        conditions: Sequence[sa.ColumnElement[bool]] = (),
        *,
        bounds: Sequence[sa.ColumnElement[bool]] = (),
        descending: bool = False,
    ) -> None:
        self._table, self._columns, self._dialect = table, [table.c[name] for name in key], dialect
        self._after = operator.lt if descending else operator.gt
        self._order = [column.desc() if descending else column for column in self._columns]
        self._bounds, self._meets = bounds, sa.and_(sa.true(), *conditions)
        self._has_all = not conditions

    def key(self, row: Any) -> Key:
        """Return the key of a row."""
        return tuple(getattr(row, column.name) for column in self._columns)

    def page(self, connection: sa.Connection, after: Key | None, limit: int) -> Sequence[Any]:
        """Return the next rows after the key, at most `limit`, however many rows must be examined."""
        return self._read(connection, sa.select(self._table).where(self._meets), after, limit)

    def step(self, connection: sa.Connection, cursor: ScanCursor, limit: int) -> tuple[Sequence[Any], ScanCursor]:
        """Return some rows after the cursor, at most `limit`, perhaps none, and the next cursor.

        A column `meets`, the last one, is added to each row.
        """
        every, begun = max(cursor.width // limit, 1), time.monotonic()
        rows = self._read(connection, self._with_milestones(every), cursor.after, limit)
        found = [row for row in rows if row.meets]
        if len(rows) < limit:
            return found, ScanCursor(is_done=True)
        examined = len(found) + every * (len(rows) - len(found))
        speed = examined / max(time.monotonic() - begun, 1e-6)
        width = min(max(int(speed * STEP_SECONDS), _LATER), _WIDEST)
        return found, ScanCursor(self.key(rows[-1]), width)

    def _with_milestones(self, every: int) -> sa.Select[Any]:
        """Return the query for the rows that meet the conditions, and for one of so many others."""
        rows = sa.select(self._table, self._meets.label("meets"))
        return rows if self._has_all else rows.where(self._meets | self._dialect.one_of(every))

    def _read(self, connection: sa.Connection, rows: sa.Select[Any], after: Key | None, limit: int) -> Sequence[Any]:
        if after is not None:
            rows = rows.where(self._is_after(after))
        return connection.execute(rows.where(*self._bounds).order_by(*self._order).limit(limit)).all()

    def _is_after(self, key: Key) -> sa.ColumnElement[bool]:
        """Return `(a, b) > (x, y)`, or `a > x OR a = x AND b > y`, for which MySQL uses an index too."""
        values = [sa.literal(value, column.type) for column, value in zip(self._columns, key, strict=True)]
        if self._dialect.compares_rows:
            compared: sa.ColumnElement[bool] = self._after(sa.tuple_(*self._columns), sa.tuple_(*values))
            return compared
        return sa.or_(
            *(
                sa.and_(
                    *map(operator.eq, self._columns[:index], values[:index]),
                    self._after(self._columns[index], values[index]),
                )
                for index in range(len(key))
            )
        )
