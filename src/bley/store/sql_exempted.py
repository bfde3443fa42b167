"""The statement that counts the deferred mail which entries of list files would have exempted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bley.core.history.exempted import Exemption
from bley.core.reasons import Reason
from bley.store.rows import microseconds
from bley.store.sql_schema import decisions

__all__ = ["ROWS_PER_SECOND", "exempted_statement"]

ROWS_PER_SECOND = 300_000
"""Decisions that a database examines in a second at least."""

_COLUMNS = ("at", "outcome", "reason", "client_address", "client_name", "sender", "recipient", "details")


def exempted_statement(exemptions: Sequence[Exemption], since: datetime, most: int) -> sa.Select[Any]:
    """Return the statement. Its row has the number of examined decisions, and for each entry two numbers of mails.

    These are: exempt, and perhaps exempt, since SPF was not checked. The latest `most` decisions are examined.
    """
    columns = [decisions.c[name] for name in _COLUMNS]
    latest = sa.select(*columns).where(decisions.c.at >= microseconds(since))
    some = latest.order_by(decisions.c.at.desc()).limit(most).subquery().c
    is_counted = sa.and_(some.outcome != "pass", some.reason != Reason.EARLY.value)
    numbers: list[sa.ColumnElement[int]] = []
    for exemption in exemptions:
        has_mail = sa.and_(is_counted, _has_mail(some, exemption))
        if exemption.needs_spf:
            details = some.details
            is_pass = details.like('%"spf":{"score":0,"detail":"pass%') & ~details.like('%"detail":"pass%best guess%')
            unknown = has_mail & sa.not_(details.contains('"spf":{'))
            numbers += [_number(has_mail & is_pass), _number(unknown)]
        else:
            numbers += [_number(has_mail), sa.literal(0)]
    return sa.select(sa.func.count()).add_columns(*numbers)


def _number(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def _has_mail(some: Any, exemption: Exemption) -> sa.ColumnElement[bool]:
    word, is_domain = exemption.word, exemption.is_domain
    if exemption.kind == "client":
        name = sa.func.lower(some.client_name)
        is_below = (name == word) | name.endswith(f".{word}", autoescape=True)
        own = some.details.contains(f'"triplet":["{word}",', autoescape=True)
        return sa.or_(own, is_below) if is_domain else sa.and_(some.client_address == word)
    address = sa.func.lower(some[exemption.kind])
    if is_domain:
        return sa.or_(*(address.endswith(f"{mark}{word}", autoescape=True) for mark in "@."))
    part = f'","{word}","' if exemption.kind == "sender" else f'","{word}"]'  # of the triplet
    return sa.or_(address == word, some.details.contains(part, autoescape=True))
