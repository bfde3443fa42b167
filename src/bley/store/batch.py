"""What is in flight to the store together: writes, reads, and who waits for them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any, NamedTuple

from bley.core.errors import StoreError
from bley.core.greylist import Record, Sighting, Status
from bley.core.mail import Triplet
from bley.store.engine import Mark

__all__ = ["Batch", "Read", "Write", "end_at", "tell", "tell_all", "waits_until"]

_FORCED_END_SECONDS = 0.2
"""For a task that is cancelled to let go of its connection; a thread takes longer, and is left alone."""


class Write(NamedTuple):
    """A sighting to be merged."""

    sighting: Sighting
    until: float
    """By the loop's clock, until when somebody waits."""
    told: asyncio.Future[None] | None
    """None: nobody waits."""
    mark: Mark | None = None
    """Of one that adds attempts."""


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
    def work(self) -> tuple[list[Sighting], list[Triplet], list[Mark | None]]:
        """The sightings to be merged, in order, the triplets to be looked for, and marks if any sighting has one."""
        marks = [write.mark for write in self.writes]
        triplets = [triplet for read in self.reads for triplet in read.triplets]
        return [write.sighting for write in self.writes], triplets, marks if any(marks) else []

    def resolve(
        self,
        records: Mapping[Triplet, Record],
        refused: Mapping[Sighting | Triplet, StoreError] = MappingProxyType({}),
    ) -> None:
        """Tell all who wait that it is done, and what was found, or that the store refuses it."""
        for write in self.writes:
            tell(write.told, refused.get(write.sighting) if refused else None)
        for read in self.reads:
            found = [(triplet, records[triplet]) for triplet in read.triplets if triplet in records]
            why = next((refused[triplet] for triplet in read.triplets if triplet in refused), None) if refused else None
            tell(read.told, max(found, key=_status, default=why))


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


async def end_at(task: asyncio.Task[None], instant: float) -> bool:
    """Wait for the end of the task, which is forced at the instant of the loop's clock. Return whether it was not."""
    seconds = instant - asyncio.get_running_loop().time()
    ended, _ = await asyncio.wait([task], timeout=max(seconds, 0))
    if not ended:
        task.cancel()
        await asyncio.wait([task], timeout=_FORCED_END_SECONDS)
    return bool(ended)
