"""Batching, in one place for all engines: what all requests in flight ask of the store goes in one transaction.

A request alone waits for nothing; while a transaction runs, the next batch collects. A batch's writes go before
its reads, so that whatever was recorded before is found. When the engine fails or hangs, all who wait are told at
once and nobody waits again until a try in the background succeeds; writes are kept for then, the oldest go first
when there are too many.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bley.core.errors import StoreError
from bley.core.greylist import Record, Sighting
from bley.core.mail import Triplet

__all__ = ["BatchedStore", "Engine"]

MAX_BATCH = 500
"""Reads, and writes, in one transaction: some 20 ms on SQLite, so that no one waits long behind a full batch."""

MAX_KEPT = 100_000
"""Writes kept while the store is away: an hour of 28 strangers a second, some 50 MB."""

TRANSACTION_SECONDS = 1.0
"""After this time a transaction hangs. It bounds what a request waits for the store."""

RETRY_SECONDS = 1.0

CLOSE_SECONDS = 10.0
"""What the writes still waiting may take at the end: less than systemd's patience (TimeoutStopSec)."""

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """What an engine does for the batches. Each method raises StoreError, and then has done nothing."""

    async def transact(self, sightings: Sequence[Sighting], triplets: Sequence[Triplet]) -> Sequence[Record | None]:
        """In one transaction, durable on return: merge `sightings`, then find `triplets`, in their order."""

    async def purge(self, *, greylisted_before: datetime, known_before: datetime, limit: int) -> int:
        """Forget at most `limit` such records; how many."""

    async def close(self) -> None:
        """Let go."""


class BatchedStore:
    """The Store port on an Engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reads: deque[tuple[Triplet, asyncio.Future[Record | None]]] = deque()
        self._writes: deque[tuple[Sighting, asyncio.Future[None] | None]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._closed = asyncio.Event()
        self._dropped = 0
        self.is_down = False
        """The last transaction failed: answers come at once, all StoreError, until one succeeds again."""

    async def find(self, triplet: Triplet) -> Record | None:
        """See the port."""
        self._refuse_when_down()
        future: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()
        self._reads.append((triplet, future))
        self._work()
        return await future

    async def record(self, sighting: Sighting) -> None:
        """See the port."""
        if self.is_down:
            self.record_later(sighting)
        self._refuse_when_down()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writes.append((sighting, future))
        self._work()
        await future

    def record_later(self, sighting: Sighting) -> None:
        """See the port."""
        self._writes.append((sighting, None))
        if len(self._writes) > MAX_KEPT and self.is_down:
            self._writes.popleft()
            self._dropped += 1
        self._work()

    async def purge(self, *, greylisted_before: datetime, known_before: datetime) -> int:
        """See the port. Goes in slices, so that it holds up nobody."""
        total = 0
        while True:
            async with self._lock:
                purged = await self._engine.purge(
                    greylisted_before=greylisted_before, known_before=known_before, limit=MAX_BATCH
                )
            total += purged
            if purged < MAX_BATCH:
                return total
            await asyncio.sleep(0)

    async def close(self) -> None:
        """See the port."""
        self._closed.set()
        if self._writes:
            self._work()
        if self._worker:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._worker, CLOSE_SECONDS)
        if self._writes:
            _log.error("store: %d writes are lost, it is still away", len(self._writes))
        await self._engine.close()

    def _refuse_when_down(self) -> None:
        if self.is_down:
            raise StoreError("the store is away")

    def _work(self) -> None:
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._run_batches())

    async def _run_batches(self) -> None:
        while self._reads or self._writes or self.is_down:  # when it is down, an empty transaction is a try
            is_last_try = self._closed.is_set()
            writes = [self._writes.popleft() for _ in range(min(len(self._writes), MAX_BATCH))]
            # A read waits until all that was recorded before it is in its batch or an earlier one.
            reads = [] if self._writes else [self._reads.popleft() for _ in range(min(len(self._reads), MAX_BATCH))]
            transaction = asyncio.ensure_future(self._transact(writes, reads))
            done, _ = await asyncio.wait([transaction], timeout=TRANSACTION_SECONDS)
            if not done:
                self._go_down(StoreError(f"no answer within {TRANSACTION_SECONDS:g} s"), writes, reads)
            try:
                records = await transaction
            except StoreError as error:
                self._go_down(error, writes, reads)
                self._writes.extendleft((sighting, None) for sighting, _ in reversed(writes))
            except Exception as error:  # noqa: BLE001 (a bug must not leave the requests of the batch waiting)
                _log.exception("store: internal error, %d writes are lost; please report it", len(writes))
                self._go_down(StoreError(f"internal error: {error}"), writes, reads)
            else:
                self._come_back()
                _resolve(writes, reads, records)
                continue
            if is_last_try:
                return
            await self._pause()

    async def _transact(self, writes: "_Writes", reads: "_Reads") -> Sequence[Record | None]:
        async with self._lock:
            return await self._engine.transact([sighting for sighting, _ in writes], [triplet for triplet, _ in reads])

    def _go_down(self, error: StoreError, writes: "_Writes", reads: "_Reads") -> None:
        """Tell all who wait, and from now on everybody at once."""
        if not self.is_down:
            _log.warning("store: %s; answering by on_store_error until it is back", error)
        self.is_down = True
        _fail([*writes, *self._writes], [*reads, *self._reads], error)
        self._reads.clear()

    def _come_back(self) -> None:
        if len(self._writes) > MAX_BATCH:
            return  # first what was kept: reads would wait for it
        if self.is_down:
            _log.warning("store: back, all that was kept is written, %d writes were dropped", self._dropped)
        self.is_down, self._dropped = False, 0

    async def _pause(self) -> None:
        """Until it is time to try again, at the latest when the store is closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await self._closed.wait()


_Writes = list[tuple[Sighting, asyncio.Future[None] | None]]
_Reads = list[tuple[Triplet, asyncio.Future[Record | None]]]


def _fail(writes: _Writes, reads: _Reads, error: StoreError) -> None:
    for _, future in (*writes, *reads):
        if future and not future.done():
            future.set_exception(StoreError(str(error)))


def _resolve(writes: _Writes, reads: _Reads, records: Sequence[Record | None]) -> None:
    for _, written in writes:
        if written and not written.done():
            written.set_result(None)
    for (_, found), record in zip(reads, records, strict=True):
        if not found.done():
            found.set_result(record)
