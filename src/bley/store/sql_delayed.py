"""The statements about mail that is perhaps delayed wrongly: triplets that wait, and sender domains by their counts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from bley.core.greylist import Status
from bley.core.history.delayed_mail import SUMMED_KINDS, DelayedDomain, DomainMail, MostDelayed
from bley.core.history.domain_counts import DAY_SECONDS, came_back_kinds, days_of
from bley.core.history.statistics import DELAY_BOUNDS, LONGER
from bley.store.history import WaitingTriplets
from bley.store.rows import microseconds, records_of
from bley.store.sql_schema import counts, triplets

__all__ = ["read_domain_mail", "read_most_delayed", "read_waiting", "read_waiting_domains"]

_FEW_NAMES = 100
"""Up to so many names are looked up one by one; for more it is faster to read all counts of the days."""

_t, _c = triplets.c, counts.c


class _DomainOf(FunctionElement[str]):
    """The part of a mail address behind the last `@`; the whole text if there is none."""

    inherit_cache = True


def _compile(element: Any, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    match compiler.dialect.name:
        case "sqlite":  # rtrim removes all trailing characters but `@`
            return f"substr({text}, length(rtrim({text}, replace({text}, '@', ''))) + 1)"
        case "postgresql":
            return f"substring({text} from '[^@]*$')"
        case _:
            return f"substring_index({text}, '@', -1)"


compiles(_DomainOf)(_compile)


def _are_meant(since: datetime) -> sa.ColumnElement[bool]:
    return (_t.status == int(Status.GREYLISTED)) & (_t.last_seen >= microseconds(since))


def read_waiting(
    connection: sa.Connection, since: datetime, limit: int, suspected: Sequence[Collection[str]] | None
) -> WaitingTriplets:
    """Return the number and some of the waiting triplets, as History.waiting."""
    are_meant, order = _are_meant(since), [_t.attempts.desc(), _t.last_seen.desc()]
    number = sa.select(sa.func.count().label("number")).select_from(triplets).where(are_meant).subquery()
    some = sa.select(triplets).where(are_meant)
    if suspected is not None:
        groups = [_DomainOf(_t.sender).in_(sorted(group)) for group in suspected if group]
        some = some.where(sa.or_(_t.attempts > 0, *groups))
        if groups:
            order.insert(1, sa.case(*((group, place) for place, group in enumerate(groups)), else_=len(groups)).asc())
    found = some.order_by(*order).limit(limit).subquery()
    rows = connection.execute(sa.select(number, found).select_from(number.outerjoin(found, sa.true()))).all()
    return WaitingTriplets(rows[0][0], list(records_of(row[1:] for row in rows if row[1] is not None)))


def read_waiting_domains(connection: sa.Connection, since: datetime, limit: int) -> Sequence[str]:
    """Return the domains of senders of waiting triplets, by an index alone on SQLite."""
    domain = _DomainOf(_t.sender).label("domain")
    latest = sa.func.max(_t.last_seen).label("latest")
    each = sa.select(domain, latest).where(_are_meant(since), _t.sender != "").group_by("domain")
    return list(connection.scalars(each.order_by(sa.desc("latest"), "domain").limit(limit)))


def read_most_delayed(connection: sa.Connection, since: datetime, until: datetime, limit: int) -> MostDelayed:
    """Return the sender domains whose mail came back most, with a column for the number of each delay."""
    bounds = dict(zip(map(str, (*DELAY_BOUNDS, LONGER)), came_back_kinds("from"), strict=True))
    total = sa.func.sum(_c["count"])
    delays = [sa.func.sum(sa.case((_c.kind == kind, _c["count"]), else_=0)) for kind in bounds.values()]
    inner = counts.alias()
    days = days_of(since, until)
    first = sa.select(sa.func.min(inner.c.start)).where(inner.c.seconds == DAY_SECONDS).scalar_subquery()
    query = sa.select(first, sa.func.sum(total).over(), _c.name, *delays).where(
        _c.seconds == DAY_SECONDS, _c.start.in_(days), _c.kind.in_(bounds.values())
    )
    rows = connection.execute(query.group_by(_c.name).order_by(total.desc(), _c.name).limit(limit)).all()
    domains = [
        DelayedDomain(name, {bound: int(number) for bound, number in zip(bounds, numbers, strict=True) if number})
        for _, _, name, *numbers in rows
    ]
    begun = datetime.fromtimestamp(max(rows[0][0], days[0]) if rows else days[0], UTC)
    return MostDelayed(begun, int(rows[0][1]) if rows else 0, domains)


def read_domain_mail(
    connection: sa.Connection, names: Collection[str], since: datetime, until: datetime
) -> Mapping[str, DomainMail]:
    """Return the mail of these domains; those without any are missing."""
    name = _c.name if len(names) <= _FEW_NAMES else sa.func.coalesce(_c.name, "")  # without the index
    parts = [sa.func.sum(sa.case((_c.kind.in_(kinds), _c["count"]), else_=0)) for kinds in SUMMED_KINDS]
    query = sa.select(_c.name, *parts).where(
        _c.seconds == DAY_SECONDS,
        _c.start.in_(days_of(since, until)),
        _c.kind.in_([*chain.from_iterable(SUMMED_KINDS)]),
        name.in_(names),
    )
    rows = connection.execute(query.group_by(_c.name))
    return {each[0]: DomainMail(int(each[1]), int(each[2]), int(each[3]), bool(each[4])) for each in rows}
