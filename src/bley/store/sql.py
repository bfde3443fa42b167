"""The SQL engine: SQLAlchemy Core on SQLite, PostgreSQL, MySQL or MariaDB; where they differ is in dialects.py.

A row of `triplets` is only ever written by the upserts in sql_statements.py, which do what core.greylist.merged says,
or united.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import sqlalchemy as sa

from bley.core.decision import KeptDecision
from bley.core.errors import RefusedError, StoreError
from bley.core.greylist import Lifetimes, Record, Sighting, Status
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.core.triplet import ANY
from bley.store.dialects import Dialect
from bley.store.engine import SPANS, Mark, Purged, RemoteChanges
from bley.store.refusals import Bisected, Portions, Whole
from bley.store.rows import decision_row, microseconds, records_of
from bley.store.runners import Runner, Transactions
from bley.store.sql_marks import SqlMarks
from bley.store.sql_schema import METADATA, VERSION, counts, decisions, meta, triplets
from bley.store.sql_statements import Statements

__all__ = ["SqlEngine", "TakeOver"]

_PORTION = 1000

_KEY_CHECK = "key_check"
"""In `meta`: 0, or no row, while no node has claimed the key."""

_MICROSECOND = timedelta(microseconds=1)

_T = TypeVar("_T")

TakeOver = Callable[[], AsyncIterator[Sequence[tuple[Triplet, Record]]]]

_log = logging.getLogger(__name__)


class SqlEngine:
    """Keeps records in a SQL database; if `read_only`, it writes nothing.

    `take_over` reads what an earlier bley left in the same database, when it is prepared for the first time.
    """

    def __init__(
        self, runner: Runner, dialect: Dialect, *, read_only: bool = False, take_over: TakeOver | None = None
    ) -> None:
        self._transactions = Transactions(runner, dialect, read_only=read_only)
        self._dialect, self._read_only, self._take_over = dialect, read_only, take_over
        self.place, self.answer_seconds = dialect.place, dialect.answer_seconds
        self._statements, self._write = Statements(dialect), dialect.write
        self._marks = SqlMarks(dialect)

    async def is_prepared(self) -> bool:
        """See Engine."""
        return await self._transactions.run(self._version, writes=False) == VERSION

    async def prepare(self) -> None:
        """See Engine. Tables are made and upgraded under a lock, so that several nodes may start at once."""
        if self._read_only:
            return
        inherited: list[tuple[Triplet, Record]] = []
        if self._take_over and await self._transactions.run(self._version, writes=False) == 0:
            async for records in self._take_over():
                inherited += records
        await self._transactions.run(lambda connection: self._upgrade(connection, inherited))

    def _version(self, connection: sa.Connection) -> int:
        """The schema's; 0 where bley has prepared nothing yet."""
        self._dialect.check(connection)
        version = self._meta(connection, "schema") if sa.inspect(connection).has_table(meta.name) else 0
        if version > VERSION:
            raise StoreError(
                f"{self.place}: its schema is {version}, of a newer bley; this one knows {VERSION}: upgrade bley"
            )
        return version

    def _upgrade(self, connection: sa.Connection, inherited: Sequence[tuple[Triplet, Record]]) -> None:
        with self._dialect.locked(connection):
            is_new = self._version(connection) == 0  # another node may have been faster
            is_empty = not sa.inspect(connection).has_table(triplets.name)
            if is_new:
                self._dialect.make_private(connection)
            METADATA.create_all(connection)
            self._rename_columns_of_version_1(connection)
            portions = Bisected(self._dialect)
            if is_new:
                # In portions: the driver lets others go on between them.
                for start in range(0, len(inherited), _PORTION):
                    portions.each(connection, partial(self._unite, connection), inherited[start : start + _PORTION])
            self._set_meta(connection, "schema", VERSION)
            connection.commit()  # within the lock, which MySQL keeps beyond the transaction
        if is_new and is_empty:
            _log.info("store: %s is new, no records were in it", self.place)
        if inherited and is_new:
            taken = quantity(len(inherited) - len(portions.refused), "record")
            _log.info("store: took over %s of bley 2, its tables stay as they are", taken)
        for refused, why in portions.refused:
            _log.error("store: %s; not taken over, since it refuses that: %.300r", why, refused)

    def _rename_columns_of_version_1(self, connection: sa.Connection) -> None:
        there = {column["name"] for column in sa.inspect(connection).get_columns(counts.name)}
        for old, new in (("outcome", "kind"), ("reason", "name")):
            if old in there:
                connection.execute(sa.text(f"ALTER TABLE {counts.name} RENAME COLUMN {old} TO {new}"))

    async def transact(
        self, sightings: Sequence[Sighting], triplets: Sequence[Triplet], marks: Sequence[Mark | None] = ()
    ) -> Mapping[Triplet, Record]:
        """See Engine."""

        def work(connection: sa.Connection, portions: Portions) -> Mapping[Triplet, Record]:
            if sightings and not self._read_only and (left := self._marks.to_merge(connection, sightings, marks)):
                portions.each(connection, partial(self._merge, connection), left)
                self._marks.set(connection, marks)
            read = portions.each(connection, lambda some: list(self._dialect.read(connection, some)), triplets)
            return dict(records_of(row for rows in read for row in rows))

        return await self._do(work, writes=bool(sightings))

    def _merge(self, connection: sa.Connection, sightings: Sequence[Sighting]) -> None:
        for lifetime, same in groupby(sightings, key=lambda sighting: sighting.lifetimes.greylisted):
            merge = self._statements.merge(lifetime // _MICROSECOND)
            self._write(connection, merge, _sorted(map(_row_of_sighting, same)))

    async def keep(
        self, decisions: Sequence[KeptDecision], counts: Mapping[Count, int], mark: Mark | None = None
    ) -> None:
        """See Engine."""

        def keep(connection: sa.Connection, some: Sequence[KeptDecision]) -> None:
            self._write(connection, self._statements.keep, list(map(decision_row, some)))

        def add(connection: sa.Connection, some: Sequence[tuple[Count, int]]) -> None:
            self._write(connection, self._statements.count, [{**key._asdict(), "count": value} for key, value in some])

        def work(connection: sa.Connection, portions: Portions) -> None:
            if mark and self._marks.is_done(connection, mark):
                return
            portions.each(connection, partial(keep, connection), decisions)
            portions.each(connection, partial(add, connection), sorted(counts.items()))
            self._marks.set(connection, [mark])

        await self._do(work)

    async def _do(self, work: Callable[[sa.Connection, Portions], _T], *, writes: bool = True) -> _T:
        """Do the work in one transaction; all but what the database refuses, if that is something."""

        def in_halves(connection: sa.Connection) -> tuple[_T, list[tuple[Any, str]]]:
            portions = Bisected(self._dialect)
            return work(connection, portions), portions.refused

        try:
            return await self._transactions.run(lambda connection: work(connection, Whole()), writes=writes)
        except RefusedError as error:
            try:
                found, refused = await self._transactions.run(in_halves, writes=writes)
            except RefusedError as other:  # of none of the values
                raise StoreError(str(other)) from other
            if not refused:
                return found
            raise RefusedError(str(error), refused, found if isinstance(found, Mapping) else {}) from error

    async def purge(self, now: datetime, lifetimes: Lifetimes, limit: int) -> Purged:
        """See Engine."""

        def work(connection: sa.Connection) -> Purged:
            column = triplets.c
            known = column.status.in_([Status.CLEAN, Status.TRUSTED])
            purged = [
                self._purge(connection, table, is_old, limit)
                for table, is_old in (
                    (triplets, (column.status == Status.GREYLISTED) & (column.last_seen < ago(lifetimes.greylisted))),
                    (triplets, known & (column.last_seen < ago(lifetimes.known))),
                    (decisions, decisions.c.at < ago(lifetimes.decisions)),
                )
            ]
            numbers = [
                self._purge(
                    connection,
                    counts,
                    (counts.c.seconds == seconds) & (counts.c.start < ago(lifetime) // 1_000_000),
                    limit,
                )
                for seconds, lifetime in SPANS.items()
            ]
            self._marks.purge(connection, now)
            return Purged(purged[0] + purged[1], purged[2], sum(numbers))

        def ago(lifetime: timedelta) -> int:
            return microseconds(now - lifetime)

        return await self._transactions.run(work)

    def _purge(self, connection: sa.Connection, table: sa.Table, is_old: sa.ColumnElement[bool], limit: int) -> int:
        return connection.execute(self._dialect.delete_some(table, is_old, limit)).rowcount

    async def remote_changes(self) -> RemoteChanges:
        """See Engine."""

        def work(connection: sa.Connection) -> RemoteChanges:
            return RemoteChanges(self._meta(connection, "forgotten"), bool(self._meta(connection, "has_any")))

        return await self._transactions.run(work, writes=False)

    async def records(self) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        """See Engine. In the order of the primary key, a portion a transaction."""
        last: Triplet | None = None
        while True:
            rows = await self._transactions.run(partial(self._behind, last=last), writes=False)
            if rows:
                yield list(records_of(rows))
            if len(rows) < _PORTION:
                return
            last = Triplet(rows[-1].client, rows[-1].sender, rows[-1].recipient)

    def _behind(self, connection: sa.Connection, last: Triplet | None) -> Sequence[sa.Row[Any]]:
        if last is None:
            return connection.execute(self._statements.in_order.limit(_PORTION)).all()
        return connection.execute(self._statements.behind.limit(_PORTION), last._asdict()).all()

    async def unite(self, records: Sequence[tuple[Triplet, Record]], now: datetime, lifetimes: Lifetimes) -> None:
        """See Engine."""

        def work(connection: sa.Connection, portions: Portions) -> None:
            portions.each(connection, partial(self._unite, connection), records)
            if any(triplet.recipient == ANY for triplet, _ in records):
                self._set_meta(connection, "has_any", 1)

        await self._do(work)

    def _unite(self, connection: sa.Connection, records: Sequence[tuple[Triplet, Record]]) -> None:
        self._write(connection, self._statements.unite, _sorted(map(_row_of_record, records)))

    async def forget(self, forgotten: Sequence[Triplet]) -> None:
        """See Engine."""

        def work(connection: sa.Connection) -> None:
            rows = [{"client": each.client, "sender": each.sender, "recipient": each.recipient} for each in forgotten]
            if rows:
                connection.execute(self._statements.delete, rows)
            # Not read and written: of two nodes that are the first, neither would wait for the other's row.
            self._write(connection, self._statements.add_to_meta, [{"name": "forgotten", "value": 1}])

        await self._transactions.run(work)

    async def key_check(self) -> int | None:
        """See Engine."""

        def work(connection: sa.Connection) -> int | None:
            is_there = sa.inspect(connection).has_table(meta.name)
            return self._meta(connection, _KEY_CHECK) or None if is_there else None

        return await self._transactions.run(work, writes=False)

    async def claim_key(self, check: int) -> int:
        """See Engine."""

        def work(connection: sa.Connection) -> int:
            with self._dialect.locked(connection):
                if known := self._meta(connection, _KEY_CHECK):
                    return known
                self._set_meta(connection, _KEY_CHECK, check)
                connection.commit()  # within the lock, which MySQL keeps beyond the transaction
            return check

        return await self._transactions.run(work)

    async def release_key(self) -> None:
        """See Engine."""
        await self._transactions.run(lambda connection: self._set_meta(connection, _KEY_CHECK, 0))

    async def close(self) -> None:
        """See Engine."""
        await self._transactions.close()

    def _meta(self, connection: sa.Connection, name: str) -> int:
        return connection.scalar(sa.select(meta.c.value).where(meta.c.name == name)) or 0

    def _set_meta(self, connection: sa.Connection, name: str, value: int) -> None:
        self._write(connection, self._statements.set_meta, [{"name": name, "value": value}])


def _sorted(rows: Any) -> list[dict[str, Any]]:
    """In one order on all nodes, so that they do not wait for each other's rows crosswise."""
    return sorted(rows, key=lambda row: (row["client"], row["sender"], row["recipient"]))


def _row_of_sighting(sighting: Sighting) -> dict[str, Any]:
    record = Record(sighting.status, sighting.seen, sighting.seen, sighting.attempts)
    return _row_of_record((sighting.triplet, record))


def _row_of_record(item: tuple[Triplet, Record]) -> dict[str, Any]:
    triplet, record = item
    return {
        "client": triplet.client,
        "sender": triplet.sender,
        "recipient": triplet.recipient,
        "status": int(record.status),
        "first_seen": microseconds(record.first_seen),
        "last_seen": microseconds(record.last_seen),
        "attempts": record.attempts,
    }
