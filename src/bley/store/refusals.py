"""The values that a SQL database refuses, such as NUL on PostgreSQL: they alone are lost.

A transaction is tried as a whole. When the database refuses something in it, it is run again in halves, each in a
savepoint, until the refused values stand alone; all others are in the same transaction.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from bley.store.dialects import Dialect

__all__ = ["Bisected", "Portions", "Whole"]

_T = TypeVar("_T")
_Item = TypeVar("_Item")


class Portions(Protocol):
    """How work on many values is divided."""

    def each(
        self, connection: sa.Connection, work: Callable[[Sequence[_Item]], _T], items: Sequence[_Item]
    ) -> list[_T]:
        """Do the work on all items, in their order; return the result of each portion."""


class Whole:
    """All at once."""

    def each(
        self, connection: sa.Connection, work: Callable[[Sequence[_Item]], _T], items: Sequence[_Item]
    ) -> list[_T]:
        """See Portions."""
        return [work(items)] if items else []


class Bisected:
    """In as many portions as are needed to leave out what is `refused`: values, and why."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.refused: list[tuple[Any, str]] = []

    def each(
        self, connection: sa.Connection, work: Callable[[Sequence[_Item]], _T], items: Sequence[_Item]
    ) -> list[_T]:
        """See Portions."""
        if not items:
            return []
        try:
            with connection.begin_nested():
                return [work(items)]
        except Exception as error:
            if not self._dialect.refuses(error):
                raise
            if len(items) == 1:
                self.refused.append((items[0], self._dialect.reason(error)))
                return []
        middle = len(items) // 2
        return self.each(connection, work, items[:middle]) + self.each(connection, work, items[middle:])
