"""How a table is read in the order of a key, step by step, without OFFSET: each step begins where the last one ended.

A step looks at no more rows than its width, of which the conditions let some through, and returns at most so many. So
its time is bounded whatever the table has, and between two steps a search can be ended.
"""

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

__all__ = ["Key", "KeysetScan", "ScanCursor"]

_NARROWEST, _WIDEST = 200, 20_000
"""Rows that a step looks at: few at first, as most searches soon have enough; at the most some 20 ms of a database."""

Key = tuple[Any, ...]


class ScanCursor(NamedTuple):
    """How far a scan is: all up to `behind` was looked at; None: nothing yet."""

    behind: Key | None = None
    edge: Key | None = None
    """Up to where the rows are read; None: to the end of the table, if `knows_edge`."""
    knows_edge: bool = False
    width: int = _NARROWEST
    is_done: bool = False


class KeysetScan:
    """Reads the rows of a table that meet all conditions, by the columns of a unique key.

    `compares_rows`: the database uses an index for `(a, b) > (x, y)`.
    """

    def __init__(
        self,
        table: sa.Table,
        key: Sequence[str],
        conditions: Sequence[sa.ColumnElement[bool]],
        *,
        descending: bool,
        compares_rows: bool,
    ) -> None:
        self._columns = [table.c[name] for name in key]
        self._forward, self._up_to = (operator.lt, operator.ge) if descending else (operator.gt, operator.le)
        self._compares_rows = compares_rows
        order = [column.desc() if descending else column for column in self._columns]
        self._rows = sa.select(table).where(*conditions).order_by(*order)
        self._keys = sa.select(*self._columns).order_by(*order)

    def step(self, connection: sa.Connection, place: ScanCursor, most: int) -> tuple[Sequence[Any], ScanCursor]:
        """Some more rows behind this place, at most `most`, perhaps none; and where to go on."""
        edge, width = place.edge, place.width
        if not place.knows_edge:
            keys = connection.execute(self._behind(place, self._keys).offset(width - 1).limit(1)).all()
            edge, width = tuple(keys[0]) if keys else None, min(4 * width, _WIDEST)
        rows = self._behind(place, self._rows)
        if edge is not None:
            rows = rows.where(self._compare(self._up_to, edge))
        found = connection.execute(rows.limit(most)).all()
        if len(found) == most:
            last = tuple(getattr(found[-1], column.name) for column in self._columns)
            return found, ScanCursor(last, edge, knows_edge=True, width=width)
        return found, ScanCursor(edge, width=width, is_done=edge is None)

    def _behind(self, place: ScanCursor, select: sa.Select[Any]) -> sa.Select[Any]:
        return select if place.behind is None else select.where(self._compare(self._forward, place.behind))

    def _compare(self, than: Any, key: Key) -> sa.ColumnElement[bool]:
        """`(a, b) > (x, y)`, or that in words by which MySQL goes by an index too: `a > x OR a = x AND b > y`."""
        values = [sa.literal(value, column.type) for column, value in zip(self._columns, key, strict=True)]
        if self._compares_rows:
            compared: sa.ColumnElement[bool] = than(sa.tuple_(*self._columns), sa.tuple_(*values))
            return compared
        strictly = {operator.ge: operator.gt, operator.le: operator.lt}.get(than, than)
        last = len(key) - 1
        return sa.or_(
            *(
                sa.and_(
                    *map(operator.eq, self._columns[:place], values[:place]),
                    (than if place == last else strictly)(self._columns[place], values[place]),
                )
                for place in range(len(key))
            )
        )
