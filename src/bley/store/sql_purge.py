"""The deletion of what has expired from a SQL database, and of the counts of domains beyond the limit of a day."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from bley.core.greylist import Lifetimes, Status
from bley.core.history.domain_counts import CUT, DAY_SECONDS, REST, SIDES, STORED_DOMAINS, Side, kinds_of, passing_kinds
from bley.store.dialects import Dialect
from bley.store.engine import LIFETIMES, TRIMMED_AFTER, Purged, Trimmed
from bley.store.rows import microseconds
from bley.store.sql_marks import SqlMarks
from bley.store.sql_meta import SqlMeta
from bley.store.sql_schema import counts, decisions, triplets, verified_domains
from bley.store.sql_statements import Statements

__all__ = ["SqlPurge"]

_TRIMMED = "trimmed"
"""The name of a value in `meta`: the start of the last day that was trimmed."""

_c = counts.c
_is_of_domain = _c.seconds == DAY_SECONDS


class SqlPurge:
    """Deletes a bounded number of rows in each call, which is one transaction."""

    def __init__(self, dialect: Dialect, statements: Statements, meta: SqlMeta, marks: SqlMarks) -> None:
        self._dialect, self._statements, self._meta, self._marks = dialect, statements, meta, marks

    def purge(self, connection: sa.Connection, now: datetime, lifetimes: Lifetimes, limit: int) -> Purged:
        """Delete at most `limit` expired rows of each kind, and of each status of records."""

        def ago(lifetime: timedelta) -> int:
            return microseconds(now - lifetime)

        column = triplets.c
        records = sum(
            self._delete(
                connection, triplets, (column.status == status) & (column.last_seen < ago(lifetimes.of(status))), limit
            )
            for status in Status
        )
        of_decisions = self._delete(connection, decisions, decisions.c.at < ago(lifetimes.decisions), limit)
        domains = verified_domains.c.last_seen < ago(lifetimes.known)
        of_domains = self._delete(connection, verified_domains, domains, limit)
        numbers = [
            self._delete(connection, counts, (_c.seconds == seconds) & (_c.start < ago(lifetime) // 1_000_000), limit)
            for seconds, lifetime in LIFETIMES.items()
        ]
        self._marks.purge(connection, now)
        return Purged(records, of_decisions, sum(numbers), of_domains)

    def _delete(self, connection: sa.Connection, table: sa.Table, is_old: sa.ColumnElement[bool], limit: int) -> int:
        return connection.execute(self._dialect.delete_batch(table, is_old, limit)).rowcount

    def trim_domains(self, connection: sa.Connection, now: datetime, limit: int) -> Trimmed:
        """Delete the counts of at most `limit` domains of the oldest day that is over and not trimmed yet."""
        trimmed = self._meta.get(connection, _TRIMMED)
        end = int((now - TRIMMED_AFTER).timestamp()) // DAY_SECONDS * DAY_SECONDS
        oldest = sa.select(_c.start).where(_is_of_domain, _c.start > trimmed, _c.start < end).order_by(_c.start)
        day = connection.scalar(oldest.limit(1))
        if day is None:
            return Trimmed(0, is_done=True)
        deleted = 0
        for side in SIDES:
            if names := self._beyond_most(connection, day, side, limit):
                of_side = _is_of_side(day, side)
                deleted += connection.execute(sa.delete(counts).where(*of_side, _c.name.in_(names))).rowcount
                marker = {"seconds": DAY_SECONDS, "start": day, "kind": f"{side}-{CUT}", "name": REST}
                self._dialect.write(connection, self._statements.add_count, [marker | {"count": len(names)}])
        if not deleted:
            self._meta.set(connection, _TRIMMED, day)
        return Trimmed(deleted, is_done=False)

    def _beyond_most(self, connection: sa.Connection, day: int, side: Side, limit: int) -> list[str]:
        """Return domains that are not among those with the most mail that passed, then with the most deferrals."""
        passing = sa.func.sum(sa.case((_c.kind.in_(passing_kinds(side)), _c["count"]), else_=0))
        of_domain = sa.select(_c.name).where(*_is_of_side(day, side), _c.name != REST).group_by(_c.name)
        ranked = of_domain.order_by(passing.desc(), sa.func.sum(_c["count"]).desc(), _c.name)
        return list(connection.scalars(ranked.offset(STORED_DOMAINS[side]).limit(limit)))


def _is_of_side(day: int, side: Side) -> tuple[sa.ColumnElement[bool], ...]:
    first, beyond = kinds_of(side)
    return _is_of_domain, _c.start == day, _c.kind >= first, _c.kind < beyond
