"""The statement that reads the attempts of a mail, by the index of their keys, and the judgment of its client."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from bley.core.history.attempts import FIRST_READ, LAST_READ, Attempts, AttemptsQuery, JudgmentQuery
from bley.store.rows import microseconds, stored_decision
from bley.store.sql_schema import decisions

__all__ = ["attempts_of", "attempts_statement"]

_MOST_JUDGMENTS = 10_000
"""The decisions in which the judgment is searched, the latest ones: 10 ms. In a minute, 170 mails a second."""

_d = decisions.c


def attempts_statement(query: AttemptsQuery) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """Return the statement. Each row has a decision, and the number of all attempts; for the judgment that is 0."""
    keys = sa.bindparam("keys", query.keys, sa.BigInteger, expanding=True, literal_execute=True)
    mine = sa.select(_d.id, _d.mail).where(_d.mail.in_(keys)).cte("mine")
    first = sa.select(mine.c.id).order_by(mine.c.mail, mine.c.id).limit(FIRST_READ).subquery()
    last = sa.select(mine.c.id).order_by(mine.c.mail.desc(), mine.c.id.desc()).limit(LAST_READ).subquery()
    read = sa.select(first.c.id).union(sa.select(last.c.id)).subquery()
    number = sa.select(sa.func.count()).select_from(mine).scalar_subquery()
    attempts = sa.select(decisions, number.label("number")).join(read, read.c.id == _d.id)
    return attempts.union_all(_judgment(query.judgment)) if query.judgment else attempts


def _judgment(query: JudgmentQuery) -> sa.Select[Any]:
    during = _d.at.between(microseconds(query.since), microseconds(query.until))
    latest = sa.select(_d.id, _d.at, _d.outcome, _d.reason, _d.details).where(during)
    some = latest.order_by(_d.at.desc(), _d.id.desc()).limit(_MOST_JUDGMENTS).subquery()
    is_its = some.c.details.contains(f'"triplet":["{query.client}",', autoescape=True)
    meant = sa.select(some.c.id).where(some.c.outcome != "pass", some.c.reason.in_(query.reasons), is_its)
    one = meant.order_by(some.c.at.desc(), some.c.id.desc()).limit(1).subquery()
    return sa.select(decisions, sa.literal(0).label("number")).join(one, one.c.id == _d.id)


def attempts_of(query: AttemptsQuery, rows: Iterable[Any]) -> Attempts:
    """Return what such rows contain."""
    attempts, number, judgment = [], 0, None
    for row in rows:
        decision = stored_decision(str(row.id), row._mapping)
        if not row.number:
            judgment = decision if query.judgment and query.judgment.fits(decision) else None
        elif query.fits(decision):
            attempts.append(decision)
            number = row.number
    return Attempts(sorted(attempts, key=lambda each: each.at), number, judgment)
