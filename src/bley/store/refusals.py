"""The isolation of values that a SQL database refuses, such as NUL on PostgreSQL, so that only they are lost.

A transaction is tried as a whole. If the database refuses a value, the transaction is repeated with the values
bisected, each half in a savepoint, until the refused values are alone. All other values are committed in it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from bley.store.dialects import Dialect

__all__ = ["Bisected", "Portions", "Whole"]

_T = TypeVar("_T")
_Item = TypeVar("_Item")


class Portions(Protocol):
    """A division of work on many values."""

    def each(
        self, connection: sa.Connection, work: Callable[[Sequence[_Item]], _T], items: Sequence[_Item]
    ) -> list[_T]:
        """Do the work on all items, in order; return the result of each portion."""


class Whole:
    """All values in one portion."""

    def each(
        self, connection: sa.Connection, work: Callable[[Sequence[_Item]], _T], items: Sequence[_Item]
    ) -> list[_T]:
        return [work(items)] if items else []


class Bisected:
    """As many portions as are needed to skip the `refused` values; each is stored with the reason."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.refused: list[tuple[Any, str]] = []

    def each(
        self, connection: sa.Connection, work: Callable[[Sequence[_Item]], _T], items: Sequence[_Item]
    ) -> list[_T]:
        if not items:
            return []
        try:
            with connection.begin_nested():
                return [work(items)]
        except Exception as error:
            if not self._dialect.is_refusal(error):
                raise
            if len(items) == 1:
                self.refused.append((items[0], self._dialect.message(error)))
                return []
        middle = len(items) // 2
        return self.each(connection, work, items[:middle]) + self.each(connection, work, items[middle:])
