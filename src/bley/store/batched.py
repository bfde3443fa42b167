"""The store: batches of requests in transactions on an engine, the same for all engines.

A request alone waits for nothing. While a transaction runs, the next batch collects. A write that no request awaits
shares the next batch, or has one after LATER_SECONDS. A batch's writes go before its reads, so that a read finds all
earlier writes. If the engine is late or fails (availability.py), all waiting requests fail at once. New ones fail at
once until a retry in the background succeeds, and then wait behind the queued writes. Writes stay queued until a
transaction with them has succeeded. Decisions are written behind the answers (decision_writer.py).

There are two time limits. A request has a deadline (REQUEST_SECONDS), the batch before its own included. A transaction
on a server has the engine's `answer_seconds`, which is longer: then it is cancelled, and has failed. A transaction in
SQLite's thread cannot be cancelled, and ends by itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import TypeVar

from bley.core.decision import DecisionEntry
from bley.core.errors import AwayError, BusyError, PrivacyKeyError, RefusedError, StoreError
from bley.core.greylist import Lifetimes, Sighting
from bley.core.history.domain_counts import CountedDomains
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.core.places import Found
from bley.core.quantity import quantity
from bley.metrics import STORE_DROPPED
from bley.settings.privacy_key import PrivacyKey
from bley.store import request_queue
from bley.store.availability import Availability, State
from bley.store.decision_writer import DecisionWriter, Lost, wait_or_cancel
from bley.store.engine import Engine, Mark, Purged, RemoteChanges
from bley.store.exclusive import ExclusiveEngine
from bley.store.purging import purge_all
from bley.store.request_queue import Batch, RequestQueue

__all__ = ["BatchedStore"]

REQUEST_SECONDS = 1.0
"""The time from a request to its deadline."""

OPEN_SECONDS = 5.0
"""The same for `open` on an engine from which an answer always comes: a slow disk, another process's lock.

Mail that came earlier would pass by `on_store_error`. A server may be away for hours, so it has only REQUEST_SECONDS.
"""

_LEAST_SECONDS = 0.05
"""The time that a transaction has at least, however near the deadlines of its requests are."""

LATER_SECONDS = 0.02
"""The time after which writes for which no request waits have a transaction of their own, if no other takes them."""

RETRY_SECONDS = 1.0

_BUSY_SECONDS = 0.05
"""The pause while another process holds the lock; SQLite itself has waited half a second before."""

PREPARE_SECONDS = 1800.0
"""The time limit for taking over the records of bley 2, 20,000 a second, or waiting for another node that does so."""

CLOSE_SECONDS = 10.0
"""The time limit of `close`: less than systemd's TimeoutStopSec."""

WRITES_SHARE, DECISIONS_SHARE = 0.6, 0.9
"""Parts of CLOSE_SECONDS after which the writes, and then the decisions, must be done; 100,000 writes take 4 s."""

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class BatchedStore:
    """The Store port on an Engine.

    `key`: the key that hashes the store's addresses, unchecked if None; with `claims_key` a new store takes this key.
    """

    def __init__(self, engine: Engine, key: PrivacyKey | None = None, *, claims_key: bool = True) -> None:
        self._engine = engine
        self._exclusive = ExclusiveEngine(engine, key, claims_key=claims_key)
        self._availability = Availability()
        self._queue = RequestQueue(engine.place)
        self._decisions = DecisionWriter(self._write_decisions)
        self._worker: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()

    @property
    def is_down(self) -> bool:
        """Return whether the store failed or was late, and has not written all that was queued meanwhile."""
        return self._availability.is_down

    @property
    def waiting(self) -> dict[str, int]:
        """Return the numbers of queued writes and decisions."""
        return {"writes": self._queue.writes, "decisions": len(self._decisions)}

    async def open(self) -> None:
        """Connect, and create or upgrade the tables; after the deadline this goes on in the background.

        Raises PrivacyKeyError.
        """
        is_embedded = self._engine.answer_seconds is None
        loop = asyncio.get_running_loop()
        explanation = loop.call_later(REQUEST_SECONDS, self._log_opening) if is_embedded else None
        try:
            await self._find([], OPEN_SECONDS if is_embedded else REQUEST_SECONDS)
        except PrivacyKeyError:
            raise
        except StoreError:
            return  # which has been logged
        finally:
            if explanation:
                explanation.cancel()

    def _log_opening(self) -> None:
        text = "store: %s: not open yet; bley listens when it is, after %g s at the latest"
        _log.info(text, self._engine.place, OPEN_SECONDS)

    async def find(self, triplets: Sequence[Triplet], within_seconds: float = inf) -> Found:
        return await self._find(triplets, min(within_seconds, REQUEST_SECONDS))

    async def _find(self, triplets: Sequence[Triplet], seconds: float) -> Found:
        if self._availability.refuses:
            raise self._away()
        found = self._queue.find(triplets, asyncio.get_running_loop().time() + seconds)
        self._work()
        return await found

    async def record(self, sighting: Sighting, within_seconds: float = inf) -> None:
        if self._availability.refuses:
            self.record_later(sighting)
            raise self._away()
        seconds = min(within_seconds, REQUEST_SECONDS)
        written = self._queue.record(sighting, asyncio.get_running_loop().time() + seconds)
        self._work()
        await written

    def record_later(self, sighting: Sighting) -> None:
        self._queue.record_later(sighting)
        self._work_later()

    def add_decision(self, decision: DecisionEntry) -> None:
        self._decisions.add_decision(decision)

    def add_known_decisions(
        self,
        at: datetime,
        known: Sequence[_T],
        to_decision: Callable[[_T], DecisionEntry],
        node: str = "",
        domains: Sequence[CountedDomains] = (),
    ) -> None:
        self._decisions.add_known_decisions(at, known, to_decision, node, domains)

    def add_list_count(self, at: datetime, kind: str, name: str, number: int = 1) -> None:
        self._decisions.add_list_count(at, kind, name, number)

    async def remote_changes(self) -> RemoteChanges:
        """Return the changes by other nodes and commands. Raises StoreError."""
        if self._availability.is_down:
            raise self._away()
        try:
            return await self._exclusive.run("remote_changes", self._remote_changes)
        except PrivacyKeyError as error:
            self._fail(error)
            self._work()
            raise

    async def _remote_changes(self) -> RemoteChanges:
        await self._exclusive.confirm_key()
        return await self._engine.remote_changes()

    async def purge(self, now: datetime, lifetimes: Lifetimes) -> Purged:
        """Delete all that has expired, in slices, between which requests have their turn. Raises StoreError."""
        return await purge_all(self._engine, self._purge_slice, now, lifetimes)

    async def _purge_slice(self, work: Callable[[], Awaitable[_T]]) -> _T:
        if self._availability.is_down:
            raise self._away()
        return await self._exclusive.run("purge", work)

    async def close(self) -> None:
        """Write what is queued, and close the engine, within CLOSE_SECONDS. Log what is lost."""
        start = asyncio.get_running_loop().time()
        self._closed.set()
        if self._queue.writes:
            self._work()
        has_ended = not self._worker or await wait_or_cancel(self._worker, start + WRITES_SHARE * CLOSE_SECONDS)
        lost = await self._decisions.close(start + DECISIONS_SHARE * CLOSE_SECONDS)
        self._log_loss(lost, may_be_written=not has_ended or lost.may_be_written)
        if not await wait_or_cancel(asyncio.ensure_future(self._engine.close()), start + CLOSE_SECONDS):
            text = "store: %s: still busy after %g s; bley stops without waiting for it"
            _log.warning(text, self._engine.place, CLOSE_SECONDS)

    def _log_loss(self, lost: Lost, *, may_be_written: bool) -> None:
        is_at_work = self._worker and not self._worker.done()  # a thread, which cannot be stopped
        under_way = len(self._queue.batch.writes) if is_at_work else 0
        numbers = self._queue.writes + under_way, lost.decisions, lost.counts
        if any(numbers):
            texts = map(quantity, numbers, ("write", "decision", "count"))
            but = "; those under way may be committed" if may_be_written else ""
            _log.error("store: %s, %s and %s are lost, because they were not committed in time%s", *texts, but)

    def _away(self) -> StoreError:
        return AwayError(f"{self._engine.place}: away")

    def _work(self) -> None:
        if self._later:
            self._later.cancel()
            self._later = None
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._run_batches())

    def _work_later(self) -> None:
        """Let the next transaction take what is queued, or one of its own after LATER_SECONDS."""
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(LATER_SECONDS, self._work)

    async def _run_batches(self) -> None:
        """Run batches until no request waits; while the store is away, as retries."""
        is_due = bool(self._queue)  # else another batch has taken what was to be written later
        while is_due or self._availability.is_down:  # in AWAY an empty transaction is a retry, too
            is_last_try = self._closed.is_set()
            batch = self._queue.next_batch()
            try:
                await self._commit(batch)
            except asyncio.CancelledError:
                self._queue.put_back()
                raise
            except StoreError as error:
                self._fail(error)
                self._queue.put_back()
            except Exception as error:  # noqa: BLE001 (a bug must not leave the requests of the batch waiting)
                lost = quantity(len(batch.writes), "write is", "writes are")
                _log.exception("store: internal error, %s lost; please report it", lost)
                STORE_DROPPED.labels("writes").inc(len(batch.writes))
                self._fail(StoreError(f"internal error: {error}"))
            else:
                await asyncio.sleep(0)  # the requests that have their records now may write in the next batch
                is_due = self._queue.is_urgent or (self._closed.is_set() and bool(self._queue))
                continue
            if is_last_try:
                return
            await self._pause(RETRY_SECONDS)
            is_due = bool(self._queue)
        if self._queue:
            self._work_later()

    async def _commit(self, batch: Batch) -> None:
        """Run the batch's transaction and resolve its requests. Raises StoreError if it failed."""
        refused: Mapping[Sighting | Triplet, StoreError] = {}
        try:
            found = await self._transact(batch)
        except RefusedError as error:
            found, refused = error.found, {value: StoreError(why) for value, why in error.refused}
            self._log_refusal(error)
        self._succeed()
        batch.resolve(found, refused)

    async def _transact(self, batch: Batch) -> Found:
        """Run the batch's transaction, again while another process holds the lock; at the deadline it is late."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        seconds = max(self._queue.deadline(now + REQUEST_SECONDS) - now, _LEAST_SECONDS)
        why = self._exclusive.timeout_error(max(round(seconds, 1), REQUEST_SECONDS))
        late = loop.call_later(seconds, lambda: self._miss_deadline(why))
        is_prepared = self._availability.is_prepared
        try:
            while True:
                try:
                    if not is_prepared:
                        await self._exclusive.prepare(PREPARE_SECONDS)
                        is_prepared = True
                    return await self._exclusive.run("records", lambda: self._engine.transact(*batch.work))
                except BusyError as error:
                    if self._availability.is_down or self._closed.is_set():
                        raise
                    why = error
                await asyncio.sleep(_BUSY_SECONDS)
        finally:
            late.cancel()

    def _log_refusal(self, error: RefusedError) -> None:
        lost = sum(isinstance(value, Sighting) for value, _ in error.refused)
        STORE_DROPPED.labels("writes").inc(lost)
        _log.error("store: %s; refused, and lost: %s; %s", error, quantity(lost, "write"), error.first)

    async def _write_decisions(
        self, decisions: Sequence[DecisionEntry], counts: Mapping[Count, int], mark: Mark
    ) -> None:
        if self._availability.state is not State.OPEN:
            raise self._away()
        try:
            await self._exclusive.run("decisions", lambda: self._engine.add_decisions(decisions, counts, mark))
        except StoreError as error:
            if self._availability.is_down and not isinstance(error, RefusedError):
                raise AwayError(str(error)) from error
            raise

    def _miss_deadline(self, error: StoreError) -> None:
        self._availability.miss_deadline(error)
        self._queue.fail(error)

    def _fail(self, error: StoreError) -> None:
        self._availability.fail(error)
        self._queue.fail(error)

    def _succeed(self) -> None:
        has_backlog = self._queue.writes > request_queue.MAX_BATCH  # reads would wait for it
        self._availability.succeed(self._queue.dropped, has_backlog=has_backlog)
        if not has_backlog:
            self._queue.dropped = 0

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not beyond the call of `close`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
