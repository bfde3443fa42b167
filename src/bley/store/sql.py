"""The SQL engine: SQLAlchemy Core on SQLite, PostgreSQL, MySQL or MariaDB; their differences are in dialects.py.

Rows of `triplets` are written only by the upserts in sql_statements.py, which implement core.greylist.merged and
united.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby, starmap
from operator import itemgetter
from typing import Any, TypeVar

import sqlalchemy as sa

from bley.core.decision import DecisionEntry
from bley.core.errors import RefusedError, StoreError
from bley.core.greylist import Lifetimes, Record, Sighting
from bley.core.history.audit import AuditEntry
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.core.places import Found
from bley.core.quantity import quantity
from bley.core.triplet import ANY
from bley.store.dialects import Dialect
from bley.store.engine import Mark, Purged, RemoteChanges, Trimmed
from bley.store.keyset import Key, KeysetScan
from bley.store.refusals import Bisected, Portions, Whole
from bley.store.rows import decision_row, found_of, record_row, records_of
from bley.store.runners import Runner, Transactions
from bley.store.sql_audit import SqlAudit
from bley.store.sql_domains import VerifiedDomains
from bley.store.sql_marks import SqlMarks
from bley.store.sql_meta import SqlMeta
from bley.store.sql_purge import SqlPurge
from bley.store.sql_schema import VERSION, meta, triplets
from bley.store.sql_statements import Statements
from bley.store.sql_upgrade import create_or_upgrade_tables

__all__ = ["SqlEngine", "TakeOver"]

_PORTION = 1000

_KEY_CHECK = "key_check"
"""The name of the key's check value in `meta`: 0 until a node claims the key."""

_KEY = itemgetter("client", "sender", "recipient")

_MICROSECOND = timedelta(microseconds=1)

_T = TypeVar("_T")

TakeOver = Callable[[], AsyncIterator[Sequence[tuple[Triplet, Record]]]]

_log = logging.getLogger(__name__)


class SqlEngine:
    """Stores records in a SQL database; with `read_only` it writes nothing.

    `take_over` reads the records of bley 2 in the same database, when that is prepared for the first time.
    """

    def __init__(
        self, runner: Runner, dialect: Dialect, *, read_only: bool = False, take_over: TakeOver | None = None
    ) -> None:
        self._transactions = Transactions(runner, dialect, read_only=read_only)
        self._dialect, self._read_only, self._take_over = dialect, read_only, take_over
        self.place, self.answer_seconds = dialect.place, dialect.answer_seconds
        self._statements, self._write = Statements(dialect), dialect.write
        self._meta, self._marks = SqlMeta(dialect), SqlMarks(dialect)
        self._audit = SqlAudit(dialect)
        self._domains = VerifiedDomains(dialect, self._statements)
        self._purging = SqlPurge(dialect, self._statements, self._meta, self._marks)

    async def is_prepared(self) -> bool:
        return await self._transactions.run(self._is_prepared, writes=False)

    def _is_prepared(self, connection: sa.Connection) -> bool:
        is_indexed = self._read_only or self._dialect.is_indexed(connection)
        return self._version(connection) == VERSION and is_indexed

    async def prepare(self) -> None:
        """Create or upgrade the tables, under a lock, so that several nodes can start at once."""
        if self._read_only:
            await self._transactions.run(self._check_version, writes=False)
            return
        inherited: list[tuple[Triplet, Record]] = []
        if self._take_over and await self._transactions.run(self._version, writes=False) == 0:
            with self._transactions.of_another_connection():
                async for records in self._take_over():
                    inherited += records
        await self._transactions.run(lambda connection: self._upgrade(connection, inherited))

    async def check_writable(self) -> None:
        if not self._read_only:  # read-only SQLite: sqlite_file.find_obstacle
            await self._transactions.run(self._try_write)

    def _try_write(self, connection: sa.Connection) -> None:
        """Write without an effect."""
        if self._meta.exists(connection):
            connection.execute(sa.delete(meta).where(meta.c.name == ""))
        else:
            self._dialect.try_tables(connection)

    def _version(self, connection: sa.Connection) -> int:
        self._dialect.check(connection)
        return self._meta.version(connection)

    def _check_version(self, connection: sa.Connection) -> None:
        """Raise StoreError if another bley has stored records that this one must upgrade before it can find them."""
        version = self._version(connection)
        if version < VERSION and sa.inspect(connection).has_table(triplets.name):
            why = (
                f"its schema is {version}, of an older bley; this bley supports {VERSION}: restart bley, to upgrade it"
            )
            raise StoreError(f"{self.place}: {why}")

    def _upgrade(self, connection: sa.Connection, inherited: Sequence[tuple[Triplet, Record]]) -> None:
        with self._dialect.locked(connection):
            is_new = self._version(connection) == 0  # unless another node was faster
            is_empty = not sa.inspect(connection).has_table(triplets.name)
            if is_new:
                self._dialect.make_private(connection)
            create_or_upgrade_tables(connection)
            portions = Bisected(self._dialect)
            if is_new:
                # In portions, between which the driver yields to other tasks.
                for start in range(0, len(inherited), _PORTION):
                    portions.each(connection, partial(self._unite, connection), inherited[start : start + _PORTION])
            self._meta.set(connection, "schema", VERSION)
            connection.commit()  # within the lock, which MySQL holds beyond the transaction
        if is_new and inherited:
            taken = quantity(len(inherited) - len(portions.refused), "record")
            _log.info("store: took over %s of bley 2, whose tables are unchanged", taken)
        elif is_new and is_empty:
            _log.info("store: %s is new, without records", self.place)
        for refused, why in portions.refused:
            _log.error("store: %s; refused, and not taken over: %.300r", why, refused)

    async def transact(
        self, sightings: Sequence[Sighting], triplets: Sequence[Triplet], marks: Sequence[Mark | None] = ()
    ) -> Found:

        def work(connection: sa.Connection, portions: Portions) -> Found:
            if sightings and not self._read_only and (left := self._marks.to_merge(connection, sightings, marks)):
                portions.each(connection, partial(self._merge, connection), left)
                named = [sighting for sighting in left if sighting.network]
                portions.each(connection, partial(self._domains.learn, connection), named)
                self._marks.set(connection, marks)
            read = portions.each(connection, lambda some: list(self._dialect.read(connection, some)), triplets)
            return found_of(row for rows in read for row in rows)

        return await self._do(work, writes=bool(sightings))

    def _merge(self, connection: sa.Connection, sightings: Sequence[Sighting]) -> None:
        for lifetime, same in groupby(sightings, key=lambda sighting: sighting.lifetimes.greylisted):
            merge = self._statements.merge(lifetime // _MICROSECOND)
            rows = _sorted(record_row(each.triplet, each.record) for each in same)
            self._dialect.write_new(connection, merge, rows)

    async def add_decisions(
        self, decisions: Sequence[DecisionEntry], counts: Mapping[Count, int], mark: Mark | None = None
    ) -> None:

        def insert(connection: sa.Connection, some: Sequence[DecisionEntry]) -> None:
            self._write(connection, self._statements.add_decision, list(map(decision_row, some)))

        def add(connection: sa.Connection, some: Sequence[tuple[Count, int]]) -> None:
            self._write(
                connection, self._statements.add_count, [{**key._asdict(), "count": value} for key, value in some]
            )

        def work(connection: sa.Connection, portions: Portions) -> None:
            if mark and self._marks.is_done(connection, mark):
                return
            portions.each(connection, partial(insert, connection), decisions)
            portions.each(connection, partial(add, connection), sorted(counts.items()))
            self._marks.set(connection, [mark])

        await self._do(work)

    async def add_audit(self, entries: Sequence[AuditEntry], mark: Mark | None = None) -> None:

        def work(connection: sa.Connection) -> None:
            if not (mark and self._marks.is_done(connection, mark)):
                self._audit.add(connection, entries)
                self._marks.set(connection, [mark])

        await self._transactions.run(work)

    async def _do(self, work: Callable[[sa.Connection, Portions], _T], *, writes: bool = True) -> _T:
        """Do the work in one transaction, without the values that the database refuses."""

        def in_halves(connection: sa.Connection) -> tuple[_T, list[tuple[Any, str]]]:
            portions = Bisected(self._dialect)
            return work(connection, portions), portions.refused

        try:
            return await self._transactions.run(lambda connection: work(connection, Whole()), writes=writes)
        except RefusedError as error:
            try:
                found, refused = await self._transactions.run(in_halves, writes=writes)
            except RefusedError as other:  # not because of a value
                raise StoreError(str(other)) from other
            if not refused:
                return found
            raise RefusedError(str(error), refused, found) from error

    async def purge(self, now: datetime, lifetimes: Lifetimes, limit: int) -> Purged:
        return await self._transactions.run(lambda connection: self._purging.purge(connection, now, lifetimes, limit))

    async def trim_domains(self, now: datetime, limit: int) -> Trimmed:
        return await self._transactions.run(lambda connection: self._purging.trim_domains(connection, now, limit))

    async def remote_changes(self) -> RemoteChanges:

        def work(connection: sa.Connection) -> RemoteChanges:
            return RemoteChanges(self._meta.get(connection, "forgotten"), bool(self._meta.get(connection, "has_any")))

        return await self._transactions.run(work, writes=False)

    async def records(self) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        """Yield all records in the order of the primary key, with one transaction for each portion."""
        scan = KeysetScan(triplets, Triplet._fields, self._dialect)
        after: Key | None = None
        while True:
            rows = await self._transactions.run(partial(scan.page, after=after, limit=_PORTION), writes=False)
            if rows:
                yield list(records_of(rows))
            if len(rows) < _PORTION:
                return
            after = scan.key(rows[-1])

    async def unite(self, records: Sequence[tuple[Triplet, Record]], now: datetime, lifetimes: Lifetimes) -> None:

        def work(connection: sa.Connection, portions: Portions) -> None:
            portions.each(connection, partial(self._unite, connection), records)
            if any(triplet.recipient == ANY for triplet, _ in records):
                self._meta.set(connection, "has_any", 1)

        await self._do(work)

    def _unite(self, connection: sa.Connection, records: Sequence[tuple[Triplet, Record]]) -> None:
        self._write(connection, self._statements.unite, _sorted(starmap(record_row, records)))

    async def forget(self, forgotten: Sequence[Triplet]) -> None:

        def work(connection: sa.Connection) -> None:
            rows = [{"client": each.client, "sender": each.sender, "recipient": each.recipient} for each in forgotten]
            if rows:
                connection.execute(self._statements.delete, rows)
            self._meta.add(connection, "forgotten", 1)

        await self._transactions.run(work)

    async def key_check(self) -> int | None:

        def work(connection: sa.Connection) -> int | None:
            return self._meta.get(connection, _KEY_CHECK) or None if self._meta.exists(connection) else None

        return await self._transactions.run(work, writes=False)

    async def claim_key(self, check: int) -> int:

        def work(connection: sa.Connection) -> int:
            with self._dialect.locked(connection):
                if known := self._meta.get(connection, _KEY_CHECK):
                    return known
                self._meta.set(connection, _KEY_CHECK, check)
                connection.commit()  # within the lock, which MySQL holds beyond the transaction
            return check

        return await self._transactions.run(work)

    async def release_key(self) -> None:
        await self._transactions.run(lambda connection: self._meta.set(connection, _KEY_CHECK, 0))

    async def close(self) -> None:
        await self._transactions.close()


def _sorted(rows: Any) -> list[dict[str, Any]]:
    """Sort rows in the same order on all nodes, which prevents deadlocks."""
    return sorted(rows, key=_KEY)
