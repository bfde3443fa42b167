"""The dialect of SQLite: a statement works on many rows, and its errors concern a file."""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from bley.core.mail import Triplet
from bley.store.dialects import FIND_ROWS, Dialect
from bley.store.sql_schema import triplets
from bley.store.sqlite_file import check_file, find_obstacle, make_files_private

__all__ = ["Sqlite"]

_SQLITE = sqlite.dialect()
_VALUES = re.compile(r"VALUES (\([?, ]+\))")

_ROWS_AT_ONCE, _KEYS_AT_ONCE = 64, 256
"""The rows and keys in one statement. SQLite before 3.32 has at most 999 parameters, and no table has 15 columns."""

_NUMBERS = (64, 32, 16, 8, 4, 2, 1)
"""The different numbers of rows, few of them, since SQLite prepares a statement for each."""

_Row = Mapping[str, Any]


class Sqlite(Dialect):
    """SQLite."""

    errors = (OSError, sqlite3.Error)
    answer_seconds = None
    indexes_text = True

    def insert(self, table: sa.Table) -> Any:
        """Return an INSERT of one row, which `write` extends to many.

        OR FAIL: SQLite need not prepare to undo the statement alone. An error undoes the transaction or savepoint.
        """
        return _insert_one(table, "OR FAIL")

    def write(self, connection: sa.Connection, insert: sa.Executable, rows: Sequence[_Row]) -> None:
        """Write many rows in a statement, which releases Python's lock (GIL) once; row by row needs it twice a row."""
        start = 0
        for number in _NUMBERS:
            while len(rows) - start >= number:
                values = tuple(chain.from_iterable(row.values() for row in rows[start : start + number]))
                connection.exec_driver_sql(_text_on_sqlite(insert, number), values)
                start += number

    def write_new(self, connection: sa.Connection, upsert: Any, rows: Sequence[_Row]) -> None:
        """Insert the new rows, and execute the upsert only where there are others.

        An upsert of many rows takes twice as long: SQLite copies each page before a change, to undo the statement.
        """
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            adds = any(row.get("attempts") for row in some)
            if adds or self._insert_new(connection, upsert.table, some) < len(some):
                self.write(connection, upsert, some)

    def _insert_new(self, connection: sa.Connection, table: sa.Table, rows: Sequence[_Row]) -> int:
        """Insert the rows whose key does not exist, by one statement. Return their number."""
        number, values = _padded([row.values() for row in rows], len(rows[0]))
        return connection.exec_driver_sql(_text_on_sqlite(_insert_or_ignore(table), number), values).rowcount

    def read(self, connection: sa.Connection, triplets: Sequence[Triplet]) -> Iterable[Sequence[Any]]:
        """Read all rows in one statement, as in `write`, and as one JSON text: each row apart needs the lock again."""
        found: list[list[Any]] = []
        for start in range(0, len(triplets), _KEYS_AT_ONCE):
            number, values = _padded(triplets[start : start + _KEYS_AT_ONCE], 3)
            found += json.loads(connection.exec_driver_sql(_text_of_find(number), values).scalar_one())
        return found

    def is_indexed(self, connection: sa.Connection) -> bool:
        """Return whether there is the index that replaced decisions_by_age."""
        find = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'decisions_by_text'"
        return connection.exec_driver_sql(find).scalar() is not None

    def one_of(self, number: int) -> sa.ColumnElement[bool]:
        """Return a condition with SQLite's random number, an integer of 64 bits."""
        return sa.func.random(type_=sa.BigInteger) % number == 0

    def make_private(self, connection: sa.Connection) -> None:
        """Make the file private if it has tables: bley 2 let all users read it. An empty file is the operator's."""
        if connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
            make_files_private(Path(self.place))

    def begin(self, connection: sa.Connection, *, writes: bool) -> None:
        """Begin. A transaction that will write locks at once: one that has read before cannot wait for the lock."""
        check_file(connection, Path(self.place))
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def delete_batch(self, table: sa.Table, condition: sa.ColumnElement[bool], limit: int) -> sa.Delete:
        """Return a DELETE without the condition, which would scan all old rows again; no row can change in between."""
        key = sa.tuple_(*table.primary_key)
        return sa.delete(table).where(key.in_(sa.select(*table.primary_key).where(condition).limit(limit)))

    @contextmanager
    def locked(self, connection: sa.Connection) -> Iterator[None]:
        """Do nothing: the transaction holds the file's only lock."""
        yield

    def is_transient(self, error: BaseException) -> bool:
        """Return False: SQLite has waited for the lock already."""
        return False

    def is_busy(self, error: BaseException) -> bool:
        """Return whether the primary code, in the low byte, is SQLITE_BUSY (sqlite.org/rescode.html)."""
        code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", 0)
        return code & 0xFF == sqlite3.SQLITE_BUSY

    def message(self, error: BaseException) -> str:
        """Add the remedy if the file is missing or damaged."""
        reason = super().message(error)
        name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return (
                f"{reason}. The file is damaged: stop bley, move the file away, and restore a backup, or the output of "
                f"`sqlite3 {self.place} .dump | sed 's/^ROLLBACK.*/COMMIT;/' | sqlite3 NEW`; "
                "without either, bley starts with an empty store"
            )
        file = Path(self.place)
        if obstacle := find_obstacle(file):
            return f"{reason}. {obstacle}"
        if not file.exists():
            return f"{reason}. There is no such file: restore it, or restart bley to start with an empty store"
        return reason


def _padded(rows: Sequence[Iterable[Any]], columns: int) -> tuple[int, tuple[Any, ...]]:
    """Return a power of two, and the values of so many rows, of which those that are missing are NULL.

    NULL is no key: such a row finds nothing, and OR IGNORE skips it.
    """
    number = 1 << (len(rows) - 1).bit_length()
    return number, (*chain.from_iterable(rows), *repeat(None, columns * (number - len(rows))))


def _insert_one(table: sa.Table, conflict: str) -> Any:
    names = [column.name for column in table.columns if column is not table.autoincrement_column]
    return sqlite.insert(table).prefix_with(conflict).values({name: sa.bindparam(name) for name in names})


@cache
def _insert_or_ignore(table: sa.Table) -> Any:
    """Return the INSERT that skips a row whose key exists."""
    return _insert_one(table, "OR IGNORE")


@cache
def _text_of_find(keys: int) -> str:
    """Return the statement that finds the rows of so many triplets, as Dialect.find; NULL is no key."""
    # A join, because SQLite does not use the index for (client, sender, recipient) IN (…)
    columns = ["network", "verified", *(column.name for column in triplets.columns)]
    # JSON cannot hold a BLOB, which another program wrote.
    values = (f"CASE typeof({column}) WHEN 'blob' THEN NULL ELSE {column} END" for column in columns)
    return f"""
        WITH wanted(client, sender, recipient) AS (VALUES {", ".join(["(?, ?, ?)"] * keys)}), found AS ({FIND_ROWS})
        SELECT json_group_array(json_array({", ".join(values)})) FROM found"""


@cache
def _text_on_sqlite(insert: Any, rows: int) -> str:
    """Return the INSERT of so many rows."""
    before, values, after = _VALUES.split(str(insert.compile(dialect=_SQLITE)), 1)
    return f"{before}VALUES {', '.join([values] * rows)}{after}"
