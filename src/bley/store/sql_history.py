"""The history in a SQL database. No searched word has an index: it would cost each stranger more than searches do.

So a search reads from the newest decision on until it has found enough, or its deadline passes. It reads in steps
(keyset.py) of about a second, on a connection of its own, and can be cancelled between them. SQLite has the texts of
all decisions in one index (sql_schema.py), which is read instead of the table.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from bley.core.errors import StoreError
from bley.core.greylist import Record
from bley.core.history.attempts import Attempts, AttemptsQuery
from bley.core.history.audit import AuditEntry, AuditKind
from bley.core.history.conditions import Clause
from bley.core.history.delayed_mail import DomainMail, MostDelayed
from bley.core.history.domain_counts import DomainCounts
from bley.core.history.exempted import ExemptedCount, Exemption
from bley.core.history.periods import ComparedCounts, Period
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.core.places import Found
from bley.store.dialects import Dialect
from bley.store.history import (
    FirstRecords,
    PartialResult,
    SearchDeadline,
    WaitingTriplets,
)
from bley.store.keyset import KeysetScan, ScanCursor
from bley.store.rows import audit_entry, found_of, microseconds, records_of, stored_decision
from bley.store.runners import Runner, Transactions
from bley.store.sql_attempts import attempts_of, attempts_statement
from bley.store.sql_conditions import is_bound, sql_conditions, text_conditions
from bley.store.sql_counts import read_compared_counts, read_counts, read_list_counts
from bley.store.sql_delayed import read_domain_mail, read_most_delayed, read_waiting, read_waiting_domains
from bley.store.sql_domain_counts import read_domain_counts
from bley.store.sql_exempted import ROWS_PER_SECOND, exempted_statement
from bley.store.sql_meta import SqlMeta
from bley.store.sql_schema import VERSION, audit, decisions, triplets

__all__ = ["SqlHistory"]

_FIRST_DECISIONS, _MOST_DECISIONS, _MOST_RECORDS = 250, 1000, 2000
"""The rows of one step: of the first one for decisions, which often has a page, of later ones, of one for records."""

_ALL_RECORDS = 1_000_000
"""The records that the first step examines, since all must be examined: some half a second."""

_AT_ONCE = 50
"""The rows that are converted and tested before other tasks run: some 1 ms."""

_T = TypeVar("_T")

_d, _t = decisions.c, triplets.c


class SqlHistory:
    """The History in a SQL database."""

    def __init__(self, runner: Runner, dialect: Dialect) -> None:
        self._transactions, self._dialect = Transactions(runner, dialect, read_only=True), dialect
        self._meta = SqlMeta(dialect)
        self.place = dialect.place
        self._is_prepared = False

    async def counts(self, period: Period, now: datetime, kinds: Collection[str] = ()) -> Mapping[Count, int]:
        return await self._read(lambda connection: read_counts(connection, period, now, kinds))

    async def compared_counts(self, period: Period, now: datetime) -> ComparedCounts:
        return await self._read(lambda connection: read_compared_counts(connection, period, now))

    async def list_counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        return await self._read(lambda connection: read_list_counts(connection, period, now))

    async def domain_counts(self, domain: str, since: datetime, until: datetime) -> DomainCounts:
        return await self._read(lambda connection: read_domain_counts(connection, domain, since, until))

    async def decisions(
        self, query: DecisionQuery, limit: int, before: str = "", enough: int | None = None
    ) -> Sequence[StoredDecision]:
        """Search in the order of instant and number, for which there is an index."""
        cursor = ScanCursor()
        if before:
            start = await self.decision(before)
            if start is None:  # it expired, and so did all older decisions
                return []
            cursor = ScanCursor((microseconds(start.at), int(before)))
        if not all(query.clauses):
            return []
        scan = self._scan(decisions, ("at", "id"), query.clauses, descending=True)
        found: list[StoredDecision] = []
        deadline, most = SearchDeadline(), min(limit, _FIRST_DECISIONS)
        while not cursor.is_done and len(found) < limit:
            rows, cursor = await self._step(scan, cursor, most)
            async for some in _portions(rows):
                found += filter(query.fits, map(_decision, some))
            if deadline.ends(len(found), enough) and len(found) < limit and cursor.after:
                return PartialResult(found, str(cursor.after[1]))
            most = _MOST_DECISIONS
        return found[:limit]

    async def decision(self, number: str) -> StoredDecision | None:
        if not _is_number(number):
            return None
        rows = await self._rows(sa.select(decisions).where(_d.id == int(number)))
        return _decision(rows[0]) if rows else None

    async def attempts(self, query: AttemptsQuery) -> Attempts:
        return attempts_of(query, await self._rows(attempts_statement(query)))

    async def count_exempted(
        self, exemptions: Sequence[Exemption], since: datetime, seconds: float
    ) -> Sequence[ExemptedCount]:
        most = int(seconds * ROWS_PER_SECOND)
        examined, *numbers = (await self._rows(exempted_statement(exemptions, since, most)))[0]
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return [ExemptedCount(int(number), bool(unknown) or examined == most) for number, unknown in pairs]

    async def audit(
        self,
        since: datetime,
        until: datetime | None,
        kinds: frozenset[AuditKind],
        limit: int,
        *,
        with_settings: bool = False,
    ) -> Sequence[AuditEntry]:
        columns = [column for column in audit.c if with_settings or column.name != "settings"]
        query = sa.select(*columns).where(audit.c.at >= microseconds(since))
        if until:
            query = query.where(audit.c.at < microseconds(until))
        if kinds:
            query = query.where(audit.c.kind.in_(sorted(kinds)))
        rows = await self._rows(query.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit))
        return [audit_entry(row._mapping) for row in rows]

    async def waiting(
        self, since: datetime, limit: int, suspected: Sequence[Collection[str]] | None = None
    ) -> WaitingTriplets:
        return await self._read(lambda connection: read_waiting(connection, since, limit, suspected))

    async def waiting_domains(self, since: datetime, limit: int) -> Sequence[str]:
        return await self._read(lambda connection: read_waiting_domains(connection, since, limit))

    async def most_delayed(self, since: datetime, until: datetime, limit: int) -> MostDelayed:
        return await self._read(lambda connection: read_most_delayed(connection, since, until, limit))

    async def domain_mail(self, names: Collection[str], since: datetime, until: datetime) -> Mapping[str, DomainMail]:
        if not names:
            return {}
        return await self._read(lambda connection: read_domain_mail(connection, names, since, until))

    async def records(
        self, query: RecordQuery, limit: int, seconds: float | None = None
    ) -> Sequence[tuple[Triplet, Record]]:
        """Search in the order of the primary key: another order would need another index.

        A step returns only records that may be among the first ones, so that few of a million are read.
        """
        if not all(query.clauses):
            return []
        first, deadline, cursor = FirstRecords(query, limit), SearchDeadline(seconds), ScanCursor(width=_ALL_RECORDS)
        while not cursor.is_done:
            scan = self._scan(triplets, Triplet._fields, query.clauses, beyond=_beyond(query, first.bound))
            rows, cursor = await self._step(scan, cursor, _MOST_RECORDS)
            async for some in _portions(rows):
                first.add(each for each in records_of(row[:-1] for row in some) if query.fits(*each))
            if deadline.has_passed and not cursor.is_done:
                return PartialResult(first.found)
        return first.found

    def _scan(
        self,
        table: sa.Table,
        key: Sequence[str],
        clauses: Sequence[Clause],
        beyond: Sequence[sa.ColumnElement[bool]] = (),
        *,
        descending: bool = False,
    ) -> KeysetScan:
        bounds = [each for each in clauses if is_bound(each, key[0])]
        others = [each for each in clauses if each not in bounds]
        by_text = text_conditions(others) if self._dialect.indexes_text and table is decisions else []
        conditions = [*by_text, *sql_conditions(table, others), *beyond]
        within = sql_conditions(table, bounds)
        return KeysetScan(table, key, self._dialect, conditions, bounds=within, descending=descending)

    async def _step(self, scan: KeysetScan, cursor: ScanCursor, limit: int) -> tuple[Sequence[Any], ScanCursor]:
        return await self._read(lambda connection: scan.step(connection, cursor, limit))

    async def find(self, triplets: Sequence[Triplet]) -> Found:

        def work(connection: sa.Connection) -> Found:
            return found_of(self._dialect.read(connection, triplets))

        return await self._transactions.run(work, writes=False) if triplets else Found({})

    async def _rows(self, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[Any]:
        return await self._read(lambda connection: connection.execute(query).all())

    async def _read(self, work: Callable[[sa.Connection], _T]) -> _T:
        def checked(connection: sa.Connection) -> _T:
            if not self._is_prepared:
                self._check(connection)
            return work(connection)

        return await self._transactions.run(checked, writes=False)

    def _check(self, connection: sa.Connection) -> None:
        version = self._meta.version(connection)
        if not version:
            raise StoreError(f"{self.place}: no bley has stored anything there")
        if version != VERSION:
            raise StoreError(
                f"{self.place}: its schema is {version}, this bley supports {VERSION}: use one version on all nodes"
            )
        self._is_prepared = True

    async def close(self) -> None:
        await self._transactions.close()


async def _portions(rows: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
    """Yield some rows at a time, and let other tasks run in between."""
    for begin in range(0, len(rows), _AT_ONCE):
        yield rows[begin : begin + _AT_ONCE]
        await asyncio.sleep(0)


def _is_number(text: str) -> bool:
    """Return whether the text, which may come from a URL, has the form of a decision's number."""
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _beyond(query: RecordQuery, bound: Any) -> list[sa.ColumnElement[bool]]:
    if bound is None:
        return []
    return [_t[query.order] > (microseconds(bound) if isinstance(bound, datetime) else bound)]


def _decision(row: Any) -> StoredDecision:
    return stored_decision(str(row.id), row._mapping)
