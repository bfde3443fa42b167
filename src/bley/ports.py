"""The interfaces of clock, resolver and store. Tests replace each of them."""

import time
from asyncio import Future
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol, TypeVar

from bley.core.decision import DecisionEntry
from bley.core.errors import ResolverError
from bley.core.greylist import Sighting
from bley.core.history.domain_counts import CountedDomains
from bley.core.mail import Triplet
from bley.core.places import Found

__all__ = [
    "MOST_RECORDS",
    "CachedResolver",
    "Clock",
    "Outcome",
    "Resolver",
    "ResourceRecord",
    "RrType",
    "Store",
    "UncachedResolver",
    "steady_now",
    "utc_now",
]

_T = TypeVar("_T")

Clock = Callable[[], datetime]
"""Returns the present instant, aware UTC."""


def utc_now() -> datetime:
    """Return the time of the system clock."""
    return datetime.now(UTC)


_STEADY_ZERO = datetime(2000, 1, 1, tzinfo=UTC)


def steady_now() -> datetime:
    """Return the time of the monotonic clock, as an instant. Only differences between two of them have a meaning.

    Durations within a process are measured with it. Stored and shown instants come from the system clock.
    """
    return _STEADY_ZERO + timedelta(seconds=time.monotonic())


RrType = Literal["A", "AAAA", "MX", "NS", "PTR", "TXT"]


MOST_RECORDS = 256
"""The most records of an accepted answer. An answer may have some 5,000. Parsing takes 9 us each: 2.3 ms for 256."""


class ResourceRecord(NamedTuple):
    """One record of a DNS answer. `data`: an address or name as text, the bytes of TXT, or (preference, name) of MX."""

    name: str
    rrtype: str
    data: str | bytes | tuple[int, str]
    ttl_seconds: int = 0
    """The remaining time for which it may be cached."""


Outcome = Sequence[ResourceRecord] | ResolverError
"""The records of an answer, or the failure in its place."""


class Resolver(Protocol):
    """Queries the DNS."""

    def resolve(self, name: str, rrtype: RrType) -> Future[Sequence[ResourceRecord]]:
        """Return all records of the answer, including CNAMEs; none if the name or type does not exist.

        Raises ResolverError if the answer is late, is a failure, or has more than `MOST_RECORDS`.
        """


class CachedResolver(Resolver, Protocol):
    """Queries the DNS through a cache, and notices when no server answers."""

    @property
    def is_silent(self) -> bool:
        """Whether the DNS gives no usable answer at present. Queries then fail at once."""

    def query(self, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
        """Query as `resolve` does. `then` is called once with the outcome, before this returns if that is known."""


class UncachedResolver(Resolver, Protocol):
    """Queries the DNS without a cache."""

    @property
    def name(self) -> str:
        """The servers, for messages."""

    async def has_answers(self) -> bool:
        """Return whether the DNS answers at all; NXDOMAIN is an answer."""

    async def invented_addresses(self) -> frozenset[str]:
        """Return the addresses that the DNS answers for names that do not exist; none if it is well, or fails."""


class Store(Protocol):
    """Stores triplets and decisions. Calls take effect in their order: `find` sees everything recorded before it."""

    async def find(self, triplets: Sequence[Triplet], within_seconds: float = 1.0) -> Found:
        """Return the records of the triplets, and the domains under which some of them stand.

        Those whose client is a network are also found under the domains that sightings verified on it.
        Raises StoreError, within a second or `within_seconds`.
        """

    async def record(self, sighting: Sighting, within_seconds: float = 1.0) -> None:
        """Merge `sighting` into its triplet's record; durable on return.

        Raises StoreError, within a second or `within_seconds`. The write then stays queued and is retried.
        """

    def record_later(self, sighting: Sighting) -> None:
        """Queue the same without waiting."""

    def add_decision(self, decision: DecisionEntry) -> None:
        """Queue a decision to be stored and counted."""

    def add_known_decisions(
        self,
        at: datetime,
        known: Sequence[_T],
        to_decision: Callable[[_T], DecisionEntry],
        node: str = "",
        domains: Sequence[CountedDomains] = (),
    ) -> None:
        """Count requests of known mail, also as the node's, and queue `to_decision(request)` within the rate limit.

        `domains`: those of each request, for its counts.
        """

    def add_list_count(self, at: datetime, kind: str, name: str, number: int = 1) -> None:
        """Count events about a DNS list: their kind (core.history.list_counts), and the list's name."""

    async def close(self) -> None:
        """Write what is queued, as far as that is possible, and disconnect."""
