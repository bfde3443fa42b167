"""What is in flight to the store together: writes, reads, and who waits for them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from bley.core.errors import StoreError
from bley.core.greylist import Record, Sighting, Status
from bley.core.mail import Triplet

__all__ = ["Batch", "Read", "Write", "tell", "tell_all", "waits_until"]


class Write(NamedTuple):
    """A sighting to be merged."""

    sighting: Sighting
    until: float
    """By the loop's clock, until when somebody waits."""
    told: asyncio.Future[None] | None
    """None: nobody waits."""


class Read(NamedTuple):
    """Triplets of which the one is wanted of which the best is known, and of equals the first."""

    triplets: Sequence[Triplet]
    until: float
    told: asyncio.Future[tuple[Triplet, Record] | None]


class Batch(NamedTuple):
    """What goes in one transaction, the writes before the reads."""

    writes: list[Write]
    reads: list[Read]

    @property
    def sightings(self) -> list[Sighting]:
        """All to be merged, in order."""
        return [write.sighting for write in self.writes]

    @property
    def triplets(self) -> list[Triplet]:
        """All to be looked for."""
        return [triplet for read in self.reads for triplet in read.triplets]

    def resolve(self, records: Mapping[Triplet, Record]) -> None:
        """Tell all who wait that it is done, and what was found."""
        for write in self.writes:
            tell(write.told, None)
        for read in self.reads:
            found = ((triplet, records[triplet]) for triplet in read.triplets if triplet in records)
            tell(read.told, max(found, key=_status, default=None))


def _status(found: tuple[Triplet, Record]) -> Status:
    return found[1].status


def tell(future: asyncio.Future[Any] | None, result: object) -> None:
    """Tell who waits, if somebody still does, the result or why there is none."""
    if future is None or future.done():
        return
    if isinstance(result, StoreError):
        future.set_exception(type(result)(str(result)))  # one of its own: a traceback grows with each raise
    else:
        future.set_result(result)


def tell_all(queue: Iterable[Write | Read], error: StoreError) -> None:
    """Tell all in the queue why there is no result."""
    for each in queue:
        tell(each.told, error)


def waits_until(queue: Iterable[Write | Read]) -> float:
    """Until when those wait who were not told yet; for ever, if nobody does."""
    return min((each.until for each in queue if each.told and not each.told.done()), default=inf)
