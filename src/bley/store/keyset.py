"""Keyset paging: a table is read in steps, in the order of a key, without OFFSET; each step starts after the last one.

A step examines at most as many rows as its width, and returns at most so many of those that meet the conditions. So its
time is bounded, whatever the table contains, and a search can be cancelled between two steps.
"""

import operator
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

__all__ = ["Key", "KeysetScan", "ScanCursor"]

_NARROWEST, _WIDEST = 2000, 1_000_000
"""Rows that a step examines: few at first, as most searches soon have enough, then as many as take STEP_SECONDS."""

STEP_SECONDS = 0.5
"""The time of a step, by the speed of the one before. A step is work of the database, and holds up no mail."""

Key = tuple[Any, ...]


class ScanCursor(NamedTuple):
    """The position of a scan, which has examined all rows up to `after`; None: none yet."""

    after: Key | None = None
    end: Key | None = None
    """The last key of the present width; None: the end of the table, if `has_end`."""
    has_end: bool = False
    width: int = _NARROWEST
    is_done: bool = False


class KeysetScan:
    """Reads the rows of a table that meet all conditions, in the order of the columns of a unique key.

    `compares_rows`: the database uses an index for `(a, b) > (x, y)`.
    """

    def __init__(
        self,
        table: sa.Table,
        key: Sequence[str],
        conditions: Sequence[sa.ColumnElement[bool]] = (),
        *,
        descending: bool = False,
        compares_rows: bool,
    ) -> None:
        self._columns = [table.c[name] for name in key]
        self._after, self._up_to = (operator.lt, operator.ge) if descending else (operator.gt, operator.le)
        self._compares_rows = compares_rows
        order = [column.desc() if descending else column for column in self._columns]
        self._rows = sa.select(table).where(*conditions).order_by(*order)
        self._keys = sa.select(*self._columns).order_by(*order)

    def key(self, row: Any) -> Key:
        """Return the key of a row."""
        return tuple(getattr(row, column.name) for column in self._columns)

    def page(self, connection: sa.Connection, after: Key | None, limit: int) -> Sequence[Any]:
        """Return the next rows after the key, at most `limit`, however many rows must be examined."""
        return connection.execute(self._starting(after, self._rows).limit(limit)).all()

    def step(self, connection: sa.Connection, cursor: ScanCursor, limit: int) -> tuple[Sequence[Any], ScanCursor]:
        """Return some rows after the cursor, at most `limit`, perhaps none, and the next cursor."""
        end, width, begun = cursor.end, cursor.width, time.monotonic()
        if not cursor.has_end:
            keys = connection.execute(self._starting(cursor.after, self._keys).offset(width - 1).limit(1)).all()
            end = tuple(keys[0]) if keys else None
        rows = self._starting(cursor.after, self._rows)
        if end is not None:
            rows = rows.where(self._compare(self._up_to, end))
        found = connection.execute(rows.limit(limit)).all()
        if len(found) == limit:
            return found, ScanCursor(self.key(found[-1]), end, has_end=True, width=width)
        speed = width / max(time.monotonic() - begun, 1e-6)
        return found, ScanCursor(end, width=_within_limits(speed * STEP_SECONDS), is_done=end is None)

    def _starting(self, after: Key | None, select: sa.Select[Any]) -> sa.Select[Any]:
        return select if after is None else select.where(self._compare(self._after, after))

    def _compare(self, comparison: Any, key: Key) -> sa.ColumnElement[bool]:
        """Return `(a, b) > (x, y)`, or `a > x OR a = x AND b > y`, for which MySQL uses an index too."""
        values = [sa.literal(value, column.type) for column, value in zip(self._columns, key, strict=True)]
        if self._compares_rows:
            compared: sa.ColumnElement[bool] = comparison(sa.tuple_(*self._columns), sa.tuple_(*values))
            return compared
        strictly = {operator.ge: operator.gt, operator.le: operator.lt}.get(comparison, comparison)
        last = len(key) - 1
        return sa.or_(
            *(
                sa.and_(
                    *map(operator.eq, self._columns[:index], values[:index]),
                    (comparison if index == last else strictly)(self._columns[index], values[index]),
                )
                for index in range(len(key))
            )
        )


def _within_limits(width: float) -> int:
    return int(min(max(width, _NARROWEST), _WIDEST))
