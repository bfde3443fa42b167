"""Three queries for the sender domains of delayed mail."""

from datetime import datetime, timedelta

from bley.core.history.delayed_mail import DelayedMail, domain_mail
from bley.core.history.domain_counts import NULL_DOMAIN, REST, counted_name
from bley.core.history.exempted import COUNTED
from bley.store.history import History

__all__ = ["SHOWN_DOMAINS", "read_delayed_mail"]

SHOWN_DOMAINS = 10
"""The domains whose mail came back most."""

_MOST_WAITING = 1000
"""Domains of waiting triplets, those of the latest ones: 60 ms on SQLite, and 0.5 MB."""


async def read_delayed_mail(history: History, since: datetime, now: datetime, longest_wait: timedelta) -> DelayedMail:
    """Return the domains whose mail came back most since then, and those that wait now. Raises StoreError."""
    domains = await history.waiting_domains(now - longest_wait, _MOST_WAITING)
    waiting = {domain: counted_name(domain) for domain in domains}
    most = await history.most_delayed(since, now, SHOWN_DOMAINS + len((NULL_DOMAIN, REST)))
    names = {*waiting.values(), *(each.name for each in most.domains)}
    days = COUNTED // timedelta(days=1)
    sums = await history.domain_sums(names, now - timedelta(days=days - 1), now)
    return DelayedMail(most, waiting, domain_mail(sums), days)
