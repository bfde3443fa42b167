"""What the service needs of the world, and nothing about who provides it."""

import time
from asyncio import Future
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol, TypeVar

from bley.core.decision import KeptDecision
from bley.core.greylist import Record, Sighting
from bley.core.mail import Triplet

__all__ = [
    "MOST_RECORDS",
    "Clock",
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
"""Gives the present instant, aware UTC."""


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


_STEADY_ZERO = datetime(2000, 1, 1, tzinfo=UTC)


def steady_now() -> datetime:
    """An instant of a clock that nobody sets, whatever happens to the system's: only its differences mean something.

    Durations within a process are measured by it; what is stored or shown has the system's instants.
    """
    return _STEADY_ZERO + timedelta(seconds=time.monotonic())


RrType = Literal["A", "AAAA", "MX", "NS", "PTR", "TXT"]


MOST_RECORDS = 256
"""Records of an answer; a stranger may write some 5,000. Each takes 9 us to read, so these 2.3 ms."""


class ResourceRecord(NamedTuple):
    """One record of a DNS answer. `data`: an address or name as text; of TXT the bytes, of MX (preference, name)."""

    name: str
    rrtype: str
    data: str | bytes | tuple[int, str]
    ttl_seconds: int = 0
    """How long it may still be kept."""


class Resolver(Protocol):
    """Asks the DNS."""

    def resolve(self, name: str, rrtype: RrType) -> Future[Sequence[ResourceRecord]]:
        """All records of the answer, the CNAMEs on the way too; none where name or type does not exist.

        Raises ResolverError when there is no answer in time, or the answer is a failure or has over `MOST_RECORDS`.
        Who asks the same at the same time gets the same future: await it through `asyncio.shield`.
        """


class UncachedResolver(Resolver, Protocol):
    """Asks the DNS, and never a cache."""

    async def has_answers(self) -> bool:
        """Whether the DNS answers at all, be it that a name does not exist."""


class Store(Protocol):
    """Remembers triplets and decisions. Whatever was recorded before is found afterwards, in the order of the calls."""

    async def find(self, triplets: Sequence[Triplet]) -> tuple[Triplet, Record] | None:
        """Of which of `triplets` the best is known (of equals the first), and what.

        Raises StoreError, after a second at the latest.
        """

    async def record(self, sighting: Sighting, within_seconds: float = 1.0) -> None:
        """Merge `sighting` into its triplet's record; durable on return.

        Raises StoreError, after a second at the latest, or `within_seconds`, and still tries later.
        """

    def record_later(self, sighting: Sighting) -> None:
        """The same, without waiting for it."""

    def keep(self, decision: KeptDecision) -> None:
        """Keep a decision, and count it, without waiting for it."""

    def keep_known(self, at: datetime, known: Sequence[_T], kept: Callable[[_T], KeptDecision]) -> None:
        """Count requests that were known, and keep `kept` of those for which there is room."""

    async def close(self) -> None:
        """Write what is still to be written, as far as that is possible, and let go."""
