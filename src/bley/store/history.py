"""What the store tells people who look back: the dashboard, `bley why`, `bley stats`, `bley graph`, `bley top`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from bley.core.greylist import Record
from bley.core.mail import Triplet
from bley.core.periods import Period
from bley.core.search import DecisionQuery, Search, StoredDecision
from bley.core.statistics import Count

__all__ = ["History", "Waiting", "span_of"]


class Waiting(NamedTuple):
    """How many triplets are greylisted, and some of them, the last seen first."""

    number: int
    records: Sequence[tuple[Triplet, Record]]


class History(Protocol):
    """Reads one database, on a connection of its own, so that requests do not wait. Each method raises StoreError."""

    place: str

    async def counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        """What happened in each slot of the period."""

    async def decisions(self, query: DecisionQuery, limit: int, before: str = "") -> Sequence[StoredDecision]:
        """At most `limit`, the newest first; those older than the one whose number is `before`."""

    async def decision(self, number: str) -> StoredDecision | None:
        """The one of this number."""

    async def waiting(self, since: datetime, limit: int) -> Waiting:
        """What is greylisted and was seen since then."""

    async def records(self, search: Search, limit: int) -> Sequence[tuple[Triplet, Record]]:
        """At most `limit` that are meant, the last seen first."""

    async def find(self, triplets: Sequence[Triplet]) -> Mapping[Triplet, Record]:
        """What is known of these."""

    async def close(self) -> None:
        """Let go."""


def span_of(period: Period) -> int:
    """The span, a key of engine.SPANS, whose counts a period is made of."""
    return 3600 if period.slot.total_seconds() % 3600 == 0 else 60
