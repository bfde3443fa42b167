"""The counts by domain in a SQL database: rows of `counts` with the span of a day."""

from datetime import datetime

import sqlalchemy as sa

from bley.core.history.domain_counts import DAY_SECONDS, REST, DomainCounts, all_kinds, days_of
from bley.core.history.statistics import Count
from bley.store.sql_schema import counts

__all__ = ["read_domain_counts"]

_c = counts.c


def read_domain_counts(connection: sa.Connection, domain: str, since: datetime, until: datetime) -> DomainCounts:
    """Return the counts of the domain, by one look-up in the primary key for each day and kind."""
    inner = counts.alias()
    first = sa.select(sa.func.min(inner.c.start)).where(inner.c.seconds == DAY_SECONDS).scalar_subquery()
    found = sa.select(_c.seconds, _c.start, _c.kind, _c.name, _c["count"], first.label("first")).where(
        _c.seconds == DAY_SECONDS,
        _c.start.in_(days_of(since, until)),
        _c.kind.in_(all_kinds()),
        _c.name.in_([domain, REST]),
    )
    rows = connection.execute(found).all()
    numbers = {Count(*key): number for *key, number, _ in rows}
    return DomainCounts(domain, rows[0].first if rows else None, numbers)
