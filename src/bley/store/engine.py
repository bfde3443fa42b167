"""What an engine does for the store, whatever it is; batched.py decides when."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from bley.core.decision import KeptDecision
from bley.core.greylist import Lifetimes, Record, Sighting
from bley.core.mail import Triplet
from bley.core.statistics import Count

__all__ = ["SPANS", "Engine", "News", "Purged", "spread"]

SPANS = {60: timedelta(days=8), 3600: timedelta(days=400)}
"""Decisions are counted for each minute and for each hour: seconds of the span, and how long its counts are kept.

Of some 30 pairs of kind and name that occur that is 350,000 and 290,000 rows at the most, 60 MB in all.
"""


def spread(minutes: Mapping[tuple[int, str, str], int]) -> dict[Count, int]:
    """What happened by minute (since 1970 UTC), kind and name, as what each number adds to the counts."""
    counts = Counter[Count]()
    for (minute, kind, name), number in minutes.items():
        for seconds in SPANS:
            counts[Count(seconds, 60 * minute // seconds * seconds, kind, name)] += number
    return counts


class News(NamedTuple):
    """What other nodes and commands have changed: how often something was forgotten, whether records for ANY exist."""

    forgotten: int
    has_any: bool


class Purged(NamedTuple):
    """How many rows of each kind were forgotten."""

    records: int
    decisions: int
    counts: int


class Engine(Protocol):
    """One database. Each method raises StoreError, and then has done nothing that may not be done again."""

    place: str
    """What people call it; each StoreError begins with it."""

    async def is_prepared(self) -> bool:
        """Whether the tables are there, and of this bley's schema."""

    async def prepare(self) -> None:
        """Make the tables or upgrade them; may take long. What the engine is asked before is a StoreError."""

    async def transact(self, sightings: Sequence[Sighting], triplets: Sequence[Triplet]) -> Mapping[Triplet, Record]:
        """In one transaction, durable on return: merge `sightings`, then find what is known of `triplets`."""

    async def keep(self, decisions: Sequence[KeptDecision], counts: Mapping[Count, int]) -> None:
        """Keep decisions and add to the counts."""

    async def purge(self, now: datetime, lifetimes: Lifetimes, limit: int) -> Purged:
        """Forget at most `limit` of each kind that have outlived their lifetime."""

    async def news(self) -> News:
        """What may have changed."""

    def records(self) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        """All records, in portions."""

    async def unite(self, records: Sequence[tuple[Triplet, Record]], now: datetime, lifetimes: Lifetimes) -> None:
        """Take over records: each is united with what is known (core.greylist.united)."""

    async def forget(self, triplets: Sequence[Triplet]) -> None:
        """Forget these, and let all nodes know."""

    async def key_check(self) -> int | None:
        """Return the check value of the key that addresses are hashed by (privacy.py); None: no node has claimed it."""

    async def claim_key(self, check: int) -> int:
        """Store the check value if there is none yet, and return the one that is stored: to all nodes the same one."""

    async def release_key(self) -> None:
        """Forget the check value, so that the next node that starts may claim it."""

    async def close(self) -> None:
        """Let go."""
