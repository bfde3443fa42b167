"""The history in a SQL database. What is looked for has no index, which would cost every stranger more than a search.

So a search reads from the newest decision on until it has found enough. The conditions here let through all that is
meant, and little else; core.search says what is.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import sqlalchemy as sa

from bley.core.errors import StoreError
from bley.core.greylist import Record, Status
from bley.core.mail import Triplet
from bley.core.periods import Period
from bley.core.search import DecisionQuery, Search, StoredDecision
from bley.core.statistics import Count
from bley.store.dialects import Dialect
from bley.store.history import Waiting, span_of
from bley.store.rows import microseconds, stored_decision, triplet_and_record
from bley.store.runners import Runner, Transactions
from bley.store.sql_schema import VERSION, counts, decisions, meta, triplets

__all__ = ["SqlHistory"]

_PORTION = 1000

_d, _t = decisions.c, triplets.c
_ALL_TEXT = sa.func.lower(
    sum(
        (" " + column for column in (_d.helo_name, _d.sender, _d.recipient, _d.instance, _d.queue_id)),
        _d.client_name,
    )
)


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
        """See History."""
        if before and not _is_number(before):
            return []
        found: list[StoredDecision] = []
        select = sa.select(decisions).where(*_conditions(query)).order_by(_d.id.desc())
        portion = limit
        while len(found) < limit:
            rows = await self._rows((select.where(_d.id < int(before)) if before else select).limit(portion))
            read = list(map(_decision, rows))
            found += filter(query.fits, read)
            if len(read) < portion:
                break
            before, portion = read[-1].number, _PORTION
        return found[:limit]

    async def decision(self, number: str) -> StoredDecision | None:
        """See History."""
        if not _is_number(number):
            return None
        rows = await self._rows(sa.select(decisions).where(_d.id == int(number)))
        return _decision(rows[0]) if rows else None

    async def waiting(self, since: datetime, limit: int) -> Waiting:
        """See History."""
        is_meant = (_t.status == int(Status.GREYLISTED)) & (_t.last_seen >= microseconds(since))
        number = await self._rows(sa.select(sa.func.count()).select_from(triplets).where(is_meant))
        rows = await self._rows(sa.select(triplets).where(is_meant).order_by(_t.last_seen.desc()).limit(limit))
        return Waiting(number[0][0], list(map(triplet_and_record, rows)))

    async def records(self, search: Search, limit: int) -> Sequence[tuple[Triplet, Record]]:
        """See History."""
        select = sa.select(triplets).where(_is_meant(search)).order_by(_t.last_seen.desc())
        found: list[tuple[Triplet, Record]] = []
        done = 0
        while len(found) < limit:
            portion = [triplet_and_record(row) for row in await self._rows(select.offset(done).limit(limit))]
            found += (each for each in portion if search.fits_triplet(each[0]))
            done += len(portion)
            if len(portion) < limit:
                break
        return found[:limit]

    async def find(self, triplets: Sequence[Triplet]) -> Mapping[Triplet, Record]:
        """See History."""

        def work(connection: sa.Connection) -> Mapping[Triplet, Record]:
            return dict(map(triplet_and_record, self._dialect.read(connection, triplets)))

        return await self._transactions.run(work, writes=False) if triplets else {}

    async def _rows(self, query: sa.Select[Any]) -> Sequence[Any]:
        def work(connection: sa.Connection) -> Sequence[Any]:
            if not self._is_prepared:
                self._check(connection)
            return connection.execute(query).all()

        return await self._transactions.run(work, writes=False)

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


def _conditions(query: DecisionQuery) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if query.reason:
        conditions.append(_d.reason == query.reason)
    if query.outcome:
        conditions.append(_d.outcome == query.outcome)
    if query.since:
        conditions.append(_d.at >= microseconds(query.since))
    if query.until:
        conditions.append(_d.at < microseconds(query.until))
    if query.recipients:
        conditions.append(sa.func.lower(_d.recipient).in_(query.recipients))
    if query.search:
        conditions.append(_may_fit(query.search))
    return conditions


def _may_fit(search: Search) -> sa.ColumnElement[bool]:
    if search.network:
        # Before IPv4 there may be `::ffff:`.
        return _d.client_address.like(
            ("%" if search.network.version == 4 else "") + _first_digits(search.network) + "%"
        )
    if search.addresses:
        return sa.or_(*(_is_like(column, word) for column in (_d.sender, _d.recipient) for word in search.addresses))
    return _ALL_TEXT.contains(search.domain, autoescape=True)  # once, which is faster than each for itself


def _is_like(column: sa.ColumnElement[str], address: str) -> sa.ColumnElement[bool]:
    """The address as it may have come: what normalising takes away or replaces stands for anything."""
    if not address:
        return column == ""
    local, at, domain = address.rpartition("@")
    for mark in "!%_":
        local, domain = local.replace(mark, f"!{mark}"), domain.replace(mark, f"!{mark}")
    local = local.replace("#", "%").replace("=", "%=")
    return sa.func.lower(column).like(f"%{local}%{at}{domain}", escape="!")


def _is_in_domain(text: sa.ColumnElement[str], domain: str) -> sa.ColumnElement[bool]:
    """A name, or a mail address."""
    return sa.or_(text == domain, *(text.endswith(mark + domain, autoescape=True) for mark in ".@"))


def _first_digits(network: IPv4Network | IPv6Network) -> str:
    """What the texts of all its addresses begin with."""
    mark, bits = (".", 8) if network.version == 4 else (":", 16)
    parts = str(network.network_address).split(mark)[: network.prefixlen // bits]
    if network.version == 6:  # in which `::` may stand for zeros from some place on
        parts = parts[: next((place for place, part in enumerate(parts) if not part.strip("0")), len(parts))]
    return mark.join(parts)


def _is_meant(search: Search) -> sa.ColumnElement[bool]:
    if search.addresses:
        return sa.or_(_t.sender.in_(search.addresses), _t.recipient.in_(search.addresses))
    if search.network:
        around = [str(search.network.supernet(new_prefix=length)) for length in range(search.network.prefixlen + 1)]
        return sa.or_(_t.client.in_(around), _t.client.like(_first_digits(search.network) + "%"))
    return sa.or_(*(_is_in_domain(column, search.domain) for column in (_t.client, _t.sender, _t.recipient)))
