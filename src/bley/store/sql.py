"""The SQL engine: SQLAlchemy Core, here on SQLite.

Table `triplets`, one row a triplet: (client, sender, recipient) is the primary key; `status` 0 greylisted, 1 clean,
2 trusted; `first_seen` and `last_seen` are microseconds since 1970-01-01 UTC; `attempts` counts early retries.
A row is only ever written by the upsert below, which does what core.greylist.merged says.

SQLite runs in WAL with synchronous NORMAL: a crash of bley loses nothing; a power cut may lose the last moment's
records, that is one more wait for these mails. Source: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from bley.core.errors import StoreError
from bley.core.greylist import Record, Sighting, Status
from bley.core.mail import Triplet

__all__ = ["SqlEngine", "open_sqlite"]

_LOCK_SECONDS = 0.5
"""How long SQLite waits for another process's lock before the transaction fails."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_triplets = sa.Table(
    "triplets",
    sa.MetaData(),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("sender", sa.Text, primary_key=True),
    sa.Column("recipient", sa.Text, primary_key=True),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("first_seen", sa.BigInteger, nullable=False),
    sa.Column("last_seen", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Index("triplets_by_age", "status", "last_seen"),
    sqlite_with_rowid=False,
)
_t = _triplets.c
_SCHEMA: list[ExecutableDDLElement] = [
    CreateTable(_triplets, if_not_exists=True),
    *(CreateIndex(index, if_not_exists=True) for index in _triplets.indexes),
]


class SqlEngine:
    """Keeps records in a SQL database; if `read_only`, it writes nothing."""

    def __init__(self, database: AsyncEngine, *, read_only: bool = False) -> None:
        self._database, self._read_only = database, read_only
        self._is_prepared = read_only

    async def transact(self, sightings: Sequence[Sighting], triplets: Sequence[Triplet]) -> list[Record | None]:
        """See Engine."""
        async with self._transaction() as connection:
            if sightings and not self._read_only:
                await connection.execute(_upsert, [_row(sighting) for sighting in sightings])
            if sightings and not triplets:
                return []
            keys = [[triplet.client, triplet.sender, triplet.recipient] for triplet in triplets]
            rows = await connection.execute(_find, {"keys": json.dumps(keys)})
            found = {Triplet(row.client, row.sender, row.recipient): _record(row) for row in rows}
        return [found.get(triplet) for triplet in triplets]

    async def purge(self, *, greylisted_before: datetime, known_before: datetime, limit: int) -> int:
        """See Engine."""
        old = sa.or_(
            sa.and_(_t.status == Status.GREYLISTED, _t.last_seen < _microseconds(greylisted_before)),
            sa.and_(_t.status.in_([Status.CLEAN, Status.TRUSTED]), _t.last_seen < _microseconds(known_before)),
        )
        keys = sa.select(_t.client, _t.sender, _t.recipient).where(old).limit(limit)
        async with self._transaction() as connection:
            rows = (await connection.execute(keys)).all()
            if rows:
                await connection.execute(_delete, [row._asdict() for row in rows])
        return len(rows)

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, in a database that has our tables; what goes wrong in it is a StoreError."""
        try:
            async with self._database.begin() as connection:
                if not self._is_prepared:
                    for statement in _SCHEMA:
                        await connection.execute(statement)
                    self._is_prepared = True
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(_reason(error)) from error

    async def close(self) -> None:
        """See Engine."""
        await self._database.dispose()


def open_sqlite(file: Path, *, read_only: bool = False) -> SqlEngine:
    """An engine on the SQLite file, which is made when it is not there, unless `read_only`."""
    url = sa.URL.create(
        "sqlite+aiosqlite",
        database=f"file:{quote(str(file))}",
        query={"uri": "true", "mode": "ro" if read_only else "rwc"},
    )
    database = create_async_engine(
        url, pool_size=1, max_overflow=0, connect_args={"timeout": _LOCK_SECONDS}, poolclass=sa.AsyncAdaptedQueuePool
    )

    @sa.event.listens_for(database.sync_engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        if not read_only:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return SqlEngine(database, read_only=read_only)


_wanted = sa.func.json_each(sa.bindparam("keys")).table_valued("value", name="wanted")
_find = sa.select(_triplets).select_from(
    # A join: SQLite does not use the index for (client, sender, recipient) IN (…)
    _wanted.join(
        _triplets,
        sa.and_(
            *(
                column == sa.func.json_extract(_wanted.c.value, f"$[{place}]")
                for place, column in enumerate((_t.client, _t.sender, _t.recipient))
            )
        ),
    )
)
_delete = sa.delete(_triplets).where(
    *(column == sa.bindparam(f"{column.name}") for column in (_t.client, _t.sender, _t.recipient))
)


def _merge() -> Insert:
    """core.greylist.merged, as one statement."""
    statement = insert(_triplets).values({column.name: sa.bindparam(column.name) for column in _t})
    new = statement.excluded
    is_old = sa.and_(_t.status == Status.GREYLISTED, _t.first_seen < sa.bindparam("forget_before"))

    def unless_old(value: sa.ColumnElement[int], column: str) -> sa.ColumnElement[int]:
        return sa.case((is_old, new[column]), else_=value)

    return statement.on_conflict_do_update(
        index_elements=[_t.client, _t.sender, _t.recipient],
        set_={
            "status": unless_old(sa.func.max(_t.status, new.status), "status"),
            "first_seen": unless_old(sa.func.min(_t.first_seen, new.first_seen), "first_seen"),
            "last_seen": unless_old(sa.func.max(_t.last_seen, new.last_seen), "last_seen"),
            "attempts": unless_old(_t.attempts + new.attempts, "attempts"),
        },
    )


_upsert = _merge()


def _row(sighting: Sighting) -> dict[str, object]:
    seen = _microseconds(sighting.seen)
    return {
        "client": sighting.triplet.client,
        "sender": sighting.triplet.sender,
        "recipient": sighting.triplet.recipient,
        "status": int(sighting.status),
        "first_seen": seen,
        "last_seen": seen,
        "attempts": sighting.attempts,
        "forget_before": _microseconds(sighting.forget_before),
    }


def _record(row: sa.Row[Any]) -> Record:
    return Record(Status(row.status), _instant(row.first_seen), _instant(row.last_seen), row.attempts)


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def _reason(error: SQLAlchemyError) -> str:
    """The driver's own words, without SQLAlchemy's statement and parameters."""
    return str(getattr(error, "orig", None) or error)
