"""The differences between the databases: PostgreSQL, and MySQL or MariaDB; SQLite is in sqlite_dialect.py."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from bley.core.errors import StoreError
from bley.core.mail import Triplet
from bley.store.driver_errors import VALUE_ERRORS, driver_message, errno, sqlstate
from bley.store.engine import ANSWER_SECONDS
from bley.store.sql_schema import METADATA

__all__ = ["FIND_ROWS", "Dialect", "Mysql", "Postgresql"]

_LOCK_NUMBER = 0x626C6579  # "bley"
_LOCK_SECONDS = 600


FIND_ROWS = """
    SELECT '' AS network, 0 AS verified, t.* FROM wanted AS w
    JOIN triplets AS t ON t.client = w.client AND t.sender = w.sender AND t.recipient = w.recipient
    UNION ALL
    SELECT w.client AS network, v.last_seen AS verified, t.* FROM wanted AS w
    JOIN verified_domains AS v ON v.network = w.client
    JOIN triplets AS t ON t.client = v.domain AND t.sender = w.sender AND t.recipient = w.recipient"""
"""The rows of the triplets in the table `wanted`, as in `Dialect.find`."""


class Dialect:
    """The statements and errors of one kind of database; `place` is the name of the database in messages."""

    find: str
    """Selects the rows of `triplets` whose keys are in the parameter `keys`, a JSON array of arrays of three texts.

    Before each row: '' and 0; or the network in the key and when the domain under which the row stands was last
    verified on it.
    """

    errors: tuple[type[BaseException], ...] = ()
    """The errors of the driver that SQLAlchemy does not wrap."""

    answer_seconds: float | None = ANSWER_SECONDS
    indexes_text = False
    """Whether there is an index of sql_schema.DECISION_TEXT."""
    compares_rows = True
    """Whether the database uses an index for `(a, b) > (x, y)`."""

    def __init__(self, place: str) -> None:
        self.place = place

    def insert(self, table: sa.Table) -> Any:
        """Return an INSERT into the table, for `write`."""
        raise NotImplementedError

    def write(self, connection: sa.Connection, insert: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute the INSERT for these rows, which have all columns of the table, in order, but auto-increment ones."""
        connection.execute(insert, rows)

    def write_new(self, connection: sa.Connection, upsert: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute the upsert for rows that are mostly new, as `write` does.

        Doing so twice for a row makes no difference, unless the row has attempts, which are added.
        """
        self.write(connection, upsert, rows)

    def read(self, connection: sa.Connection, triplets: Sequence[Triplet]) -> Iterable[Sequence[Any]]:
        """Return the existing rows of `triplets`, also those under domains that were verified on their networks."""
        return connection.execute(sa.text(self.find), {"keys": json.dumps(triplets)})

    def inserted(self, insert: Any) -> Any:
        """Return the columns of the row that is inserted, for `upsert`."""
        return insert.excluded

    def upsert(self, insert: Any, changes: Mapping[str, Any]) -> sa.Executable:
        """Return the INSERT that makes these changes, in order, to a row whose key exists already."""
        statement: sa.Insert = insert.on_conflict_do_update(index_elements=insert.table.primary_key, set_=changes)
        return statement

    def delete_batch(self, table: sa.Table, condition: sa.ColumnElement[bool], limit: int) -> sa.Delete:
        """Return a DELETE of at most `limit` rows that meet the condition, which is checked again on deletion."""
        key = sa.tuple_(*table.primary_key)
        return sa.delete(table).where(condition, key.in_(sa.select(*table.primary_key).where(condition).limit(limit)))

    def check(self, connection: sa.Connection) -> None:
        """Raise StoreError if this database can never be the store."""

    def is_indexed(self, connection: sa.Connection) -> bool:
        """Return whether the tables, if there are some, have all indexes that an upgrade of the same version adds."""
        return True

    def try_tables(self, connection: sa.Connection) -> None:
        """Create the tables, and undo that. Raises the driver's error if bley lacks the right."""
        METADATA.create_all(connection)
        connection.rollback()

    def one_of(self, number: int) -> sa.ColumnElement[bool]:
        """Return a condition that one of so many rows meets, at random."""
        return sa.func.random() * number < 1

    def make_private(self, connection: sa.Connection) -> None:
        """Remove the access of other users to the files of an earlier bley."""

    def begin(self, connection: sa.Connection, *, writes: bool) -> None:
        """Begin the transaction."""
        connection.begin()

    def locked(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Return a lock that excludes all other processes, on all nodes."""
        raise NotImplementedError

    def is_transient(self, error: BaseException) -> bool:
        """Return whether a retry may help: the transaction conflicted with another, or its connection was closed."""
        return isinstance(error, DBAPIError) and error.connection_invalidated

    def is_busy(self, error: BaseException) -> bool:
        """Return whether another process held the lock for longer than the driver waits."""
        return False

    def is_refusal(self, error: BaseException) -> bool:
        """Return whether the database works, but will never accept one of the values."""
        return isinstance(error, (DataError, IntegrityError, *VALUE_ERRORS))

    def message(self, error: BaseException) -> str:
        """Return one line for the operator: the name and the driver's message, without statement and parameters."""
        return f"{self.place}: {driver_message(error)}"


class Postgresql(Dialect):
    """PostgreSQL, version 12 or later."""

    find = f"""
        WITH wanted AS (SELECT value->>0 AS client, value->>1 AS sender, value->>2 AS recipient
        FROM json_array_elements(CAST(:keys AS json)) AS key(value)) {FIND_ROWS}"""

    _TRANSIENT = ("40001", "40P01")  # serialization_failure, deadlock_detected
    _REFUSALS = ("22", "23", "54")  # data exception, integrity constraint violation, program limit exceeded

    def __init__(self, place: str) -> None:
        import asyncpg

        super().__init__(place)
        self.errors = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

    def insert(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def check(self, connection: sa.Connection) -> None:
        encoding = connection.scalar(sa.text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise StoreError(
                f"{self.place}: its encoding is {encoding}: create a database with ENCODING 'UTF8' for bley, and "
                "import the records of bley 2 from this one by `bley import bley URL`"
            )

    @contextmanager
    def locked(self, connection: sa.Connection) -> Iterator[None]:
        """Lock until the end of the transaction."""
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
        yield

    def is_transient(self, error: BaseException) -> bool:
        return super().is_transient(error) or sqlstate(error) in self._TRANSIENT

    def is_refusal(self, error: BaseException) -> bool:
        """Check the SQLSTATE too: SQLAlchemy does not wrap asyncpg's DataError."""
        return super().is_refusal(error) or sqlstate(error)[:2] in self._REFUSALS


class Mysql(Dialect):
    """MySQL 8.0 or MariaDB 10.6, or later: older versions have no JSON_TABLE."""

    # STRAIGHT_JOIN, because the optimizer cannot know how few rows are queried.
    find = f"""
        WITH wanted AS (SELECT * FROM JSON_TABLE(:keys, '$[*]' COLUMNS({
        ", ".join(
            f"{name} VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[{place}]'"
            for place, name in enumerate(("client", "sender", "recipient"))
        )
    })) AS keys_) {FIND_ROWS.replace("JOIN", "STRAIGHT_JOIN")}"""

    compares_rows = False  # the range optimizer supports row constructors in IN only

    _TRANSIENT = (1205, 1213)  # ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK
    _DOUBLED_COLUMN = 1060  # ER_DUP_FIELDNAME
    # Out of range, too long, invalid characters, invalid JSON: those for which the driver raises no DataError.
    _REFUSALS = (1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1690, 3140, 3141, 3143, 3144, 4025, 4037, 4038, 4078)

    def __init__(self, place: str) -> None:
        import pymysql

        super().__init__(place)
        self.errors = (OSError, TimeoutError, pymysql.MySQLError)

    def try_tables(self, connection: sa.Connection) -> None:
        """Create a table that no server accepts, since a valid one could not be undone: the right is checked first."""
        try:
            connection.exec_driver_sql("CREATE TABLE bley_trial (doubled INTEGER, doubled INTEGER)")
        except DBAPIError as error:
            if errno(error) != self._DOUBLED_COLUMN:
                raise

    def insert(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects import mysql

        return mysql.insert(table)

    def inserted(self, insert: Any) -> Any:
        return insert.inserted

    def upsert(self, insert: Any, changes: Mapping[str, Any]) -> sa.Executable:
        """Return the INSERT in the syntax of MySQL 5.7, which all versions accept.

        With that of 8.0 (`AS new`) the driver does not recognize that it can put many rows into one statement.
        """
        from sqlalchemy.dialects import mysql

        statement = insert.on_duplicate_key_update(list(changes.items()))
        return sa.text(str(statement.compile(dialect=mysql.dialect(paramstyle="named"))))

    def delete_batch(self, table: sa.Table, condition: sa.ColumnElement[bool], limit: int) -> sa.Delete:
        return sa.delete(table).where(condition).with_dialect_options(mysql_limit=limit)

    @contextmanager
    def locked(self, connection: sa.Connection) -> Iterator[None]:
        """Lock by a name that contains the database."""
        name = sa.func.concat("bley ", sa.func.md5(sa.func.database()))  # at most 64 characters
        if connection.scalar(sa.select(sa.func.get_lock(name, _LOCK_SECONDS))) != 1:
            raise StoreError(f"{self.place}: another node is still upgrading the tables")
        # Not as an option of the tables: SQLAlchemy would load its MySQL dialect for SQLite too.
        connection.execute(sa.text("SET default_storage_engine = InnoDB"))
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.release_lock(name)))

    def is_transient(self, error: BaseException) -> bool:
        return super().is_transient(error) or errno(error) in self._TRANSIENT

    def is_refusal(self, error: BaseException) -> bool:
        return super().is_refusal(error) or errno(error) in self._REFUSALS
