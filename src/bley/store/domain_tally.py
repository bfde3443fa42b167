"""The counts by domain of the last seconds, before they are written."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from math import ceil

from bley.core.history.domain_counts import DAY_SECONDS, PASS, CountedDomains, DomainAdmission, passes, split_domains
from bley.core.history.statistics import Count
from bley.metrics import STORE_DROPPED

__all__ = ["DomainTally"]

COLLECT_SECONDS = 10.0
"""The time in which counts are added up. Each second would write most rows ten times."""

MAX_SLICE = 250
"""Counts in one transaction: some 5 ms on SQLite."""

MAX_COUNTS = 50_000
"""The limit of counts that wait, 12 MB: some hours of an outage, since each day admits a limited number of domains."""

MAX_KNOWN = 500
"""Combinations of domains of known mail that wait to be read: some 3 ms."""


class DomainTally:
    """Adds up the counts by domain. Its length is that of the counts that wait."""

    def __init__(self) -> None:
        self._admission = DomainAdmission()
        self._counts: Counter[Count] = Counter()
        self._ready: Counter[Count] = Counter()
        """The counts that are being written."""
        self._known: Counter[CountedDomains] = Counter()
        self._known_day = 0
        self._due = 0.0

    def __len__(self) -> int:
        return len(self._counts) + len(self._ready) + len(self._known)

    @property
    def ready_slices(self) -> int:
        """The slices that should follow, since a part of the counts was taken."""
        return ceil(len(self._ready) / MAX_SLICE)

    def add_known(self, at: datetime, domains: Iterable[CountedDomains]) -> None:
        """Count requests of known mail, with the domains of each. Their names are read later, once for all."""
        day = _day_of(at)
        if day != self._known_day or len(self._known) >= MAX_KNOWN:
            self._read_known()
            self._known_day = day
        self._known.update(domains)

    def _read_known(self) -> None:
        for domains, number in self._known.items():
            self._add(self._known_day, domains, (PASS,), number)
        self._known.clear()

    def add(self, at: datetime, domains: CountedDomains, events: Iterable[str]) -> None:
        """Count a request of these domains."""
        self._add(_day_of(at), domains, events, 1)

    def _add(self, day: int, domains: CountedDomains, events: Iterable[str], number: int) -> None:
        for side, domain in split_domains(domains):
            for event in events:
                name = self._admission.name(day, side, domain, passes=passes(event))
                self._increment(Count(DAY_SECONDS, day, f"{side}-{event}", name), number)

    def _increment(self, count: Count, number: int) -> None:
        if count in self._counts or len(self) < MAX_COUNTS:
            self._counts[count] += number
        else:
            STORE_DROPPED.labels("counts").inc(number)

    def take(self, now: float, *, all_now: bool) -> dict[Count, int]:
        """Return the counts to be written next: none until COLLECT_SECONDS after the last ones, unless `all_now`.

        `now`: the event loop's clock, in seconds.
        """
        if not self._ready and (now >= self._due or all_now):
            self._read_known()
            self._ready, self._counts = self._counts, Counter()
        taken = dict(self._ready.popitem() for _ in range(min(len(self._ready), MAX_SLICE)))
        if taken and not self._ready:
            self._due = now + COLLECT_SECONDS
        return taken


def _day_of(at: datetime) -> int:
    return int(at.timestamp()) // DAY_SECONDS * DAY_SECONDS
