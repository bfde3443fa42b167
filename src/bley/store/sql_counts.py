"""The counts of each slot in a SQL database: rows of `counts`. Their thousands of rows are converted by the thread that
reads them, where the database has one, so that mail does not wait.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bley.core.history.list_counts import LIST_KINDS
from bley.core.history.periods import ComparedCounts, Period
from bley.core.history.statistics import Count
from bley.store.history import has_before, list_span_of, span_of
from bley.store.sql_list_counts import list_sums
from bley.store.sql_schema import counts

__all__ = ["read_compared_counts", "read_counts", "read_list_counts"]


def read_counts(
    connection: sa.Connection, period: Period, now: datetime, kinds: Collection[str]
) -> Mapping[Count, int]:
    """Return the counts of each slot, as History.counts."""
    since, until = _seconds(period.since(now), now)
    times = counts.c.start.between(since, until)
    are_meant = counts.c.kind.in_(sorted(kinds)) if kinds else sa.true()
    return _counts(connection.execute(_sums(period, _slot(period), times & are_meant)), _step(period))


def read_compared_counts(connection: sa.Connection, period: Period, now: datetime) -> ComparedCounts:
    """Return the counts of the period and of the one before, as History.compared_counts, by one statement."""
    column = counts.c.start
    since, until = _seconds(period.since(now), now)
    since_before, until_before = _seconds(period.since(period.before(now)), period.before(now))
    if not has_before(period):
        since_before, until_before = since, until
    is_before = column < sa.literal_column(str(since))
    slot = sa.case((is_before, sa.literal_column(str(since_before))), else_=_slot(period))
    times = column.between(since_before, until) & ((column <= until_before) | (column >= since))
    rows = connection.execute(sa.union_all(_sums(period, slot, times), list_sums(period, now))).all()
    of_lists = _counts((row for row in rows if row.kind in LIST_KINDS), list_span_of(period))
    others = [row for row in rows if row.kind not in LIST_KINDS]
    found = _counts(others, _step(period))
    before = {count: number for count, number in found.items() if count.start < since}
    present = {count: number for count, number in found.items() if count.start >= since}
    covers_it = has_before(period) and others and others[0].first <= since_before
    return ComparedCounts(present, before if covers_it else None, of_lists)


def read_list_counts(connection: sa.Connection, period: Period, now: datetime) -> Mapping[Count, int]:
    """Return the counts of DNS lists, as History.list_counts."""
    return _counts(connection.execute(list_sums(period, now)), list_span_of(period))


def _counts(rows: Iterable[Any], seconds: int) -> dict[Count, int]:
    return {Count(seconds, start, kind, name): int(number) for start, kind, name, number, _ in rows}


def _step(period: Period) -> int:
    return int(period.slot.total_seconds())


def _seconds(*instants: datetime) -> tuple[int, ...]:
    return tuple(int(at.timestamp()) for at in instants)


def _slot(period: Period) -> sa.ColumnElement[int]:
    return counts.c.start - counts.c.start % sa.literal_column(str(_step(period)))


def _sums(period: Period, slot: sa.ColumnElement[int], times: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return the query for the sum of each slot, kind and name, and for the start of the first count of all."""
    span = counts.c.seconds == span_of(period)
    inner = counts.alias()
    first = sa.select(sa.func.min(inner.c.start)).where(inner.c.seconds == span_of(period)).scalar_subquery()
    columns = slot.label("slot"), counts.c.kind, counts.c.name
    query = sa.select(*columns, sa.func.sum(counts.c["count"]), first.label("first"))
    return query.where(span, times).group_by("slot", counts.c.kind, counts.c.name)
