"""The history in a SQL database. What is looked for has no index, which would cost every stranger more than a search.

So a search reads from the newest decision on until it has found enough, or its time is over, in steps (keyset.py) of
which each takes some milliseconds: others are answered between them, and a search that is given up ends there.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from bley.core.errors import StoreError
from bley.core.greylist import Record, Status
from bley.core.history.periods import Period
from bley.core.history.search import DecisionQuery, Search, StoredDecision
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.store.dialects import Dialect
from bley.store.history import LatestRecords, PartialResult, SearchDeadline, WaitingTriplets, span_of
from bley.store.keyset import KeysetScan, ScanCursor
from bley.store.rows import microseconds, records_of, stored_decision
from bley.store.runners import Runner, Transactions
from bley.store.sql_conditions import decision_conditions, record_conditions
from bley.store.sql_schema import VERSION, counts, decisions, meta, triplets

__all__ = ["SqlHistory"]

_MOST_DECISIONS, _MOST_RECORDS = 250, 500
"""Rows that are looked through in one go: some 5 ms, in which nothing else is done."""

_T = TypeVar("_T")

_d, _t = decisions.c, triplets.c


class SqlHistory:
    """See History."""

    def __init__(self, runner: Runner, dialect: Dialect) -> None:
        self._transactions, self._dialect = Transactions(runner, dialect, read_only=True), dialect
        self.place = dialect.place
        self._is_prepared = False

    async def counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        """See History."""
        step = int(period.slot.total_seconds())
        start = counts.c.start - counts.c.start % sa.literal_column(str(step))
        query = (
            sa.select(start.label("slot"), counts.c.kind, counts.c.name, sa.func.sum(counts.c["count"]))
            .where(counts.c.seconds == span_of(period), counts.c.start >= int(period.since(now).timestamp()))
            .group_by("slot", counts.c.kind, counts.c.name)
        )
        rows = await self._rows(query)
        return {Count(step, start, kind, name): int(number) for start, kind, name, number in rows}

    async def decisions(self, query: DecisionQuery, limit: int, before: str = "") -> Sequence[StoredDecision]:
        """See History. In the order of the instant, then of the number, which an index has."""
        place = ScanCursor()
        if before:
            there = await self.decision(before)
            if there is None:  # forgotten meanwhile, and with it all that is older
                return []
            place = ScanCursor((microseconds(there.at), int(before)))
        scan = self._scan(decisions, ("at", "id"), decision_conditions(query), descending=True)
        found: list[StoredDecision] = []
        clock, most = SearchDeadline(), min(limit, _MOST_DECISIONS)
        while not place.is_done and len(found) < limit:
            rows, place = await self._step(scan, place, most)
            found += filter(query.fits, map(_decision, rows))
            if clock.is_over and len(found) < limit and place.behind:
                return PartialResult(found, str(place.behind[1]))
            most = _MOST_DECISIONS
        return found[:limit]

    async def decision(self, number: str) -> StoredDecision | None:
        """See History."""
        if not _is_number(number):
            return None
        rows = await self._rows(sa.select(decisions).where(_d.id == int(number)))
        return _decision(rows[0]) if rows else None

    async def waiting(self, since: datetime, limit: int) -> WaitingTriplets:
        """See History."""
        is_meant = (_t.status == int(Status.GREYLISTED)) & (_t.last_seen >= microseconds(since))
        number = await self._rows(sa.select(sa.func.count()).select_from(triplets).where(is_meant))
        rows = await self._rows(sa.select(triplets).where(is_meant).order_by(_t.last_seen.desc()).limit(limit))
        return WaitingTriplets(number[0][0], list(records_of(rows)))

    async def records(self, search: Search, limit: int) -> Sequence[tuple[Triplet, Record]]:
        """See History. In the order of the primary key: an order of their age would need another index."""
        scan = self._scan(triplets, ("client", "sender", "recipient"), record_conditions(search), descending=False)
        latest, clock, place = LatestRecords(limit), SearchDeadline(), ScanCursor()
        while not place.is_done:
            rows, place = await self._step(scan, place, _MOST_RECORDS)
            latest.add(each for each in records_of(rows) if search.fits_triplet(each[0]))
            if clock.is_over and not place.is_done:
                return PartialResult(latest.found)
        return latest.found

    def _scan(
        self, table: sa.Table, key: Sequence[str], conditions: Sequence[sa.ColumnElement[bool]], *, descending: bool
    ) -> KeysetScan:
        return KeysetScan(table, key, conditions, descending=descending, compares_rows=self._dialect.compares_rows)

    async def _step(self, scan: KeysetScan, place: ScanCursor, most: int) -> tuple[Sequence[Any], ScanCursor]:
        return await self._read(lambda connection: scan.step(connection, place, most))

    async def find(self, triplets: Sequence[Triplet]) -> Mapping[Triplet, Record]:
        """See History."""

        def work(connection: sa.Connection) -> Mapping[Triplet, Record]:
            return dict(records_of(self._dialect.read(connection, triplets)))

        return await self._transactions.run(work, writes=False) if triplets else {}

    async def _rows(self, query: sa.Select[Any]) -> Sequence[Any]:
        return await self._read(lambda connection: connection.execute(query).all())

    async def _read(self, work: Callable[[sa.Connection], _T]) -> _T:
        def checked(connection: sa.Connection) -> _T:
            if not self._is_prepared:
                self._check(connection)
            return work(connection)

        return await self._transactions.run(checked, writes=False)

    def _check(self, connection: sa.Connection) -> None:
        version = None
        if sa.inspect(connection).has_table(meta.name):
            version = connection.scalar(sa.select(meta.c.value).where(meta.c.name == "schema"))
        if version is None:
            raise StoreError(f"{self.place}: no bley has stored anything there")
        if version != VERSION:
            raise StoreError(
                f"{self.place}: its schema is {version}, this bley knows {VERSION}: use one version on all nodes"
            )
        self._is_prepared = True

    async def close(self) -> None:
        """See History."""
        await self._transactions.close()


def _is_number(text: str) -> bool:
    """Whether it may be a decision's: what else somebody writes into an address is none."""
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _decision(row: Any) -> StoredDecision:
    return stored_decision(str(row.id), row._mapping)
