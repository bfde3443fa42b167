"""Batches on an engine that fails, hangs or is slow."""

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, TypeVar

import pytest

from bley.core.decision import Decision, DecisionEntry
from bley.core.errors import BusyError, PrivacyKeyError, RefusedError, StoreError
from bley.core.greylist import Lifetimes, Record, Sighting, Status
from bley.core.history.audit import AuditEntry
from bley.core.history.statistics import Count
from bley.core.mail import Request, Triplet
from bley.core.places import Found
from bley.core.reasons import Reason
from bley.metrics import REGISTRY
from bley.settings.privacy_key import PrivacyKey
from bley.store import batched, request_queue
from bley.store import decision_writer as decisions_module
from bley.store.batched import BatchedStore
from bley.store.engine import Mark, Purged, RemoteChanges, Trimmed
from tests.counted import counted
from tests.fakes import NOON

pytestmark = pytest.mark.leaps

_RETRY_SECONDS = 0.03
_HANG_SECONDS = 0.2
_ANSWER_SECONDS = 0.5
_COLLECT_SECONDS = 0.01
_PATIENCE_SECONDS = 3.0
_RECORD = Record(Status.CLEAN, NOON, NOON)
_RECORDS = {
    "known": _RECORD,
    "trusted": Record(Status.TRUSTED, NOON, NOON),
    "greylisted": Record(Status.GREYLISTED, NOON, NOON),
}
_LIFETIMES = Lifetimes()
_NEWS = RemoteChanges(forgotten=3, has_any=True)
_FULL, _NOTHING = Purged(request_queue.MAX_BATCH, 0, 0), Purged(0, 0, 0)

_T = TypeVar("_T")


class FakeEngine:
    """Notes what it is asked; `error` is raised, behind a closed `gate` it hangs, `slices` is what purging finds.

    It `refuses` what has one of these recipients; `late_error` is raised when all was done. Whatever it does takes
    `seconds`; to prepare has its own error, gate and seconds. An engine that `is_stubborn` cannot be stopped, like a
    thread.
    """

    place = "the engine"

    @property
    def answer_seconds(self) -> float | None:
        return None if self.is_stubborn else _ANSWER_SECONDS

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.batches: list[tuple[list[Sighting], list[Triplet]]] = []
        self.done: list[tuple[list[Sighting], list[Triplet]]] = []
        self.kept: list[DecisionEntry] = []
        self.counts = Counter[Count]()
        self.attempts = Counter[str]()
        self.marks: dict[str, int] = {}
        self.error: Exception | None = None
        self.late_error: Exception | None = None
        self.refuses: set[str] = set()
        self.has_tables = False
        self.prepare_error: Exception | None = None
        self.gate, self.prepare_gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.prepare_gate.set()
        self.seconds, self.prepare_seconds = 0.0, 0.0
        self.is_stubborn, self.is_busy_when_closed = False, False
        self.at_work = 0
        self.slices: list[Purged] = []
        self.trimmed: list[Trimmed] = []
        self.is_closed = False
        self.check: int | None = None

    @property
    def written(self) -> list[str]:
        """The recipients of all sightings it got, in order, with repetitions."""
        return [sighting.triplet.recipient for sightings, _ in self.batches for sighting in sightings]

    @property
    def wrote(self) -> list[str]:
        """The recipients of the sightings that it committed."""
        return [sighting.triplet.recipient for sightings, _ in self.done for sighting in sightings]

    async def check_writable(self) -> None:
        raise NotImplementedError

    async def is_prepared(self) -> bool:
        self.asked.append("is_prepared")
        await self._work()
        return self.has_tables

    async def prepare(self) -> None:
        self.asked.append("prepare")
        await self._do(self.prepare_gate, self.prepare_seconds)
        if self.prepare_error:
            raise self.prepare_error
        self.has_tables = True

    async def transact(
        self, sightings: Sequence[Sighting], triplets: Sequence[Triplet], marks: Sequence[Mark | None] = ()
    ) -> Found:
        self.asked.append("transact")
        self.batches.append((list(sightings), list(triplets)))
        await self._work()
        self.done.append(([each for each in sightings if each.triplet.recipient not in self.refuses], list(triplets)))
        for sighting, mark in zip_longest(sightings, marks):
            assert bool(sighting.attempts) == bool(mark)
            if mark and self._is_new(mark):
                self.attempts[sighting.triplet.recipient] += sighting.attempts
        if self.late_error:
            raise self.late_error
        known = {triplet: _RECORDS[triplet.recipient] for triplet in triplets if triplet.recipient in _RECORDS}
        found = Found(known)
        values = [(each, each.triplet) for each in sightings] + [(each, each) for each in triplets]
        refused = [(value, "never bad") for value, triplet in values if triplet.recipient in self.refuses]
        if refused:
            raise RefusedError("never bad", refused, found)
        return found

    async def add_decisions(
        self, decisions: Sequence[DecisionEntry], counts: Mapping[Count, int], mark: Mark | None = None
    ) -> None:
        self.asked.append("add_decisions")
        await self._work()
        assert mark
        if self._is_new(mark):
            self.kept += decisions
            self.counts.update(counts)
        if self.late_error:
            raise self.late_error

    async def add_audit(self, entries: Sequence[AuditEntry], mark: Mark | None = None) -> None:
        raise NotImplementedError

    def _is_new(self, mark: Mark) -> bool:
        is_new = mark.number > self.marks.get(mark.writer, 0)
        self.marks[mark.writer] = max(mark.number, self.marks.get(mark.writer, 0))
        return is_new

    async def purge(self, now: datetime, lifetimes: Lifetimes, limit: int) -> Purged:
        self.asked.append("purge")
        await self._work()
        return self.slices.pop(0)

    async def trim_domains(self, now: datetime, limit: int) -> Trimmed:
        self.asked.append("trim_domains")
        await self._work()
        return self.trimmed.pop(0) if self.trimmed else Trimmed(0, is_done=True)

    async def remote_changes(self) -> RemoteChanges:
        self.asked.append("remote_changes")
        await self._work()
        return _NEWS

    async def records(self) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        yield []

    async def unite(self, records: Sequence[tuple[Triplet, Record]], now: datetime, lifetimes: Lifetimes) -> None:
        raise NotImplementedError

    async def forget(self, triplets: Sequence[Triplet]) -> None:
        raise NotImplementedError

    async def key_check(self) -> int | None:
        self.asked.append("key_check")
        await self._work()
        return self.check

    async def claim_key(self, check: int) -> int:
        self.asked.append("claim_key")
        self.check = self.check or check
        return self.check

    async def release_key(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        if self.is_busy_when_closed:
            await self.gate.wait()
        self.is_closed = True

    async def _work(self) -> None:
        await self._do(self.gate, self.seconds)
        if self.error:
            raise self.error

    async def _do(self, gate: asyncio.Event, seconds: float) -> None:
        self.at_work += 1
        assert self.at_work == 1, "an engine does one thing at a time"
        work = asyncio.get_running_loop().create_task(_be_busy(gate, seconds))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            if not self.is_stubborn:
                work.cancel()
                raise
            await work
        finally:
            self.at_work -= 1


async def _be_busy(gate: asyncio.Event, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await gate.wait()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def new_store(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> BatchedStore:
    """A store that is not open yet."""
    monkeypatch.setattr(batched, "REQUEST_SECONDS", _HANG_SECONDS)
    monkeypatch.setattr(batched, "RETRY_SECONDS", _RETRY_SECONDS)
    monkeypatch.setattr(batched, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(decisions_module, "COLLECT_SECONDS", _COLLECT_SECONDS)
    return BatchedStore(engine)


@pytest.fixture
async def store(new_store: BatchedStore, engine: FakeEngine) -> BatchedStore:
    """An open store."""
    await new_store.open()
    engine.asked.clear()
    engine.batches.clear()
    engine.done.clear()
    return new_store


def _triplet(recipient: object) -> Triplet:
    return Triplet("c", "s", str(recipient))


def _sighting(recipient: object, attempts: int = 0) -> Sighting:
    return Sighting(_triplet(recipient), Status.GREYLISTED, NOON, _LIFETIMES, attempts)


async def _find(store: BatchedStore, recipient: object) -> Record | None:
    return (await store.find([_triplet(recipient)])).records.get(_triplet(recipient))


async def _queue_while_away(store: BatchedStore, engine: FakeEngine, writes: int) -> None:
    engine.error = StoreError("disk full")
    for number in range(writes):
        store.record_later(_sighting(number))
    await _eventually(lambda: store.is_down)
    engine.batches.clear()


def _decision(recipient: object) -> DecisionEntry:
    return DecisionEntry(NOON, "pass", Decision(Request(), Reason.CLEAN), "s", str(recipient))


def _start(coroutine: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    return asyncio.get_running_loop().create_task(coroutine)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _refused(asked: Awaitable[object]) -> tuple[str, float]:
    """Return the text of the StoreError, and the seconds until it was raised."""
    start = _now()
    with pytest.raises(StoreError) as caught:
        await asked
    return str(caught.value), round(_now() - start, 6)


async def _eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 (no event to await)
            await asyncio.sleep(0.005)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def _dropped() -> float:
    """Return the total number of dropped writes."""
    return REGISTRY.get_sample_value("bley_store_dropped_total", {"what": "writes"}) or 0


class TestBatches:
    async def test_one_alone_waits_for_nothing(self, store: BatchedStore, engine: FakeEngine) -> None:
        asked = _start(_find(store, "known"))
        await _turns()
        assert len(engine.batches) == 1
        assert await asked == _RECORD

    async def test_all_of_a_tick_share_a_transaction(self, store: BatchedStore, engine: FakeEngine) -> None:
        finds = [_find(store, number) for number in range(100)]
        records = [store.record(_sighting(number)) for number in range(100)]
        await asyncio.gather(*finds, *records)
        assert [(len(sightings), len(triplets)) for sightings, triplets in engine.batches] == [(100, 100)]

    async def test_those_who_come_while_one_runs_are_the_next(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.gate.clear()
        first = _start(_find(store, 0))
        await _turns()
        others = [_start(_find(store, number)) for number in range(1, 10)]
        await _turns()
        assert len(engine.batches) == 1
        engine.gate.set()
        await asyncio.gather(first, *others)
        assert [len(triplets) for _, triplets in engine.batches] == [1, 9]

    async def test_a_request_that_has_its_records_may_write_in_the_next(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        """Otherwise its deferral would wait for the transaction of others that came meanwhile."""

        async def defer() -> None:
            await _find(store, 0)
            await store.record(_sighting(0))

        engine.gate.clear()
        first = _start(defer())
        await _turns()
        second = _start(_find(store, 1))
        await _turns()
        engine.gate.set()
        await asyncio.gather(first, second)
        sizes = [(len(sightings), len(triplets)) for sightings, triplets in engine.batches]
        assert sizes == [(0, 1), (1, 1)]

    async def test_a_batch_has_a_bound_and_the_order_is_kept(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_queue, "MAX_BATCH", 3)
        await asyncio.gather(*(store.record(_sighting(number)) for number in range(10)))
        await asyncio.gather(*(_find(store, number) for number in range(7)))
        sizes = [(len(sightings), len(triplets)) for sightings, triplets in engine.batches]
        assert sizes == [(3, 0), (3, 0), (3, 0), (1, 0), (0, 3), (0, 3), (0, 1)]
        assert engine.written == [str(number) for number in range(10)]

    async def test_a_write_that_no_request_awaits_shares_the_next_transaction(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        """Without one it has its own, a little later: a stranger that passes costs one transaction, not two."""
        store.record_later(_sighting(1))
        await _turns()
        assert not engine.batches
        await _find(store, "known")
        assert [(len(sightings), len(triplets)) for sightings, triplets in engine.batches] == [(1, 1)]
        store.record_later(_sighting(2))
        await asyncio.sleep(batched.LATER_SECONDS)
        await _turns()
        assert engine.written == ["1", "2"]

    async def test_a_write_that_a_later_batch_took_has_none_of_its_own(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An empty transaction would be a waste, and an error after the end of the engine."""
        engine.gate.clear()
        first = _start(_find(store, 0))
        await _turns()
        store.record_later(_sighting(1))
        second = _start(store.record(_sighting(2)))
        await _turns()
        store.record_later(_sighting(3))
        engine.gate.set()
        await asyncio.gather(first, second)
        await store.close()
        await asyncio.sleep(2 * batched.LATER_SECONDS)
        assert [len(sightings) for sightings, _ in engine.batches] == [0, 3]
        assert caplog.messages == []

    async def test_a_whole_batch_of_such_writes_waits_for_nothing(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_queue, "MAX_BATCH", 3)
        for number in range(7):
            store.record_later(_sighting(number))
        await _find(store, "known")
        assert [len(sightings) for sightings, _ in engine.batches] == [3, 3, 1]

    async def test_a_find_is_never_in_a_batch_before_what_was_recorded_earlier(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_queue, "MAX_BATCH", 3)
        for number in range(10):
            store.record_later(_sighting(number))
        await _find(store, "known")
        before = [len(sightings) for sightings, triplets in engine.batches[:-1] if not triplets]
        assert sum(before) + len(engine.batches[-1][0]) == 10

    async def test_who_waits_no_longer_does_no_harm(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The other requests are answered, and the sighting is written all the same."""
        for error in (None, StoreError("gone"), RuntimeError("bug")):
            engine.gate.clear()
            leaving = [_start(_find(store, 1)), _start(store.record(_sighting(error)))]
            staying = _start(_find(store, "known"))
            await _turns()
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            engine.error = error
            engine.gate.set()
            if error:
                await _refused(staying)
            else:
                assert await staying == _RECORD
            assert str(error) in engine.written
            engine.error = None
            await _eventually(lambda: not store.is_down)
        await store.close()
        gc.collect()
        assert "never retrieved" not in caplog.text


class TestPrivacyKey:
    KEY = PrivacyKey(b"k" * 32, is_saved=True)

    async def test_a_new_store_takes_it_before_anything_is_asked(self, engine: FakeEngine) -> None:
        store = BatchedStore(engine, self.KEY)
        await store.open()
        assert engine.check == self.KEY.check
        assert engine.asked == ["is_prepared", "key_check", "prepare", "key_check", "claim_key", "transact"]
        await store.close()

    async def test_a_store_with_another_key_is_not_opened(self, engine: FakeEngine) -> None:
        engine.check = 4711
        store = BatchedStore(engine, self.KEY)
        with pytest.raises(PrivacyKeyError, match="its addresses are hashed by another key"):
            await store.open()
        assert not engine.batches
        assert "prepare" not in engine.asked
        await store.close()

    async def test_a_key_that_is_known_is_claimed_no_more(self, engine: FakeEngine) -> None:
        """A claim would be a writing transaction every 20 seconds."""
        store = BatchedStore(engine, self.KEY)
        await store.open()
        engine.asked.clear()
        await store.remote_changes()
        assert engine.asked == ["key_check", "remote_changes"]
        await store.close()

    async def test_a_store_that_gets_another_key_is_not_used_until_that_is_mended(self, engine: FakeEngine) -> None:
        """All records were forgotten, and another node claimed its own key."""
        store = BatchedStore(engine, self.KEY)
        await store.open()
        engine.check, engine.batches = 4711, []
        with pytest.raises(PrivacyKeyError):
            await store.remote_changes()
        await _refused(_find(store, 1))
        store.record_later(_sighting(1))
        await _turns()
        assert not engine.batches
        engine.check = self.KEY.check
        await _eventually(lambda: not store.is_down)
        assert engine.written == ["1"]
        await store.close()


class TestEngineThatFails:
    async def test_all_who_wait_are_told_why(self, store: BatchedStore, engine: FakeEngine) -> None:
        """Requests of the running batch and of the next one."""
        engine.gate.clear()
        waiting = [_start(_refused(_find(store, 1))), _start(_refused(store.record(_sighting(1))))]
        await _turns()
        waiting += [_start(_refused(_find(store, 2))), _start(_refused(store.record(_sighting(2))))]
        await _turns()
        engine.error = StoreError("disk full")
        engine.gate.set()
        assert [why for why, _ in await asyncio.gather(*waiting)] == ["disk full"] * 4
        assert store.is_down
        await store.close()

    async def test_from_then_on_nobody_waits(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        engine.gate.clear()
        for _ in range(10):
            assert (await _refused(_find(store, 1)))[1] == 0
            assert (await _refused(store.record(_sighting(1))))[1] == 0
        engine.gate.set()
        await store.close()

    @pytest.mark.parametrize("asking", ["find", "record", "record_later"])
    async def test_it_is_tried_again_until_it_is_back_without_anybody_asking(
        self, store: BatchedStore, engine: FakeEngine, asking: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.error = StoreError("disk full")
        match asking:
            case "find":
                await _refused(_find(store, 1))
            case "record":
                await _refused(store.record(_sighting(1)))
            case _:
                store.record_later(_sighting(1))
        await asyncio.sleep(3.5 * _RETRY_SECONDS)
        assert store.is_down
        assert 2 <= len(engine.asked) <= 6
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert await _find(store, "known") == _RECORD
        assert len(_warnings(caplog)) == 2
        assert "disk full" in _warnings(caplog)[0]
        assert "back" in _warnings(caplog)[1]

    async def test_it_is_told_once_each_time(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(2):
            engine.error = StoreError("disk full")
            await _refused(_find(store, 1))
            await asyncio.sleep(2 * _RETRY_SECONDS)
            engine.error = None
            await _eventually(lambda: not store.is_down)
        assert [text.startswith("store: back") for text in _warnings(caplog)] == [False, True] * 2

    async def test_what_was_recorded_meanwhile_is_written_in_its_order(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.error = StoreError("disk full")
        await _refused(store.record(_sighting(0)))
        store.record_later(_sighting(1))
        await _refused(store.record(_sighting(2)))
        await asyncio.sleep(1.5 * _RETRY_SECONDS)
        store.record_later(_sighting(3))
        engine.batches.clear()
        engine.error = None
        await _eventually(lambda: not store.is_down)
        store.record_later(_sighting(4))
        await _find(store, 4)
        assert engine.written == ["0", "1", "2", "3", "4"]

    async def test_what_is_kept_is_written_before_it_is_back(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise a request would wait for the whole queue, or miss a record in it."""
        monkeypatch.setattr(request_queue, "MAX_BATCH", 3)
        await _queue_while_away(store, engine, 20)
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert len(engine.written) >= 17
        await _find(store, 1)
        assert engine.written == [str(number) for number in range(20)]

    async def test_who_comes_meanwhile_waits_for_that(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise strangers would be let pass faster than their writes are flushed, and the store never be back."""
        monkeypatch.setattr(request_queue, "MAX_BATCH", 3)
        await _queue_while_away(store, engine, 20)
        monkeypatch.setattr(batched, "REQUEST_SECONDS", 10)
        engine.seconds, engine.error = 0.01, None
        await _eventually(lambda: len(engine.written) > 3)
        assert store.is_down
        await asyncio.gather(_find(store, "known"), store.record(_sighting(20)))
        assert engine.written == [str(number) for number in range(21)]

    async def test_only_so_much_is_kept_and_the_oldest_goes_first(
        self,
        store: BatchedStore,
        engine: FakeEngine,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(request_queue, "MAX_QUEUED", 5)
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        for number in range(12):
            store.record_later(_sighting(number))
        engine.batches.clear()
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert engine.written == ["7", "8", "9", "10", "11"]
        assert "7 writes were dropped" in _warnings(caplog)[-1]

    async def test_so_it_is_behind_an_engine_that_is_only_slow(
        self,
        store: BatchedStore,
        engine: FakeEngine,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The request that waits for the oldest write gets an error."""
        monkeypatch.setattr(request_queue, "MAX_QUEUED", 5)
        engine.gate.clear()
        first = _start(store.record(_sighting("first")))
        await _eventually(lambda: engine.at_work == 1)
        oldest = _start(_refused(store.record(_sighting(0))))
        await _turns()
        before = _dropped()
        for number in range(1, 8):
            store.record_later(_sighting(number))
        assert (await oldest)[0] == "the engine: the queue is full"
        engine.gate.set()
        await first
        await _eventually(lambda: engine.wrote == ["first", "3", "4", "5", "6", "7"])
        assert _dropped() - before == 3
        assert _warnings(caplog)[0] == "store: more than 5 writes are queued, the oldest are dropped"

    async def test_what_comes_while_a_try_fails_does_not_grow_without_end(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_queue, "MAX_QUEUED", 5)
        monkeypatch.setattr(request_queue, "MAX_BATCH", 5)
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        for number in range(50):
            store.record_later(_sighting(number))
            await asyncio.sleep(_RETRY_SECONDS / 10)
        engine.batches.clear()
        engine.error = None
        await _eventually(lambda: not store.is_down)
        await _find(store, 1)
        assert len(engine.written) <= 10
        assert engine.written[-1] == "49"
        assert engine.written == sorted(engine.written, key=int)

    async def test_a_bug_of_the_engine_is_told_to_those_who_wait_and_logged_with_its_traceback(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.error = ZeroDivisionError("a bug")
        await asyncio.gather(_refused(_find(store, 1)), _refused(store.record(_sighting(1))))
        assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert await _find(store, "known") == _RECORD

    async def test_a_bug_of_the_engine_does_not_keep_it_busy(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        engine.error = ZeroDivisionError("a bug")
        await asyncio.sleep(3.5 * _RETRY_SECONDS)
        assert len(engine.asked) <= 6
        await store.close()


class TestEngineThatRefuses:
    """The engine works, but never accepts one value: only that is lost."""

    async def test_all_else_of_the_batch_is_done(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.refuses = {"bad"}
        good = [_start(store.record(_sighting(number))) for number in range(3)]
        bad = _start(_refused(store.record(_sighting("bad"))))
        good.append(_start(store.record(_sighting(3))))
        asked = [_start(_find(store, "known")), _start(_find(store, "unknown"))]
        bad_read = _start(_refused(_find(store, "bad")))
        await asyncio.gather(*good)
        assert await asyncio.gather(*asked) == [_RECORD, None]
        assert [why for why, _ in await asyncio.gather(bad, bad_read)] == ["never bad"] * 2
        assert engine.wrote == ["0", "1", "2", "3"]
        assert not store.is_down
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert len(told) == 1
        assert told[0].startswith("store: never bad; refused, and lost: 1 write; Sighting(")

    async def test_what_is_lost_is_counted_and_not_tried_again(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.refuses = {"bad"}
        before = _dropped()
        store.record_later(_sighting("bad"))
        store.record_later(_sighting(1))
        assert await _find(store, "known") == _RECORD
        assert _dropped() - before == 1
        engine.refuses = set()
        await store.record(_sighting(2))
        assert engine.wrote == ["1", "2"]

    async def test_where_another_place_is_known_that_counts(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.refuses = {"bad"}
        assert (await store.find([_triplet("bad"), _triplet("known")])).records == {_triplet("known"): _RECORD}

    async def test_the_log_has_the_value_bounded_and_printable(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        bad = "\x1b\n\ud800" + 1000 * "x"
        engine.refuses = {bad}
        await _refused(store.record(_sighting(bad)))
        (told,) = (record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)
        assert told.isprintable()
        assert len(told) < 500


class TestUnknownOutcome:
    """An error may follow a commit: its answer was lost."""

    async def test_what_is_done_again_adds_its_attempts_once(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.late_error = StoreError("connection lost")
        await _refused(store.record(_sighting(1, attempts=1)))
        store.record_later(_sighting(2, attempts=1))
        await asyncio.sleep(2.5 * _RETRY_SECONDS)
        engine.late_error = None
        await _eventually(lambda: not store.is_down)
        await store.record(_sighting(1, attempts=1))
        assert len(engine.batches) > 3
        assert engine.attempts == {"1": 2, "2": 1}

    async def test_decisions_and_counts_are_kept_once(self, store: BatchedStore, engine: FakeEngine) -> None:
        """Decisions that are added later go into the next slice, not into the one with the unknown outcome."""
        engine.late_error = StoreError("connection lost")
        store.add_decision(_decision(1))
        await _eventually(lambda: engine.asked.count("add_decisions") == 2)
        store.add_decision(_decision(2))
        await _eventually(lambda: engine.asked.count("add_decisions") == 4)
        engine.late_error = None
        await _eventually(lambda: len(engine.kept) == 2)
        assert [decision.recipient for decision in engine.kept] == ["1", "2"]
        assert sum(engine.counts.values()) == 2 * 2

    async def test_what_was_not_done_is_done_once(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.error = StoreError("disk full")
        await _refused(store.record(_sighting(1, attempts=1)))
        store.add_decision(_decision(1))
        engine.error = None
        await _eventually(lambda: not store.is_down and len(engine.kept) == 1)
        assert engine.attempts == {"1": 1}
        assert sum(engine.counts.values()) == 2

    async def test_of_a_late_engine_the_outcome_is_taken_when_it_comes(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nothing is retried before the outcome is known."""
        engine.is_stubborn = True
        engine.gate.clear()
        assert (await _refused(store.record(_sighting(1, attempts=1))))[1] == _HANG_SECONDS
        await asyncio.sleep(2 * _ANSWER_SECONDS)
        assert engine.asked == ["transact"]
        engine.gate.set()
        await _eventually(lambda: not store.is_down)
        assert engine.asked == ["transact"]
        assert engine.attempts == {"1": 1}
        assert "back" in _warnings(caplog)[1]

    async def test_late_decisions_are_not_begun_again(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.is_stubborn = True
        engine.gate.clear()
        store.add_decision(_decision(1))
        await _eventually(lambda: engine.asked == ["add_decisions"])
        await asyncio.sleep(2 * _ANSWER_SECONDS)
        engine.gate.set()
        await _eventually(lambda: len(engine.kept) == 1)
        assert engine.asked == ["add_decisions"]


class TestEngineThatHangs:
    async def test_all_who_wait_are_told_when_it_has_taken_too_long(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.gate.clear()
        first = _start(_refused(_find(store, 1)))
        await asyncio.sleep(_HANG_SECONDS / 2)
        second = _start(_refused(store.record(_sighting(2))))
        (why, seconds), (_, seconds_of_second) = await asyncio.gather(first, second)
        assert why == "the engine: no answer within 0.2 s"
        assert (seconds, seconds_of_second) == (_HANG_SECONDS, _HANG_SECONDS / 2)
        assert (await _refused(_find(store, 1)))[1] == 0
        assert len(_warnings(caplog)) == 1
        engine.gate.set()
        await store.close()

    async def test_it_is_stopped_and_done_again_and_the_store_is_back(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.gate.clear()
        await _refused(store.record(_sighting(1)))
        await _eventually(lambda: engine.at_work == 0)
        store.record_later(_sighting(2))
        engine.gate.set()
        await _eventually(lambda: not store.is_down)
        await _find(store, 1)
        assert engine.wrote == ["1", "2"]

    async def test_when_it_ends_well_after_all_the_store_is_back_and_nothing_written_twice(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        """A thread cannot be cancelled."""
        engine.is_stubborn = True
        engine.gate.clear()
        await _refused(store.record(_sighting(1)))
        store.record_later(_sighting(2))
        engine.gate.set()
        await _eventually(lambda: not store.is_down)
        await _find(store, 1)
        assert engine.written == engine.wrote == ["1", "2"]

    @pytest.mark.parametrize("is_stubborn", [False, True])
    async def test_when_it_ends_in_an_error_what_was_to_be_written_is_tried_again(
        self, store: BatchedStore, engine: FakeEngine, is_stubborn: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.is_stubborn = is_stubborn
        engine.gate.clear()
        await _refused(store.record(_sighting(1)))
        store.record_later(_sighting(2))
        engine.error = StoreError("disk full")
        engine.gate.set()
        await _eventually(lambda: len(engine.asked) > 1)
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert engine.wrote == ["1", "2"]
        assert len(_warnings(caplog)) == 2

    async def test_as_long_as_it_hangs_it_is_tried_again_and_again(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Each retry connects again: another server may answer in place of the one that does not."""
        engine.gate.clear()
        await _refused(store.record(_sighting(1)))
        await _eventually(lambda: len(engine.asked) >= 3)
        assert store.is_down
        assert len(_warnings(caplog)) == 1
        engine.gate.set()
        await _eventually(lambda: not store.is_down)
        assert engine.wrote == ["1"]


class TestNobodyWaitsLonger:
    """No request waits longer than REQUEST_SECONDS, whatever is queued before it."""

    @pytest.mark.parametrize("asking", ["find", "record"])
    async def test_behind_a_slow_batch(self, store: BatchedStore, engine: FakeEngine, asking: str) -> None:
        engine.seconds = 0.8 * _HANG_SECONDS
        first = _start(_find(store, "known"))
        await _turns()
        engine.seconds = 0
        engine.gate.clear()
        second = _start(_refused(_find(store, 2) if asking == "find" else store.record(_sighting(2))))
        await asyncio.sleep(0.6 * _HANG_SECONDS)
        engine.gate.set()
        assert await first == _RECORD
        engine.gate.clear()
        assert (await second)[1] <= _HANG_SECONDS + 0.05, "0.05 s are the least that a batch gets"
        engine.gate.set()
        await store.close()

    async def test_behind_a_slow_batch_that_leaves_enough_time(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.seconds = 0.4 * _HANG_SECONDS
        first = _start(_find(store, "known"))
        await _turns()
        second = _start(_find(store, "known"))
        assert tuple(await asyncio.gather(first, second)) == (_RECORD, _RECORD)

    @pytest.mark.parametrize("asking", ["find", "record"])
    async def test_behind_batches_of_what_nobody_waits_for(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, asking: str
    ) -> None:
        """Strangers that pass are recorded later; there may be many, and the disk may be slow without hanging."""
        monkeypatch.setattr(request_queue, "MAX_BATCH", 3)
        monkeypatch.setattr(batched, "REQUEST_SECONDS", 0.15)
        engine.seconds = 0.11
        for number in range(30):
            store.record_later(_sighting(number))
        asked = _find(store, 99) if asking == "find" else store.record(_sighting(99))
        assert (await _refused(asked))[1] <= 0.15 + 0.05, "0.05 s are the least that a batch gets"
        engine.seconds = 0
        await store.close()
        assert engine.wrote[:30] == [str(number) for number in range(30)]

    @pytest.mark.parametrize("work", ["add_decisions", "purge", "remote_changes"])
    async def test_behind_what_is_done_behind_the_answers(
        self, store: BatchedStore, engine: FakeEngine, work: str
    ) -> None:
        engine.gate.clear()
        match work:
            case "add_decisions":
                store.add_decision(_decision(1))
            case "purge":
                _start(_refused(store.purge(NOON, _LIFETIMES)))
            case "remote_changes":
                _start(_refused(store.remote_changes()))
        await _eventually(lambda: engine.at_work == 1)
        assert (await _refused(_find(store, "known")))[1] == _HANG_SECONDS
        engine.gate.set()
        await _eventually(lambda: not store.is_down)
        await store.close()


class TestClose:
    async def test_what_is_waiting_is_written(self, store: BatchedStore, engine: FakeEngine) -> None:
        for number in range(2000):
            store.record_later(_sighting(number))
        await store.close()
        assert engine.written == [str(number) for number in range(2000)]
        assert engine.is_closed

    async def test_who_is_waiting_is_answered(self, store: BatchedStore, engine: FakeEngine) -> None:
        asked = _start(_find(store, "known"))
        await asyncio.sleep(0)
        await store.close()
        assert await asked == _RECORD

    async def test_what_was_kept_is_written_if_the_engine_is_back(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It does not wait for the next retry."""
        monkeypatch.setattr(batched, "RETRY_SECONDS", 60)
        engine.error = StoreError("disk full")
        await _refused(store.record(_sighting(1)))
        store.record_later(_sighting(2))
        engine.error = None
        engine.batches.clear()
        await store.close()
        assert engine.written == ["1", "2"]
        assert engine.is_closed

    async def test_what_cannot_be_written_is_counted(
        self,
        store: BatchedStore,
        engine: FakeEngine,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(batched, "RETRY_SECONDS", 60)
        engine.error = StoreError("disk full")
        await _refused(store.record(_sighting(1)))
        store.record_later(_sighting(2))
        async with asyncio.timeout(1):
            await store.close()
        assert caplog.records[-1].levelno == logging.ERROR
        assert "2 writes, 0 decisions and 0 counts are lost" in caplog.records[-1].getMessage()
        assert engine.is_closed

    async def test_it_does_not_wait_for_ever_for_an_engine_that_hangs(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.gate.clear()
        await _refused(store.record(_sighting(1)))
        async with asyncio.timeout(1):
            await store.close()
        assert engine.is_closed

    @pytest.mark.parametrize("work", ["record", "decision", "purge"])
    async def test_it_does_not_wait_for_work_that_cannot_be_stopped(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture, work: str
    ) -> None:
        """A thread waits for its disk: nothing else is started, and all that is queued is counted."""
        engine.is_stubborn, engine.is_busy_when_closed = True, True
        engine.gate.clear()
        purging = _start(_refused(store.purge(NOON, _LIFETIMES))) if work == "purge" else None
        if work == "decision":
            store.add_decision(_decision(1))
            await _eventually(lambda: engine.at_work == 1)
        store.record_later(_sighting(1))
        for _ in range(3):
            store.add_decision(_decision(2))
        await _eventually(lambda: engine.at_work == 1)
        async with asyncio.timeout(1.5):
            await store.close()
        decisions = 4 if work == "decision" else 3
        told = [record.getMessage() for record in caplog.records]
        assert f"store: 1 write, {decisions} decisions and {decisions} counts are lost" in told[-2]
        assert told[-2].endswith("; those under way may be committed")
        assert "still busy" in told[-1]
        engine.gate.set()
        if purging:
            purging.cancel()
        await _turns()

    async def test_decisions_are_written_though_the_last_write_was_late(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.is_stubborn = True
        engine.gate.clear()
        await _refused(store.record(_sighting(1)))
        store.add_decision(_decision(1))
        closing = _start(store.close())
        await _turns()
        engine.gate.set()
        await closing
        assert len(engine.kept) == 1

    async def test_a_store_that_nobody_asked_closes(self, new_store: BatchedStore, engine: FakeEngine) -> None:
        await new_store.close()
        assert engine.is_closed
        assert engine.asked == []


class TestPurge:
    @pytest.mark.parametrize("kind", range(4))
    async def test_it_goes_in_slices_until_one_is_not_full(
        self, store: BatchedStore, engine: FakeEngine, kind: int
    ) -> None:
        """The total of each kind, records, decisions, counts or domains, is returned."""

        def purged(number: int) -> Purged:
            return Purged(*(number if place == kind else 1 for place in range(4)))

        engine.slices = [purged(request_queue.MAX_BATCH), purged(request_queue.MAX_BATCH), purged(7), purged(99)]
        total = [3, 3, 3, 3]
        total[kind] = 2 * request_queue.MAX_BATCH + 7
        assert await store.purge(NOON, _LIFETIMES) == tuple(total)
        assert engine.slices == [purged(99)]

    async def test_domains_are_trimmed_until_no_day_is_left(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.slices = [_NOTHING]
        engine.trimmed = [Trimmed(5, is_done=False), Trimmed(0, is_done=False), Trimmed(2, is_done=False)]
        assert await store.purge(NOON, _LIFETIMES) == Purged(0, 0, 7)
        assert engine.asked.count("trim_domains") == 4

    async def test_requests_have_their_turn_between_the_slices(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.slices = [_FULL] * 50 + [_NOTHING]
        purging = _start(store.purge(NOON, _LIFETIMES))
        await _turns()
        for _ in range(10):
            left = len(engine.slices)
            assert await _find(store, "known") == _RECORD
            assert left - len(engine.slices) < 5
        assert not purging.done()
        await purging

    async def test_it_and_a_transaction_are_never_at_work_at_once(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.gate.clear()
        engine.slices = [_NOTHING]
        purging = _start(store.purge(NOON, _LIFETIMES))
        await _turns()
        asked = _start(_find(store, "known"))
        await _turns()
        assert engine.batches == []
        engine.gate.set()
        assert await asked == _RECORD
        await purging

    async def test_its_failure_is_told_to_who_wanted_it_and_to_nobody_else(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.error = StoreError("disk full")
        assert (await _refused(store.purge(NOON, _LIFETIMES)))[0] == "disk full"
        engine.error = None
        assert not store.is_down
        assert await _find(store, "known") == _RECORD

    async def test_when_it_hangs_it_is_stopped(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.gate.clear()
        why, _ = await _refused(store.purge(NOON, _LIFETIMES))
        assert why == "the engine: no answer within 0.5 s"
        assert engine.at_work == 0
        engine.gate.set()
        assert await _find(store, "known") == _RECORD

    async def test_it_ends_when_the_store_goes_away(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.slices = [_FULL] * 10_000
        purging = _start(_refused(store.purge(NOON, _LIFETIMES)))
        await _turns()
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        await purging
        assert len(engine.slices) > 9_900

    async def test_while_the_store_is_away_it_is_refused_without_asking(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        assert (await _refused(store.purge(NOON, _LIFETIMES)))[0] == "the engine: away"
        assert "purge" not in engine.asked
        await store.close()


class TestNews:
    async def test_they_are_the_engine_s(self, store: BatchedStore) -> None:
        assert await store.remote_changes() == _NEWS

    async def test_while_the_store_is_away_there_are_none(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        assert (await _refused(store.remote_changes()))[0] == "the engine: away"
        assert "remote_changes" not in engine.asked
        await store.close()

    async def test_their_failure_makes_nobody_wait(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.error = StoreError("disk full")
        assert (await _refused(store.remote_changes()))[0] == "disk full"
        engine.error = None
        assert not store.is_down
        assert await _find(store, "known") == _RECORD

    async def test_when_the_engine_hangs_they_do_not_wait(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.gate.clear()
        assert "no answer within" in (await _refused(store.remote_changes()))[0]
        engine.gate.set()


class TestPreparing:
    """Before its first transaction the engine creates or upgrades its tables, which may take long."""

    async def test_it_is_done_once_before_anything_else(self, new_store: BatchedStore, engine: FakeEngine) -> None:
        await asyncio.gather(_find(new_store, 1), new_store.record(_sighting(1)))
        await _find(new_store, 2)
        assert engine.asked == ["is_prepared", "prepare", "transact", "transact"]

    async def test_to_open_is_to_do_it_without_a_request(self, new_store: BatchedStore, engine: FakeEngine) -> None:
        await new_store.open()
        await _find(new_store, 2)
        assert engine.asked == ["is_prepared", "prepare", "transact", "transact"]

    async def test_what_is_prepared_is_not_prepared_again(self, new_store: BatchedStore, engine: FakeEngine) -> None:
        engine.has_tables = True
        await new_store.open()
        assert engine.asked == ["is_prepared", "transact"]

    async def test_when_the_store_was_away_it_is_looked_at_again(self, store: BatchedStore, engine: FakeEngine) -> None:
        """Another server, perhaps an empty one, may stand in its place."""
        engine.error = StoreError("connection refused")
        await _refused(_find(store, 1))
        engine.has_tables, engine.error = False, None
        engine.asked.clear()
        await _eventually(lambda: not store.is_down)
        assert engine.asked == ["is_prepared", "prepare", "transact"]

    async def test_an_engine_that_hangs_when_it_is_looked_at_is_given_up_in_time(
        self, new_store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.gate.clear()
        assert (await _refused(_find(new_store, 1)))[1] == _HANG_SECONDS
        await _eventually(lambda: engine.asked.count("is_prepared") >= 2)
        assert "prepare" not in engine.asked
        engine.gate.set()
        await _eventually(lambda: not new_store.is_down)

    async def test_it_is_tried_again_while_it_fails(
        self, new_store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """All requests get the reason, and the daemon starts nevertheless."""
        engine.prepare_error = StoreError("of a newer bley")
        await new_store.open()
        assert (await _refused(_find(new_store, 1)))[0] == "the engine: away"
        new_store.record_later(_sighting(1))
        await _eventually(lambda: engine.asked.count("prepare") == 3)
        assert "transact" not in engine.asked
        engine.prepare_error = None
        await _eventually(lambda: not new_store.is_down)
        assert engine.asked.count("prepare") == 4
        assert engine.wrote == ["1"]
        assert "store: of a newer bley; answering by on_store_error until it is back" in _warnings(caplog)
        assert len(_warnings(caplog)) == 2

    async def test_while_a_long_one_goes_on_everybody_is_answered_at_once(
        self, new_store: BatchedStore, engine: FakeEngine
    ) -> None:
        """It is neither cancelled nor started again."""
        engine.prepare_gate.clear()
        start = _now()
        await new_store.open()
        assert _now() - start == pytest.approx(_HANG_SECONDS)
        for number in range(3):
            assert (await _refused(_find(new_store, number)))[1] == 0
            assert (await _refused(new_store.record(_sighting(number))))[1] == 0
        await asyncio.sleep(_HANG_SECONDS + 2 * _RETRY_SECONDS)
        assert engine.asked == ["is_prepared", "prepare"]
        assert engine.at_work == 1
        engine.prepare_gate.set()
        await _eventually(lambda: not new_store.is_down)
        assert await _find(new_store, "known") == _RECORD
        assert engine.wrote == ["0", "1", "2"]
        assert engine.asked.count("prepare") == 1

    async def test_the_first_transaction_after_a_long_one_has_its_whole_time(
        self, new_store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No request waits for it any more: all have been answered."""
        monkeypatch.setattr(batched, "REQUEST_SECONDS", 0.2)
        engine.prepare_seconds = 0.25
        engine.seconds = 0.1
        await new_store.open()
        await _eventually(lambda: bool(engine.batches) and engine.at_work == 0)
        assert len(engine.done) == 1
        await new_store.close()

    async def test_one_that_does_not_end_is_begun_anew(
        self, new_store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batched, "PREPARE_SECONDS", 2 * _HANG_SECONDS)
        engine.prepare_gate.clear()
        await new_store.open()
        await _eventually(lambda: engine.asked.count("prepare") == 2)
        engine.prepare_gate.set()
        await _eventually(lambda: not new_store.is_down)

    async def test_nothing_else_is_asked_before(self, new_store: BatchedStore, engine: FakeEngine) -> None:
        engine.prepare_gate.clear()
        await new_store.open()
        await _refused(new_store.purge(NOON, _LIFETIMES))
        await _refused(new_store.remote_changes())
        new_store.add_decision(_decision(1))
        await asyncio.sleep(3 * _COLLECT_SECONDS)
        assert engine.asked == ["is_prepared", "prepare"]
        engine.prepare_gate.set()
        await _eventually(lambda: bool(engine.kept))
        await new_store.close()

    async def test_close_ends_one_and_counts_what_is_lost(
        self, new_store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The count includes the writes from before its start."""
        engine.prepare_gate.clear()
        await _refused(new_store.record(_sighting(1)))
        new_store.record_later(_sighting(2))
        async with asyncio.timeout(1):
            await new_store.close()
        assert engine.is_closed
        assert engine.at_work == 0
        assert "2 writes, 0 decisions and 0 counts are lost" in caplog.records[-1].getMessage()


class TestOpening:
    """The start waits for an embedded store, within a time limit, and not for a server."""

    @pytest.fixture(autouse=True)
    def embedded(self, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        engine.is_stubborn = True
        monkeypatch.setattr(batched, "OPEN_SECONDS", 60.0)
        monkeypatch.setattr(batched, "CLOSE_SECONDS", 30.0)

    async def test_a_slow_one_is_waited_for(
        self, new_store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """For longer than a request's deadline; the log says so, and no mail is answered by on_store_error."""
        caplog.set_level(logging.INFO)
        engine.prepare_gate.clear()
        opening = _start(new_store.open())
        await _eventually(lambda: bool(caplog.messages))
        await asyncio.sleep(2 * _HANG_SECONDS)
        assert not opening.done()
        engine.prepare_gate.set()
        await opening
        assert not new_store.is_down
        assert caplog.messages == ["store: the engine: not open yet; bley listens when it is, after 60 s at the latest"]

    async def test_a_busy_one_is_tried_again(
        self, new_store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Another process holds its lock."""
        engine.error = BusyError("database is locked")
        opening = _start(new_store.open())
        await _eventually(lambda: engine.asked.count("is_prepared") == 3)
        engine.error = None
        await opening
        assert not new_store.is_down
        assert not _warnings(caplog)
        assert await _find(new_store, "known") == _RECORD

    @pytest.mark.parametrize(
        ("error", "why"), [(None, "the engine: no answer within 0.4 s"), (BusyError("is locked"), "is locked")]
    )
    async def test_after_some_time_it_is_no_longer_waited_for(
        self,
        error: BusyError | None,
        why: str,
        new_store: BatchedStore,
        engine: FakeEngine,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """From then on requests are answered by on_store_error, until it is open."""
        monkeypatch.setattr(batched, "OPEN_SECONDS", 2 * _HANG_SECONDS)
        engine.error = error
        if not error:
            engine.prepare_gate.clear()
        start = asyncio.get_running_loop().time()
        await new_store.open()
        assert asyncio.get_running_loop().time() - start >= 2 * _HANG_SECONDS - 0.01
        assert new_store.is_down
        assert (await _refused(_find(new_store, 1)))[0] == "the engine: away"
        assert _warnings(caplog) == [f"store: {why}; answering by on_store_error until it is back"]
        engine.error = None
        engine.prepare_gate.set()
        await _eventually(lambda: not new_store.is_down)

    async def test_a_broken_one_is_not_waited_for(self, new_store: BatchedStore, engine: FakeEngine) -> None:
        engine.prepare_error = StoreError("disk full")
        await new_store.open()
        assert new_store.is_down
        assert engine.asked == ["is_prepared", "prepare"]
        engine.prepare_error = None
        await _eventually(lambda: not new_store.is_down)

    async def test_a_server_is_not_waited_for(
        self,
        new_store: BatchedStore,
        engine: FakeEngine,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The start waits no longer than a request."""
        caplog.set_level(logging.INFO)
        engine.is_stubborn = False
        engine.prepare_gate.clear()
        await new_store.open()
        assert new_store.is_down
        assert caplog.messages == [
            "store: the engine: no answer within 0.2 s; answering by on_store_error until it is back"
        ]
        engine.prepare_gate.set()
        await _eventually(lambda: not new_store.is_down)

    @pytest.mark.parametrize("error", [None, BusyError("database is locked")])
    async def test_a_start_that_is_cancelled_ends(
        self, error: BusyError | None, new_store: BatchedStore, engine: FakeEngine
    ) -> None:
        """With a busy store it ends at the next retry."""
        engine.error = error
        if not error:
            engine.prepare_gate.clear()
        opening = _start(new_store.open())
        await _eventually(lambda: ("is_prepared" if error else "prepare") in engine.asked)
        opening.cancel()
        await asyncio.wait([opening])
        engine.prepare_gate.set()
        await new_store.close()
        assert engine.is_closed


async def test_requests_wait_for_a_busy_store_as_long_as_for_a_slow_one(
    store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A lock that is soon released lets no mail pass; the log has the reason of one that is held longer."""
    monkeypatch.setattr(batched, "REQUEST_SECONDS", 30.0)
    engine.error = BusyError("database is locked")
    asked = _start(_find(store, "known"))
    await _eventually(lambda: len(engine.batches) == 2)
    engine.error = None
    assert await asked == _RECORD
    assert not _warnings(caplog)
    monkeypatch.setattr(batched, "REQUEST_SECONDS", _HANG_SECONDS)
    engine.error = BusyError("database is locked")
    assert (await _refused(store.record(_sighting(1))))[0] == "database is locked"
    assert _warnings(caplog) == ["store: database is locked; answering by on_store_error until it is back"]
    engine.error = None
    await _eventually(lambda: not store.is_down)
    assert engine.wrote == ["1"]


class TestDecisions:
    """They are written behind the answers; test_decision_writer.py has the rest."""

    async def test_they_are_kept_a_little_later(self, store: BatchedStore, engine: FakeEngine) -> None:
        decisions = [_decision(number) for number in range(3)]
        for decision in decisions:
            store.add_decision(decision)
        await _turns()
        assert engine.kept == []
        await _eventually(lambda: engine.kept == decisions)
        assert engine.asked == ["add_decisions"]

    async def test_when_they_cannot_be_kept_requests_are_answered_all_the_same(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.error = StoreError("table decisions is gone")
        store.add_decision(_decision(1))
        await _eventually(lambda: "add_decisions" in engine.asked)
        await _turns()
        engine.error = None
        assert not store.is_down
        assert await _find(store, "known") == _RECORD
        assert _warnings(caplog) == ["store: table decisions is gone; decisions wait until it takes them"]
        await _eventually(lambda: len(engine.kept) == 1)

    async def test_while_the_store_is_away_they_wait(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        store.add_decision(_decision(1))
        await asyncio.sleep(3 * _COLLECT_SECONDS)
        assert "add_decisions" not in engine.asked
        engine.error = None
        await _eventually(lambda: len(engine.kept) == 1)

    async def test_when_it_hangs_to_keep_them_it_is_stopped_and_done_again(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.gate.clear()
        store.add_decision(_decision(1))
        await _eventually(lambda: engine.asked == ["add_decisions"] * 2)
        engine.gate.set()
        await _eventually(lambda: len(engine.kept) == 1)

    async def test_close_keeps_what_waits(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "COLLECT_SECONDS", 60)
        store.add_decision(_decision(1))
        async with asyncio.timeout(1):
            await store.close()
        assert len(engine.kept) == 1
        assert engine.is_closed

    async def test_close_tells_how_many_are_lost(
        self,
        store: BatchedStore,
        engine: FakeEngine,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(batched, "RETRY_SECONDS", 60)
        engine.error = StoreError("disk full")
        await _refused(store.record(_sighting(1)))
        for number in range(3):
            store.add_decision(_decision(number))
        async with asyncio.timeout(1):
            await store.close()
        assert "store: 1 write, 3 decisions and 3 counts are lost" in caplog.records[-1].getMessage()

    async def test_a_bug_of_the_engine_does_not_keep_it_open(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.error = ZeroDivisionError("a bug")
        store.add_decision(_decision(1))
        await store.close()
        assert engine.is_closed


class TestMetrics:
    async def test_it_is_shown_whether_the_store_is_down(self, store: BatchedStore, engine: FakeEngine) -> None:
        assert REGISTRY.get_sample_value("bley_store_down") == 0
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        assert REGISTRY.get_sample_value("bley_store_down") == 1
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert REGISTRY.get_sample_value("bley_store_down") == 0

    async def test_how_much_goes_in_a_transaction(self, store: BatchedStore, engine: FakeEngine) -> None:
        with counted("bley_store_batch_size_sum") as asked, counted("bley_store_batch_size_count") as batches:
            await asyncio.gather(*(_find(store, number) for number in range(3)), store.record(_sighting(1)))
        assert (asked, batches) == ({"": 4}, {"": 1})

    async def test_how_long_each_transaction_takes(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By the purpose of the transaction; failed ones too."""
        monkeypatch.setattr("prometheus_client.context_managers.default_timer", _now)
        await store.record(_sighting(1))
        engine.seconds, engine.slices = 0.01, [_NOTHING]
        with (
            counted("bley_store_transaction_seconds_sum") as seconds,
            counted("bley_store_transaction_seconds_count") as number,
        ):
            await _find(store, 1)
            await store.remote_changes()
            await store.purge(NOON, _LIFETIMES)
            store.add_decision(_decision(1))
            await _eventually(lambda: bool(engine.kept))
            engine.error = StoreError("disk full")
            await _refused(_find(store, 1))
        assert number == {"records": 2, "remote_changes": 1, "purge": 2, "decisions": 1}
        assert seconds == pytest.approx({what: 0.01 * times for what, times in number.items()})
        engine.error = None

    async def test_purged_rows_are_counted(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.slices = [_FULL, Purged(1, 2, 3)]
        with counted("bley_store_purged_total") as purged:
            await store.purge(NOON, _LIFETIMES)
        assert purged == {"records": request_queue.MAX_BATCH + 1, "decisions": 2, "counts": 3}

    async def test_it_tells_how_much_waits(self, store: BatchedStore, engine: FakeEngine) -> None:
        assert store.waiting == {"writes": 0, "decisions": 0}
        engine.error = StoreError("disk full")
        await _refused(store.record(_sighting(1)))
        store.record_later(_sighting(2))
        store.add_decision(_decision(1))
        assert store.waiting == {"writes": 2, "decisions": 1}
        engine.error = None
        await _eventually(lambda: store.waiting == {"writes": 0, "decisions": 0})

    async def test_dropped_writes_are_counted(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_queue, "MAX_QUEUED", 5)
        before = _dropped()
        engine.error = StoreError("disk full")
        await _refused(_find(store, 1))
        for number in range(12):
            await _refused(store.record(_sighting(number)))
        assert _dropped() - before == 7
        engine.error = None
        await _eventually(lambda: not store.is_down)


class TestPlaces:
    """The records of several triplets are found at once."""

    async def test_all_are_asked_in_one_transaction(self, store: BatchedStore, engine: FakeEngine) -> None:
        places = [_triplet(1), _triplet("known"), _triplet(2)]
        assert (await store.find(places)).records == {_triplet("known"): _RECORD}
        assert engine.batches == [([], places)]

    async def test_nothing_may_be_known(self, store: BatchedStore) -> None:
        assert (await store.find([_triplet(1), _triplet(2)])).records == {}

    async def test_all_that_is_known_is_found(self, store: BatchedStore) -> None:
        names = ["trusted", "greylisted", "known"]
        found = (await store.find([_triplet(name) for name in ["unknown", *names]])).records
        assert found == {_triplet(name): _RECORDS[name] for name in names}
