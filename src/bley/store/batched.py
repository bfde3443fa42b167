"""Batching, in one place for all engines: what all requests in flight ask of the store goes in one transaction.

A request alone waits for nothing; while a transaction runs, the next batch collects. A batch's writes go before
its reads, so that whatever was recorded before is found. When the engine fails or is late, all who wait are told at
once and nobody waits again until a try in the background succeeds; writes are kept for then, the oldest go first
when there are too many. DecisionWriter go behind (decisions.py) and hold up nobody.

Late is not failed. A transaction goes on when its requests have been answered, and its outcome is taken when it comes.
Where it stays unknown, since a connection ended or a server is silent, the work is done again: marks (engine.Mark) see
to it that this changes nothing.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import TypeVar

from bley.core.decision import KeptDecision
from bley.core.errors import BusyError, PrivacyKeyError, RefusedError, StoreError
from bley.core.greylist import Lifetimes, Record, Sighting
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.metrics import BATCH_SIZE, STORE_DOWN, STORE_DROPPED, STORE_PURGED
from bley.settings.privacy_key import PrivacyKey
from bley.store.batch import Batch, Read, Write, end_at, tell, tell_all, waits_until
from bley.store.decision_writer import DecisionWriter, Lost
from bley.store.engine import Engine, Mark, Marks, Purged, RemoteChanges
from bley.store.exclusive import ExclusiveEngine

__all__ = ["BatchedStore"]

MAX_BATCH = 500
"""Reads, and writes, in one transaction: some 20 ms on SQLite, so that no one waits long behind a full batch."""

MAX_KEPT = 100_000
"""Writes kept while the store is away: an hour of 28 strangers a second, some 50 MB."""

TRANSACTION_SECONDS = 1.0
"""What a request waits for the store at most, the batch before it included; a transaction that takes longer is late."""

OPEN_SECONDS = 5.0
"""What the start waits at most for an engine from which an answer always comes: a slow disk, another process's lock.

A mail that came before would pass by `on_store_error`. A server may be away for hours, so nothing waits for it.
"""

RETRY_SECONDS = 1.0

_BUSY_SECONDS = 0.05
"""Until the next try where the lock is held by another process; SQLite itself has waited half a second before."""

PREPARE_SECONDS = 1800.0
"""For taking over what bley 2 knew, 20,000 rows a second, or waiting for another node that does."""

CLOSE_SECONDS = 10.0
"""The time limit of `close`: less than systemd's patience (TimeoutStopSec)."""

WRITES_SHARE, DECISIONS_SHARE = 0.6, 0.9
"""Parts of CLOSE_SECONDS after which the writes, and then the decisions, must have ended; 100,000 writes take 4 s."""

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class BatchedStore:
    """The Store port on an Engine.

    Its addresses are hashed by `key` (None: that is not checked), which a new store takes if `claims_key`.
    """

    def __init__(self, engine: Engine, key: PrivacyKey | None = None, *, claims_key: bool = True) -> None:
        self._engine = engine
        self._exclusive = ExclusiveEngine(engine, key, claims_key=claims_key)
        self._reads: deque[Read] = deque()
        self._writes: deque[Write] = deque()
        self._batch = Batch([], [])
        self._worker: asyncio.Task[None] | None = None
        self._decisions = DecisionWriter(self._write_decisions)
        self._marks = Marks()
        self._closed = asyncio.Event()
        self._is_prepared = False
        self.is_down = False
        """The last transaction failed: answers come at once, all StoreError, until one succeeds again."""
        self._dropped = 0
        self._decisions_wait = False

    @property
    def waiting(self) -> dict[str, int]:
        """How much is still to be written."""
        return {"writes": len(self._writes), "decisions": len(self._decisions)}

    async def open(self) -> None:
        """Connect, and make or upgrade the tables; what takes longer than OPEN_SECONDS goes on behind.

        A server has no longer than a request waits. Raises PrivacyKeyError.
        """
        within_seconds = OPEN_SECONDS if self._engine.answer_seconds is None else TRANSACTION_SECONDS
        explaining = asyncio.get_running_loop().call_later(TRANSACTION_SECONDS, self._explain_waiting)
        try:
            await self._find([], within_seconds)
        except PrivacyKeyError:
            raise
        except StoreError:
            return  # which has been logged
        finally:
            explaining.cancel()

    def _explain_waiting(self) -> None:
        if self._engine.answer_seconds is None:
            text = "store: %s: not open yet; bley listens when it is, after %g s at the latest"
            _log.info(text, self._engine.place, OPEN_SECONDS)

    async def find(self, triplets: Sequence[Triplet]) -> tuple[Triplet, Record] | None:
        return await self._find(triplets, TRANSACTION_SECONDS)

    async def _find(self, triplets: Sequence[Triplet], within_seconds: float) -> tuple[Triplet, Record] | None:
        self._refuse_when_down()
        loop = asyncio.get_running_loop()
        read = Read(triplets, loop.time() + within_seconds, loop.create_future())
        self._reads.append(read)
        self._work()
        return await read.told

    async def record(self, sighting: Sighting, within_seconds: float = TRANSACTION_SECONDS) -> None:
        if self.is_down:
            self.record_later(sighting)
        self._refuse_when_down()
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        until = loop.time() + min(within_seconds, TRANSACTION_SECONDS)
        self._writes.append(Write(sighting, until, written, self._mark(sighting)))
        self._work()
        await written

    def record_later(self, sighting: Sighting) -> None:
        self._writes.append(Write(sighting, 0, None, self._mark(sighting)))
        if len(self._writes) > MAX_KEPT:
            self._drop(self._writes.popleft())
        self._work()

    def _mark(self, sighting: Sighting) -> Mark | None:
        return self._marks.next() if sighting.attempts else None

    def _drop(self, write: Write) -> None:
        tell(write.told, StoreError(f"{self._engine.place}: the queue is full"))
        if not self._dropped:
            _log.warning("store: more than %d writes are queued, the oldest are dropped", MAX_KEPT)
        self._dropped += 1
        STORE_DROPPED.labels("writes").inc()

    def keep(self, decision: KeptDecision) -> None:
        self._decisions.keep(decision)

    def keep_known(self, at: datetime, known: Sequence[_T], kept: Callable[[_T], KeptDecision]) -> None:
        self._decisions.keep_known(at, known, kept)

    async def remote_changes(self) -> RemoteChanges:
        """What other nodes and commands have changed. Raises StoreError."""
        self._refuse_when_down()
        try:
            return await self._exclusive.run("remote_changes", self._news)
        except PrivacyKeyError as error:
            self._go_down(error)
            self._work()
            raise

    async def _news(self) -> RemoteChanges:
        await self._exclusive.confirm_key()
        return await self._engine.remote_changes()

    async def purge(self, now: datetime, lifetimes: Lifetimes) -> Purged:
        """Forget all that has outlived its lifetime; how much. Goes in slices, so that it holds up nobody.

        Raises StoreError.
        """
        total = Purged(0, 0, 0)
        while True:
            self._refuse_when_down()
            purged = await self._exclusive.run("purge", lambda: self._engine.purge(now, lifetimes, MAX_BATCH))
            for what, number in purged._asdict().items():
                STORE_PURGED.labels(what).inc(number)
            total = Purged(*map(sum, zip(total, purged, strict=True)))
            if max(purged) < MAX_BATCH:
                return total
            await asyncio.sleep(0)

    async def close(self) -> None:
        """See the port. Takes CLOSE_SECONDS at most, whatever the engine does."""
        start = asyncio.get_running_loop().time()
        self._closed.set()
        if self._writes:
            self._work()
        has_ended = not self._worker or await end_at(self._worker, start + WRITES_SHARE * CLOSE_SECONDS)
        lost = await self._decisions.close(start + DECISIONS_SHARE * CLOSE_SECONDS)
        self._log_loss(lost, may_be_written=not has_ended or lost.may_be_written)
        if not await end_at(asyncio.ensure_future(self._engine.close()), start + CLOSE_SECONDS):
            _log.warning(
                "store: %s: still busy after %g s; bley stops without waiting for it", self._engine.place, CLOSE_SECONDS
            )

    def _log_loss(self, lost: Lost, *, may_be_written: bool) -> None:
        is_at_work = self._worker and not self._worker.done()  # a thread, which cannot be stopped
        numbers = len(self._writes) + (len(self._batch.writes) if is_at_work else 0), lost.decisions, lost.counts
        if any(numbers):
            texts = map(quantity, numbers, ("write", "decision", "count"))
            but = "; those under way may be committed" if may_be_written else ""
            _log.error("store: %s, %s and %s are lost, because they were not committed in time%s", *texts, but)

    def _refuse_when_down(self) -> None:
        if self.is_down:
            raise StoreError(f"{self._engine.place}: away")

    def _work(self) -> None:
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._run_batches())

    async def _run_batches(self) -> None:
        while self._reads or self._writes or self.is_down:  # when it is down, an empty transaction is a try
            is_last_try = self._closed.is_set()
            self._batch = batch = self._next_batch()
            try:
                records = await self._transact(batch)
            except RefusedError as error:
                self._come_back()
                batch.resolve(error.found, self._lose(error))
                continue
            except (StoreError, asyncio.CancelledError) as error:
                self._writes.extendleft(reversed([write._replace(told=None) for write in batch.writes]))
                if not isinstance(error, StoreError):
                    raise
                self._go_down(error)
            except Exception as error:  # noqa: BLE001 (a bug must not leave the requests of the batch waiting)
                lost = quantity(len(batch.writes), "write is", "writes are")
                _log.exception("store: internal error, %s lost; please report it", lost)
                STORE_DROPPED.labels("writes").inc(len(batch.writes))
                self._go_down(StoreError(f"internal error: {error}"))
            else:
                self._come_back()
                batch.resolve(records)
                continue
            if is_last_try:
                return
            await self._pause(RETRY_SECONDS)

    def _next_batch(self) -> Batch:
        writes = [self._writes.popleft() for _ in range(min(len(self._writes), MAX_BATCH))]
        # A read waits until all that was recorded before it is in its batch or an earlier one.
        reads = [] if self._writes else [self._reads.popleft() for _ in range(min(len(self._reads), MAX_BATCH))]
        BATCH_SIZE.observe(len(writes) + len(reads))
        return Batch(writes, reads)

    async def _transact(self, batch: Batch) -> Mapping[Triplet, Record]:
        """Do the batch, again while the store is busy. Raises StoreError; if it is late, all who wait know."""
        patience = self._patience
        why: StoreError = self._exclusive.late(max(round(patience, 1), TRANSACTION_SECONDS))
        late = asyncio.get_running_loop().call_later(patience, lambda: self._go_down(why))
        try:
            while True:
                try:
                    return await self._try(batch)
                except BusyError as error:
                    if self.is_down or self._closed.is_set():
                        raise
                    why = error
                await asyncio.sleep(_BUSY_SECONDS)
        finally:
            late.cancel()

    async def _try(self, batch: Batch) -> Mapping[Triplet, Record]:
        if not self._is_prepared:
            await self._exclusive.prepare(PREPARE_SECONDS)
            self._is_prepared = True
        return await self._exclusive.run("records", lambda: self._engine.transact(*batch.work))

    def _lose(self, error: RefusedError) -> Mapping[Sighting | Triplet, StoreError]:
        """What the store refuses, and why; of that, what was to be written is lost."""
        refused = {value: StoreError(why) for value, why in error.refused}
        lost = sum(isinstance(value, Sighting) for value, _ in error.refused)
        STORE_DROPPED.labels("writes").inc(lost)
        _log.error("store: %s; refused, and lost: %s; %s", error, quantity(lost, "write"), error.first)
        return refused

    @property
    def _patience(self) -> float:
        """For how many seconds the one who has waited longest may still wait; some for a batch of its own."""
        now = asyncio.get_running_loop().time()
        queues = (*self._batch, self._writes, self._reads)
        until = min(waits_until(queue) for queue in queues)
        return TRANSACTION_SECONDS if until == inf else max(until - now, 0.05)

    async def _write_decisions(
        self, decisions: Sequence[KeptDecision], counts: Mapping[Count, int], mark: Mark
    ) -> None:
        self._refuse_when_down()
        if not self._is_prepared:
            raise StoreError(f"{self._engine.place}: not ready yet")
        try:
            await self._exclusive.run("decisions", lambda: self._engine.keep(decisions, counts, mark))
        except RefusedError:
            self._decisions_wait = False
            raise
        except StoreError as error:
            if not self._decisions_wait and not self.is_down:
                _log.warning("store: %s; decisions wait until it takes them", error)
            self._decisions_wait = True
            raise
        self._decisions_wait = False

    def _go_down(self, error: StoreError) -> None:
        """Tell all who wait, and from now on everybody at once."""
        if not self.is_down:
            _log.warning("store: %s; answering by on_store_error until it is back", error)
        self.is_down = True
        self._is_prepared = False  # another one may stand in its place
        STORE_DOWN.set(1)
        for queue in (*self._batch, self._writes, self._reads):
            tell_all(queue, error)
        self._reads.clear()

    def _come_back(self) -> None:
        self._is_prepared = True  # also where the transaction was late, and the store thought to be away
        if len(self._writes) > MAX_BATCH:
            return  # first what was kept: reads would wait for it
        if self.is_down:
            dropped = quantity(self._dropped, "write was", "writes were")
            _log.warning("store: back, all queued writes are committed, %s dropped", dropped)
        self.is_down, self._dropped = False, 0
        STORE_DOWN.set(0)

    async def _pause(self, seconds: float) -> None:
        """Until the time is over, at the latest when the store is closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
