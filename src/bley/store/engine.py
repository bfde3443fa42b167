"""The interface of the database engines. batched.py decides when its methods are called."""

import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from bley.core.decision import DecisionEntry
from bley.core.greylist import Lifetimes, Record, Sighting
from bley.core.history.audit import AuditEntry
from bley.core.history.domain_counts import DAY_SECONDS, STORED_DAYS
from bley.core.history.list_counts import LIST_KINDS, LIST_SPANS
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.core.places import Found

__all__ = [
    "ANSWER_SECONDS",
    "LIFETIMES",
    "MARK_LIFETIME",
    "MOST_DOMAINS",
    "SPANS",
    "TRIMMED_AFTER",
    "Engine",
    "Mark",
    "Marks",
    "Purged",
    "RemoteChanges",
    "Trimmed",
    "counts_per_span",
    "is_closed_connection",
    "latest_domains",
]

ANSWER_SECONDS = 3.0
"""The time limit of a transaction on a server, whose connection may be cut without notice.

It is longer than a request's deadline, so that a commit that always takes two seconds still succeeds.
"""

MARK_LIFETIME = timedelta(days=30)
"""The time for which a store keeps the last mark of a writer; a process retries the same work for less time."""

SPANS = {60: timedelta(days=8), 3600: timedelta(days=400)}
"""The spans of counts, a minute and an hour: the seconds of the span, and the lifetime of its counts.

With some 30 pairs of kind and name in use, that makes at most 350,000 and 290,000 rows, 60 MB in all. Mail that comes
back is counted by reason and delay, so it adds at most a row for each mail: with 1,000 a day 8,000 and 400,000 rows,
40 MB. However much comes back, 8 reasons in use and 12 delays are 96 pairs: 1,110,000 and 920,000 rows.
"""

LIFETIMES = {**SPANS, **LIST_SPANS, DAY_SECONDS: timedelta(days=STORED_DAYS)}
"""The same with the counts of DNS lists and by domain, whose limits are in list_counts and domain_counts of core."""


def counts_per_span(minutes: Mapping[tuple[int, str, str], int]) -> dict[Count, int]:
    """Return what each number, by minute (since 1970 UTC), kind and name, adds to the counts of each span."""
    counts = Counter[Count]()
    for (minute, kind, name), number in minutes.items():
        for seconds in LIST_SPANS if kind in LIST_KINDS else SPANS:
            counts[Count(seconds, 60 * minute // seconds * seconds, kind, name)] += number
    return counts


MOST_DOMAINS = 32
"""The domains that a store remembers of one network, the latest ones; a SQL engine has up to twice as many for a while.

An IPv4 network of 256 addresses seldom sends mail of so many. A triplet is looked up under all of them,
which takes 6 us more on SQLite where none has a record.
"""


def latest_domains(sightings: Iterable[Sighting]) -> dict[tuple[str, str], datetime]:
    """Return when each domain was last verified on each network."""
    latest: dict[tuple[str, str], datetime] = {}
    for sighting in sightings:
        if sighting.network:
            key = sighting.network, sighting.triplet.client
            latest[key] = max(sighting.seen, latest.get(key, sighting.seen))
    return latest


class Mark(NamedTuple):
    """An idempotency key: a store that has this number of the writer, or a later one, skips the work.

    Numbers grow. They are microseconds since 1970 UTC, so that a store can purge writers that are gone.
    """

    writer: str
    number: int


class Marks:
    """The marks of one writer, whose work must reach the store in the order of its marks."""

    def __init__(self) -> None:
        self._writer, self._last = secrets.token_hex(8), 0

    def next(self) -> Mark:
        """Return the mark of the next piece of work."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return Mark(self._writer, self._last)


class RemoteChanges(NamedTuple):
    """Changes by other nodes and commands: the number of `forget` calls, and whether records for ANY exist."""

    forgotten: int
    has_any: bool


class Purged(NamedTuple):
    """The number of expired rows that were deleted, by kind."""

    records: int
    decisions: int
    counts: int
    domains: int = 0


class Trimmed(NamedTuple):
    """The number of counts that were deleted, and whether all days that are over are trimmed."""

    counts: int
    is_done: bool


TRIMMED_AFTER = timedelta(hours=1)
"""The time after the end of a day in which other nodes write the last of its counts. Later ones are not trimmed."""


class Engine(Protocol):
    """One database. A method that raises StoreError may have committed its work all the same, and may be retried."""

    place: str
    """The name of the database in messages; each StoreError starts with it."""

    @property
    def answer_seconds(self) -> float | None:
        """The time limit of a transaction; None if an answer always comes and running work cannot be cancelled."""

    async def is_prepared(self) -> bool:
        """Return whether the tables exist and have this bley's schema."""

    async def prepare(self) -> None:
        """Create or upgrade the tables; may take long. Until then, the other methods raise StoreError."""

    async def check_writable(self) -> None:
        """Raise StoreError if the store accepts no writes; change nothing."""

    async def transact(
        self, sightings: Sequence[Sighting], triplets: Sequence[Triplet], marks: Sequence[Mark | None] = ()
    ) -> Found:
        """Merge `sightings`, then return the records of `triplets`; one transaction, durable on return.

        A sighting with a network teaches that the domain was verified on it. Records of a triplet whose client is a
        network are also found under the domains that were verified on it.

        `marks`: those of the sightings that add attempts. Any other merge is idempotent. Raises RefusedError.
        """

    async def add_decisions(
        self, decisions: Sequence[DecisionEntry], counts: Mapping[Count, int], mark: Mark | None = None
    ) -> None:
        """Store decisions and add to the counts; idempotent if there is a mark. Raises RefusedError."""

    async def add_audit(self, entries: Sequence[AuditEntry], mark: Mark | None = None) -> None:
        """Add entries to the audit, which keeps the newest audit.MOST_ENTRIES; idempotent if there is a mark."""

    async def purge(self, now: datetime, lifetimes: Lifetimes, limit: int) -> Purged:
        """Delete at most `limit` expired rows of each kind."""

    async def trim_domains(self, now: datetime, limit: int) -> Trimmed:
        """Do a part of the trimming: delete the counts of domains beyond STORED_DOMAINS, of each day that is over."""

    async def remote_changes(self) -> RemoteChanges:
        """Return the current numbers of changes by other nodes and commands."""

    def records(self) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        """Yield all records, in portions."""

    async def unite(self, records: Sequence[tuple[Triplet, Record]], now: datetime, lifetimes: Lifetimes) -> None:
        """Import records: unite each with the stored one (core.greylist.united). Raises RefusedError."""

    async def forget(self, triplets: Sequence[Triplet]) -> None:
        """Delete the records of these triplets, and notify all nodes."""

    async def key_check(self) -> int | None:
        """Return the check value of the key that hashes addresses (settings.privacy_key); None if none is claimed."""

    async def claim_key(self, check: int) -> int:
        """Store the check value unless there is one already, and return the stored one, the same to all nodes."""

    async def release_key(self) -> None:
        """Delete the check value, so that the next node that starts can claim its own."""

    async def close(self) -> None:
        """Close all connections."""


def is_closed_connection(error: BaseException) -> bool:
    """Return whether this is the bare RuntimeError by which uvloop reports a write to a connection just closed."""
    return type(error) is RuntimeError and str(error).endswith("the handler is closed")
