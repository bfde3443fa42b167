"""The counts of DNS lists in a SQL database: rows of `counts` with spans of their own."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bley.core.history.periods import Period
from bley.store.history import list_span_of
from bley.store.sql_schema import counts

__all__ = ["list_sums"]

_c = counts.c


def list_sums(period: Period, now: datetime) -> sa.Select[Any]:
    """Return the query for the start of the first count of each kind and name, both of these, their sum, and 0.

    The 0 is for a column of the other counts, so that one statement can read both.
    """
    span, since = list_span_of(period), int(period.since(now).timestamp())
    is_within = _c.start.between(since // span * span, int(now.timestamp()))
    columns = sa.func.min(_c.start).label("slot"), _c.kind, _c.name, sa.func.sum(_c["count"])
    query = sa.select(*columns, sa.literal_column("0").label("first"))
    return query.where(_c.seconds == span, is_within).group_by(_c.kind, _c.name)
