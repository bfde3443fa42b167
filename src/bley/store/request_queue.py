"""The queue of requests to the store: reads and writes that wait, and the batch of them that is in a transaction.

Each request has a deadline, an instant of the loop's clock at which it gets an error if it has no result by then.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from bley.core.errors import StoreError
from bley.core.greylist import Sighting
from bley.core.mail import Triplet
from bley.core.places import Found
from bley.metrics import BATCH_SIZE, STORE_DROPPED
from bley.store.engine import Mark, Marks

__all__ = ["MAX_BATCH", "MAX_QUEUED", "Batch", "RequestQueue"]

MAX_BATCH = 500
"""Reads, and writes, in one transaction: some 20 ms on SQLite, so that no request waits long behind a full batch."""

MAX_QUEUED = 100_000
"""Writes that are queued while the store is away: an hour of 28 strangers a second, some 50 MB."""

_log = logging.getLogger(__name__)


class Write(NamedTuple):
    """A sighting to be merged; `future` is None if no request waits for it."""

    sighting: Sighting
    mark: Mark | None
    """The mark of a sighting that adds attempts."""
    deadline: float = 0
    future: asyncio.Future[None] | None = None


class Read(NamedTuple):
    """The places of one triplet, whose records are found."""

    triplets: Sequence[Triplet]
    deadline: float
    future: asyncio.Future[Found]


class Batch(NamedTuple):
    """The content of one transaction, which does the writes before the reads."""

    writes: list[Write]
    reads: list[Read]

    @property
    def work(self) -> tuple[list[Sighting], list[Triplet], list[Mark | None]]:
        """Return the sightings, the triplets, and the marks of the sightings if there are any."""
        marks = [write.mark for write in self.writes]
        triplets = [triplet for read in self.reads for triplet in read.triplets]
        return [write.sighting for write in self.writes], triplets, marks if any(marks) else []

    def resolve(self, found: Found, refused: Mapping[Sighting | Triplet, StoreError]) -> None:
        """Resolve all futures with what was found, or with the reason why the store refuses the value."""
        for write in self.writes:
            if write.future:
                _resolve(write.future, refused.get(write.sighting) if refused else None)
        for read in self.reads:
            own = found.of_any(read.triplets)
            why = next((refused[triplet] for triplet in read.triplets if triplet in refused), None) if refused else None
            _resolve(read.future, own if own.records else why or own)


class RequestQueue:
    """The queue of one store, in the order of the calls; `place` is the name of the database in messages."""

    def __init__(self, place: str) -> None:
        self._place, self._marks = place, Marks()
        self._writes: deque[Write] = deque()
        self._reads: deque[Read] = deque()
        self._awaited = 0
        """The number of queued writes with a future."""
        self.batch = Batch([], [])
        """The batch that `next_batch` returned last."""
        self.dropped = 0
        """The number of writes that were dropped since the store was last open."""

    def __bool__(self) -> bool:
        """Return whether a request is queued."""
        return bool(self._writes or self._reads)

    @property
    def is_urgent(self) -> bool:
        """Return whether a queued request is awaited, or the writes suffice for a whole batch."""
        return bool(self._reads) or self._awaited > 0 or len(self._writes) >= MAX_BATCH

    @property
    def writes(self) -> int:
        """Return the number of queued writes."""
        return len(self._writes)

    def find(self, triplets: Sequence[Triplet], deadline: float) -> asyncio.Future[Found]:
        """Queue a read."""
        future = asyncio.get_running_loop().create_future()
        self._reads.append(Read(triplets, deadline, future))
        return future

    def record(self, sighting: Sighting, deadline: float) -> asyncio.Future[None]:
        """Queue a write whose result is awaited."""
        future = asyncio.get_running_loop().create_future()
        self._writes.append(Write(sighting, self._mark(sighting), deadline, future))
        self._awaited += 1
        return future

    def record_later(self, sighting: Sighting) -> None:
        """Queue a write; drop the oldest one if there are too many."""
        self._writes.append(Write(sighting, self._mark(sighting)))
        if len(self._writes) > MAX_QUEUED:
            self._drop(self._writes.popleft())

    def _mark(self, sighting: Sighting) -> Mark | None:
        return self._marks.next() if sighting.attempts else None

    def _drop(self, write: Write) -> None:
        if write.future:
            self._awaited -= 1
            _resolve(write.future, StoreError(f"{self._place}: the queue is full"))
        if not self.dropped:
            _log.warning("store: more than %d writes are queued, the oldest are dropped", MAX_QUEUED)
        self.dropped += 1
        STORE_DROPPED.labels("writes").inc()

    def next_batch(self) -> Batch:
        """Take the next batch. A read waits until all earlier writes are in its batch or an earlier one."""
        writes = [self._writes.popleft() for _ in range(min(len(self._writes), MAX_BATCH))]
        reads = [] if self._writes else [self._reads.popleft() for _ in range(min(len(self._reads), MAX_BATCH))]
        self._awaited -= sum(write.future is not None for write in writes)
        BATCH_SIZE.observe(len(writes) + len(reads))
        self.batch = Batch(writes, reads)
        return self.batch

    def put_back(self) -> None:
        """Queue the writes of the batch again, before all others; no request waits for them any more."""
        self._writes.extendleft(reversed([write._replace(future=None) for write in self.batch.writes]))
        self.batch = Batch([], [])

    def fail(self, error: StoreError) -> None:
        """Resolve all futures with the error, those of the batch too. Writes stay queued."""
        for request in self._all:
            if request.future:
                _resolve(request.future, error)
        self._reads.clear()

    def deadline(self, default: float) -> float:
        """Return the earliest deadline of all requests that are still awaited."""
        return min((each.deadline for each in self._all if each.future and not each.future.done()), default=default)

    @property
    def _all(self) -> Iterator[Write | Read]:
        queues: tuple[Iterable[Write | Read], ...] = (*self.batch, self._writes, self._reads)
        return chain.from_iterable(queues)


def _resolve(future: asyncio.Future[Any], result: object) -> None:
    if future.done():  # its request was cancelled, or has missed its deadline
        return
    if isinstance(result, StoreError):
        future.set_exception(type(result)(str(result)))  # a copy, since a traceback grows with each raise
    else:
        future.set_result(result)
