"""What the store tells people who look back: the dashboard, `bley why`, `bley stats`, `bley graph`, `bley top`."""

import heapq
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from bley.core.greylist import Record
from bley.core.history.periods import Period
from bley.core.history.search import DecisionQuery, Search, StoredDecision
from bley.core.history.statistics import Count
from bley.core.mail import Triplet

__all__ = [
    "SEARCH_SECONDS",
    "History",
    "LatestRecords",
    "PartialResult",
    "SearchDeadline",
    "WaitingTriplets",
    "span_of",
]


SEARCH_SECONDS = 10.0
"""So long a search for decisions, or one for records, may take: some millions of them. Who wants more narrows it."""

_T = TypeVar("_T")


class PartialResult(list[_T]):
    """What was found before the time of a search was over; `before` is where one for decisions may go on."""

    def __init__(self, found: Iterable[_T], before: str = "") -> None:
        super().__init__(found)
        self.before = before


class SearchDeadline:
    """Bounds the time of a search."""

    def __init__(self) -> None:
        self._end = time.monotonic() + SEARCH_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether the search must end."""
        return time.monotonic() >= self._end


class LatestRecords:
    """Of all records that are added, the last seen, at most so many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._added: dict[Triplet, Record] = {}

    def add(self, records: Iterable[tuple[Triplet, Record]]) -> None:
        """Take these into account; a triplet may come again."""
        self._added.update(records)
        if len(self._added) > 2 * self._limit + _SOME:
            self._added = dict(self.found)

    @property
    def found(self) -> list[tuple[Triplet, Record]]:
        """They, the last seen first."""
        return heapq.nlargest(self._limit, self._added.items(), key=lambda record: record[1].last_seen)


_SOME = 1000
"""Records that are kept though they may be too old: to sort them out is spared so often."""


class WaitingTriplets(NamedTuple):
    """How many triplets are greylisted, and some of them, the last seen first."""

    number: int
    records: Sequence[tuple[Triplet, Record]]


class History(Protocol):
    """Reads one database, on a connection of its own, so that requests do not wait. Each method raises StoreError."""

    place: str

    async def counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        """What happened in each slot of the period."""

    async def decisions(self, query: DecisionQuery, limit: int, before: str = "") -> Sequence[StoredDecision]:
        """At most `limit`, the newest first; those older than the one whose number is `before`.

        PartialResult where the time was over before all were looked at that could fit.
        """

    async def decision(self, number: str) -> StoredDecision | None:
        """The one of this number."""

    async def waiting(self, since: datetime, limit: int) -> WaitingTriplets:
        """What is greylisted and was seen since then."""

    async def records(self, search: Search, limit: int) -> Sequence[tuple[Triplet, Record]]:
        """At most `limit` that are meant, the last seen first. PartialResult, with any of them, at the deadline."""

    async def find(self, triplets: Sequence[Triplet]) -> Mapping[Triplet, Record]:
        """What is known of these."""

    async def close(self) -> None:
        """Let go."""


def span_of(period: Period) -> int:
    """The span, a key of engine.SPANS, whose counts a period is made of."""
    return 3600 if period.slot.total_seconds() % 3600 == 0 else 60
