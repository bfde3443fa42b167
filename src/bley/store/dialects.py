"""What SQLite, PostgreSQL, and MySQL or MariaDB do each in their own way."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from bley.core.errors import StoreError
from bley.core.mail import Triplet
from bley.store.engine import ANSWER_SECONDS
from bley.store.sql_schema import triplets
from bley.store.sqlite_file import check_file, make_files_private

__all__ = ["VALUE_ERRORS", "Dialect", "Mysql", "Postgresql", "Sqlite", "driver_message", "printable"]

VALUE_ERRORS = (UnicodeError, PydanticSerializationError)
"""What is raised for text that no database is given: half of a surrogate pair."""

_LOCK_NUMBER = 0x626C6579  # "bley"
_LOCK_SECONDS = 600
_LONGEST_WORDS = 300
_SQLITE = sqlite.dialect()


class Dialect:
    """How to say it to this kind of database; `place` is what people call this one."""

    find: str
    """All rows of `triplets` under the keys in the parameter `keys`, a JSON array of [client, sender, recipient]."""

    errors: tuple[type[BaseException], ...] = ()
    """What the driver raises that SQLAlchemy does not turn into its own."""

    answer_seconds: float | None = ANSWER_SECONDS
    """See Engine."""
    compares_rows = True
    """Whether an index is used for `(a, b) > (x, y)`."""

    def __init__(self, place: str) -> None:
        self.place = place

    def insert(self, table: sa.Table) -> Any:
        """An INSERT into the table, for `write`."""
        raise NotImplementedError

    def write(self, connection: sa.Connection, insert: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """INSERT these rows, each of which has the same columns, of their table's all that are not counted up."""
        connection.execute(insert, rows)

    def read(self, connection: sa.Connection, triplets: Sequence[Triplet]) -> Iterable[Sequence[Any]]:
        """The rows of `triplets` that there are."""
        return connection.execute(sa.text(self.find), {"keys": json.dumps(triplets)})

    def new(self, insert: Any) -> Any:
        """The columns of the row that is inserted, for `or_update`."""
        return insert.excluded

    def or_update(self, insert: Any, changes: Mapping[str, Any]) -> sa.Executable:
        """The INSERT that, where the key is there already, makes these changes, in their order."""
        statement: sa.Insert = insert.on_conflict_do_update(index_elements=insert.table.primary_key, set_=changes)
        return statement

    def delete_some(self, table: sa.Table, condition: sa.ColumnElement[bool], limit: int) -> sa.Delete:
        """Delete at most so many rows for which the condition holds, be it that they were changed a moment ago."""
        key = sa.tuple_(*table.primary_key)
        return sa.delete(table).where(condition, key.in_(sa.select(*table.primary_key).where(condition).limit(limit)))

    def check(self, connection: sa.Connection) -> None:
        """Raise StoreError when this database can never be the store."""

    def make_private(self, connection: sa.Connection) -> None:
        """Take what an earlier program left here from all other users of the machine."""

    def begin(self, connection: sa.Connection, *, writes: bool) -> None:
        """Begin the transaction."""
        connection.begin()

    def locked(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Nobody else is in here at the same time, on whatever node."""
        raise NotImplementedError

    def may_try_again(self, error: BaseException) -> bool:
        """Whether the transaction only lost against another one, or its connection had ended meanwhile."""
        return isinstance(error, DBAPIError) and error.connection_invalidated

    def is_busy(self, error: BaseException) -> bool:
        """Return whether another process held the lock for longer than the driver waits."""
        return False

    def refuses(self, error: BaseException) -> bool:
        """Return whether the database works, and would never take one of the values."""
        return isinstance(error, (DataError, IntegrityError, *VALUE_ERRORS))

    def reason(self, error: BaseException) -> str:
        """What went wrong where, in one line for the operator: the driver's words, without statement and parameters."""
        return f"{self.place}: {driver_message(error)}"


class Sqlite(Dialect):
    """SQLite."""

    errors = (OSError, sqlite3.Error)
    answer_seconds = None

    # A join: SQLite does not use the index for (client, sender, recipient) IN (…)
    find = f"""
        SELECT json_group_array(json_array({", ".join(f"t.{column.name}" for column in triplets.columns)}))
        FROM json_each(?) AS wanted JOIN triplets AS t
        ON t.client = json_extract(wanted.value, '$[0]') AND t.sender = json_extract(wanted.value, '$[1]')
        AND t.recipient = json_extract(wanted.value, '$[2]')"""

    def insert(self, table: sa.Table) -> Any:
        """See Dialect. Its rows are one JSON array."""
        names = [column.name for column in table.columns if column is not table.autoincrement_column]
        row = sa.func.json_each(sa.bindparam("rows")).table_valued("value").c.value
        values = (sa.func.json_extract(row, sa.literal_column(f"'$[{place}]'")) for place in range(len(names)))
        # Without WHERE, SQLite takes ON CONFLICT for the ON of a join (sqlite.org/lang_upsert.html).
        return sqlite.insert(table).from_select(names, sa.select(*values).where(sa.text("true")))

    def write(self, connection: sa.Connection, insert: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """See Dialect. In one go, while which Python's lock is free for requests; else each row takes it twice."""
        connection.exec_driver_sql(_text_on_sqlite(insert), (to_json([list(row.values()) for row in rows]).decode(),))

    def read(self, connection: sa.Connection, triplets: Sequence[Triplet]) -> Iterable[Sequence[Any]]:
        """See Dialect. In one go, as `write`."""
        found: list[list[Any]] = json.loads(
            connection.exec_driver_sql(self.find, (to_json(triplets).decode(),)).scalar_one()
        )
        return found

    def make_private(self, connection: sa.Connection) -> None:
        """See Dialect. A file with tables is bley 2's, which all could read; an empty one may be the operator's."""
        if connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
            make_files_private(Path(self.place))

    def begin(self, connection: sa.Connection, *, writes: bool) -> None:
        """A transaction that will write takes the lock at once: one that read before could not wait for it."""
        check_file(connection, Path(self.place))
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def delete_some(self, table: sa.Table, condition: sa.ColumnElement[bool], limit: int) -> sa.Delete:
        """See Dialect. Nobody can change a row meanwhile; with the condition it would look at all old rows again."""
        key = sa.tuple_(*table.primary_key)
        return sa.delete(table).where(key.in_(sa.select(*table.primary_key).where(condition).limit(limit)))

    @contextmanager
    def locked(self, connection: sa.Connection) -> Iterator[None]:
        """The transaction holds the file's only lock."""
        yield

    def may_try_again(self, error: BaseException) -> bool:
        """Never: SQLite has waited for the lock already."""
        return False

    def is_busy(self, error: BaseException) -> bool:
        """See Dialect. The low byte of a code is its kind (sqlite.org/rescode.html)."""
        code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", 0)
        return code & 0xFF == sqlite3.SQLITE_BUSY

    def reason(self, error: BaseException) -> str:
        """Of a file that is gone or damaged also what to do."""
        reason = super().reason(error)
        name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return (
                f"{reason}. The file is damaged: stop bley, move it away, and put a backup in its place, or what "
                f"`sqlite3 {self.place} .dump | sed 's/^ROLLBACK.*/COMMIT;/' | sqlite3 NEW` saves; "
                "without either bley begins anew"
            )
        file = Path(self.place)
        if not file.parent.exists():
            return f"{reason}. There is no folder {file.parent}: make it, or mount its file system"
        if not file.exists():
            return f"{reason}. There is no such file: put it back, or restart bley to begin anew"
        return reason


@cache
def _text_on_sqlite(statement: Any) -> str:
    return str(statement.compile(dialect=_SQLITE))


class Postgresql(Dialect):
    """PostgreSQL from 12 on."""

    find = """
        SELECT t.* FROM json_array_elements(CAST(:keys AS json)) AS wanted(value) JOIN triplets AS t
        ON t.client = wanted.value->>0 AND t.sender = wanted.value->>1 AND t.recipient = wanted.value->>2"""

    _TRANSIENT = ("40001", "40P01")  # serialization_failure, deadlock_detected
    _REFUSALS = ("22", "23", "54")  # data exception, integrity constraint violation, program limit exceeded

    def __init__(self, place: str) -> None:
        import asyncpg

        super().__init__(place)
        self.errors = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

    def insert(self, table: sa.Table) -> Any:
        """See Dialect."""
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def check(self, connection: sa.Connection) -> None:
        """See Dialect."""
        encoding = connection.scalar(sa.text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise StoreError(
                f"{self.place}: its encoding is {encoding}: make a database with ENCODING 'UTF8' for bley, and fetch "
                "what a bley 2 left in this one by `bley import bley URL`"
            )

    @contextmanager
    def locked(self, connection: sa.Connection) -> Iterator[None]:
        """To the end of the transaction."""
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
        yield

    def may_try_again(self, error: BaseException) -> bool:
        """See Dialect."""
        return super().may_try_again(error) or _sqlstate(error) in self._TRANSIENT

    def refuses(self, error: BaseException) -> bool:
        """See Dialect. SQLAlchemy makes no DataError of asyncpg's (sqlalchemy.dialects.postgresql.asyncpg)."""
        return super().refuses(error) or _sqlstate(error)[:2] in self._REFUSALS


class Mysql(Dialect):
    """MySQL from 8.0 on, MariaDB from 10.6 on: before, they have no JSON_TABLE."""

    # The order is ours: the optimizer knows nothing of how few are wanted.
    find = f"""
        SELECT t.* FROM JSON_TABLE(:keys, '$[*]' COLUMNS({
        ", ".join(
            f"{name} VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[{place}]'"
            for place, name in enumerate(("client", "sender", "recipient"))
        )
    })) AS wanted STRAIGHT_JOIN triplets AS t
        ON t.client = wanted.client AND t.sender = wanted.sender AND t.recipient = wanted.recipient"""

    compares_rows = False  # its range optimizer knows row constructors in IN alone

    _TRANSIENT = (1205, 1213)  # ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK
    # Out of range, too long, wrong characters, wrong JSON; those of them for which the driver has no DataError.
    _REFUSALS = (1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1690, 3140, 3141, 3143, 3144, 4025, 4037, 4038, 4078)

    def __init__(self, place: str) -> None:
        import pymysql

        super().__init__(place)
        self.errors = (OSError, TimeoutError, pymysql.MySQLError)

    def insert(self, table: sa.Table) -> Any:
        """See Dialect."""
        from sqlalchemy.dialects import mysql

        return mysql.insert(table)

    def new(self, insert: Any) -> Any:
        """See Dialect."""
        return insert.inserted

    def or_update(self, insert: Any, changes: Mapping[str, Any]) -> sa.Executable:
        """See Dialect. In the words of MySQL 5.7, which all still know.

        In those of 8.0 (`AS new`) the driver would not see that it can put many rows into one statement.
        """
        from sqlalchemy.dialects import mysql

        statement = insert.on_duplicate_key_update(list(changes.items()))
        return sa.text(str(statement.compile(dialect=mysql.dialect(paramstyle="named"))))

    def delete_some(self, table: sa.Table, condition: sa.ColumnElement[bool], limit: int) -> sa.Delete:
        """See Dialect."""
        return sa.delete(table).where(condition).with_dialect_options(mysql_limit=limit)

    @contextmanager
    def locked(self, connection: sa.Connection) -> Iterator[None]:
        """For this database."""
        name = sa.func.concat("bley ", sa.func.md5(sa.func.database()))  # at most 64 characters
        if connection.scalar(sa.select(sa.func.get_lock(name, _LOCK_SECONDS))) != 1:
            raise StoreError(f"{self.place}: another node is still upgrading the tables")
        # Not as a table's option: SQLAlchemy would load all of its MySQL for SQLite too.
        connection.execute(sa.text("SET default_storage_engine = InnoDB"))
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.release_lock(name)))

    def may_try_again(self, error: BaseException) -> bool:
        """See Dialect."""
        return super().may_try_again(error) or _errno(error) in self._TRANSIENT

    def refuses(self, error: BaseException) -> bool:
        """See Dialect."""
        return super().refuses(error) or _errno(error) in self._REFUSALS


def _sqlstate(error: BaseException) -> str:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _errno(error: BaseException) -> object:
    arguments = getattr(getattr(error, "orig", None), "args", ())
    return arguments[0] if arguments else None


def driver_message(error: BaseException) -> str:
    """The driver's own words in one line, without its number, and with the system's error that it came from."""
    error = getattr(error, "orig", None) or error
    text = error.args[1] if len(error.args) == 2 and not isinstance(error, OSError) else error  # MySQL's: number, text
    words = printable(" ".join(str(text).split()).removesuffix("."))
    if isinstance(error.__cause__, OSError):
        words = words if str(error.__cause__) in words else f"{words}: {error.__cause__}"
    return words or ("no answer" if isinstance(error, TimeoutError) else type(error).__name__)


def printable(text: str) -> str:
    """Return at most 300 characters, since some drivers repeat the value that they refuse."""
    signs = text[:_LONGEST_WORDS]
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in signs)
