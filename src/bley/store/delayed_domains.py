"""Three queries for the sender domains of delayed mail."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from bley.core.history.delayed_mail import DelayedMail
from bley.core.history.domain_counts import NULL_DOMAIN, REST
from bley.core.history.exempted import COUNTED
from bley.core.names.domains import owner_domain
from bley.store.history import History

__all__ = ["SHOWN_DOMAINS", "read_delayed_mail"]

SHOWN_DOMAINS = 10
"""The domains whose mail came back most."""

_MOST_WAITING = 5000
"""Domains of waiting triplets, those of the latest ones: 0.3 s on SQLite, of which 20 ms hold up the event loop."""


async def read_delayed_mail(history: History, since: datetime, now: datetime, longest_wait: timedelta) -> DelayedMail:
    """Return the domains whose mail came back most since then, and those that wait now. Raises StoreError."""
    domains = await history.waiting_domains(now - longest_wait, _MOST_WAITING)
    waiting = await asyncio.to_thread(_counted_names, domains)
    most = await history.most_delayed(since, now, SHOWN_DOMAINS + len((NULL_DOMAIN, REST)))
    names = {*waiting.values(), *(each.name for each in most.domains)}
    days = COUNTED // timedelta(days=1)
    mail = await history.domain_mail(names, now - timedelta(days=days - 1), now)
    return DelayedMail(most, waiting, mail, days)


def _counted_names(domains: Sequence[str]) -> dict[str, str]:
    """Return the name under which each is counted: some 5 us each, so a thread does it."""
    return {domain: owner_domain(domain) for domain in domains}
