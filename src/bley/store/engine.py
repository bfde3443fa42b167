"""What an engine does for the store, whatever it is; batched.py decides when."""

import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from bley.core.decision import KeptDecision
from bley.core.greylist import Lifetimes, Record, Sighting
from bley.core.history.statistics import Count
from bley.core.mail import Triplet

__all__ = [
    "ANSWER_SECONDS",
    "MARK_LIFETIME",
    "SPANS",
    "Engine",
    "Mark",
    "Marks",
    "Purged",
    "RemoteChanges",
    "counts_per_span",
    "is_closed_connection",
]

ANSWER_SECONDS = 3.0
"""The time limit of a transaction on a server: its connection may be cut without notice.

It is longer than a request waits, so that a commit that always takes two seconds still succeeds.
"""

MARK_LIFETIME = timedelta(days=30)
"""How long a store keeps the last mark of a writer: longer than a process retries the same work."""

SPANS = {60: timedelta(days=8), 3600: timedelta(days=400)}
"""DecisionWriter are counted for each minute and for each hour: seconds of the span, and how long its counts are kept.

Of some 30 pairs of kind and name that occur that is 350,000 and 290,000 rows at the most, 60 MB in all.
"""


def counts_per_span(minutes: Mapping[tuple[int, str, str], int]) -> dict[Count, int]:
    """What happened by minute (since 1970 UTC), kind and name, as what each number adds to the counts."""
    counts = Counter[Count]()
    for (minute, kind, name), number in minutes.items():
        for seconds in SPANS:
            counts[Count(seconds, 60 * minute // seconds * seconds, kind, name)] += number
    return counts


class Mark(NamedTuple):
    """The identity of work that must not be done twice: a store that has the writer's number, or a later one, skips it.

    Numbers grow, and are microseconds since 1970 UTC, so that a store can purge writers that have gone.
    """

    writer: str
    number: int


class Marks:
    """The marks of one writer. Its work must reach the store in the order of its marks."""

    def __init__(self) -> None:
        self._writer, self._last = secrets.token_hex(8), 0

    def next(self) -> Mark:
        """Return the mark of the next work."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return Mark(self._writer, self._last)


class RemoteChanges(NamedTuple):
    """What other nodes and commands have changed: how often something was forgotten, whether records for ANY exist."""

    forgotten: int
    has_any: bool


class Purged(NamedTuple):
    """How many rows of each kind were forgotten."""

    records: int
    decisions: int
    counts: int


class Engine(Protocol):
    """One database. Each method raises StoreError; what it was to do may have happened, and may be done again."""

    place: str
    """What people call it; each StoreError begins with it."""

    @property
    def answer_seconds(self) -> float | None:
        """The time limit of a transaction; None where an answer always comes, and work under way cannot be stopped."""

    async def is_prepared(self) -> bool:
        """Whether the tables are there, and of this bley's schema."""

    async def prepare(self) -> None:
        """Make the tables or upgrade them; may take long. What the engine is asked before is a StoreError."""

    async def transact(
        self, sightings: Sequence[Sighting], triplets: Sequence[Triplet], marks: Sequence[Mark | None] = ()
    ) -> Mapping[Triplet, Record]:
        """In one transaction, durable on return: merge `sightings`, then find what is known of `triplets`.

        `marks`: those of the sightings that add attempts. Any other merge changes nothing when it is done again.
        Raises RefusedError.
        """

    async def keep(
        self, decisions: Sequence[KeptDecision], counts: Mapping[Count, int], mark: Mark | None = None
    ) -> None:
        """Keep decisions and add to the counts, once if there is a mark. Raises RefusedError."""

    async def purge(self, now: datetime, lifetimes: Lifetimes, limit: int) -> Purged:
        """Forget at most `limit` of each kind that have outlived their lifetime."""

    async def remote_changes(self) -> RemoteChanges:
        """What may have changed."""

    def records(self) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        """All records, in portions."""

    async def unite(self, records: Sequence[tuple[Triplet, Record]], now: datetime, lifetimes: Lifetimes) -> None:
        """Take over records: each is united with what is known (core.greylist.united). Raises RefusedError."""

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


def is_closed_connection(error: BaseException) -> bool:
    """Whether uvloop says so that a connection was closed just before a driver wrote to it: by a bare RuntimeError."""
    return type(error) is RuntimeError and str(error).endswith("the handler is closed")
