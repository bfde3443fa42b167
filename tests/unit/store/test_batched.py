"""Batching, on an engine that does what it is told: fails, hangs, is slow."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from bley.core.errors import StoreError
from bley.core.greylist import Record, Sighting, Status
from bley.core.mail import Triplet
from bley.store import batched
from bley.store.batched import BatchedStore
from tests.fakes import NOON

_AT_ONCE_SECONDS = 0.02
_RETRY_SECONDS = 0.03
_HANG_SECONDS = 0.06
_PATIENCE_SECONDS = 3.0
_RECORD = Record(Status.CLEAN, NOON, NOON)

_T = TypeVar("_T")


class FakeEngine:
    """Notes what it is asked; `error` is raised, behind a closed `gate` it hangs, `slices` is what purging finds."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[Sighting], list[Triplet]]] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.slices: list[int] = []
        self.is_closed = False

    @property
    def written(self) -> list[str]:
        """The recipients of all sightings, in order, repetitions too."""
        return [sighting.triplet.recipient for sightings, _ in self.batches for sighting in sightings]

    async def transact(self, sightings: Sequence[Sighting], triplets: Sequence[Triplet]) -> Sequence[Record | None]:
        self.batches.append((list(sightings), list(triplets)))
        await self._work()
        return [_RECORD if triplet.recipient == "known" else None for triplet in triplets]

    async def purge(self, **_: object) -> int:
        purged = self.slices.pop(0)
        await self._work()
        return purged

    async def close(self) -> None:
        self.is_closed = True

    async def _work(self) -> None:
        await asyncio.sleep(0)
        await self.gate.wait()
        if self.error:
            raise self.error


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def store(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> BatchedStore:
    monkeypatch.setattr(batched, "TRANSACTION_SECONDS", _HANG_SECONDS)
    monkeypatch.setattr(batched, "RETRY_SECONDS", _RETRY_SECONDS)
    monkeypatch.setattr(batched, "CLOSE_SECONDS", 0.2)
    return BatchedStore(engine)


def _triplet(recipient: object) -> Triplet:
    return Triplet("c", "s", str(recipient))


def _sighting(recipient: object) -> Sighting:
    return Sighting(_triplet(recipient), Status.GREYLISTED, NOON, NOON - timedelta(days=10))


def _start(coroutine: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    return asyncio.get_running_loop().create_task(coroutine)


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _refused(asked: Awaitable[object]) -> tuple[str, float]:
    """The StoreError's text, and the seconds until it came."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(StoreError) as caught:
        await asked
    return str(caught.value), loop.time() - start


async def _eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 (nobody tells us)
            await asyncio.sleep(0.005)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


class TestBatches:
    async def test_one_alone_waits_for_nothing(self, store: BatchedStore, engine: FakeEngine) -> None:
        asked = _start(store.find(_triplet("known")))
        await _turns()
        assert len(engine.batches) == 1
        assert await asked == _RECORD

    async def test_all_of_a_tick_share_a_transaction(self, store: BatchedStore, engine: FakeEngine) -> None:
        finds = [store.find(_triplet(number)) for number in range(100)]
        records = [store.record(_sighting(number)) for number in range(100)]
        await asyncio.gather(*finds, *records)
        assert [(len(sightings), len(triplets)) for sightings, triplets in engine.batches] == [(100, 100)]

    async def test_those_who_come_while_one_runs_are_the_next(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.gate.clear()
        first = _start(store.find(_triplet(0)))
        await _turns()
        others = [_start(store.find(_triplet(number))) for number in range(1, 10)]
        await _turns()
        assert len(engine.batches) == 1
        engine.gate.set()
        await asyncio.gather(first, *others)
        assert [len(triplets) for _, triplets in engine.batches] == [1, 9]

    async def test_a_batch_has_a_bound_and_the_order_is_kept(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batched, "MAX_BATCH", 3)
        await asyncio.gather(*(store.record(_sighting(number)) for number in range(10)))
        await asyncio.gather(*(store.find(_triplet(number)) for number in range(7)))
        sizes = [(len(sightings), len(triplets)) for sightings, triplets in engine.batches]
        assert sizes == [(3, 0), (3, 0), (3, 0), (1, 0), (0, 3), (0, 3), (0, 1)]
        assert engine.written == [str(number) for number in range(10)]

    async def test_a_find_is_never_in_a_batch_before_what_was_recorded_earlier(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batched, "MAX_BATCH", 3)
        for number in range(10):
            store.record_later(_sighting(number))
        await store.find(_triplet("known"))
        before = [len(sightings) for sightings, triplets in engine.batches[:-1] if not triplets]
        assert sum(before) + len(engine.batches[-1][0]) == 10

    async def test_who_waits_no_longer_does_no_harm(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The others are answered, and the sighting is written all the same."""
        for error in (None, StoreError("gone"), RuntimeError("bug")):
            engine.gate.clear()
            leaving = [_start(store.find(_triplet(1))), _start(store.record(_sighting(error)))]
            staying = _start(store.find(_triplet("known")))
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


class TestEngineThatFails:
    async def test_all_who_wait_are_told_why(self, store: BatchedStore, engine: FakeEngine) -> None:
        """Those of the batch and those of the next."""
        engine.gate.clear()
        waiting = [_start(_refused(store.find(_triplet(1)))), _start(_refused(store.record(_sighting(1))))]
        await _turns()
        waiting += [_start(_refused(store.find(_triplet(2)))), _start(_refused(store.record(_sighting(2))))]
        await _turns()
        engine.error = StoreError("disk full")
        engine.gate.set()
        assert [why for why, _ in await asyncio.gather(*waiting)] == ["disk full"] * 4
        assert store.is_down
        await store.close()

    async def test_from_then_on_nobody_waits(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.error = StoreError("disk full")
        await _refused(store.find(_triplet(1)))
        engine.gate.clear()
        for _ in range(10):
            assert (await _refused(store.find(_triplet(1))))[1] < _AT_ONCE_SECONDS
            assert (await _refused(store.record(_sighting(1))))[1] < _AT_ONCE_SECONDS
        engine.gate.set()
        await store.close()

    @pytest.mark.parametrize("asking", ["find", "record", "record_later"])
    async def test_it_is_tried_again_until_it_is_back_without_anybody_asking(
        self, store: BatchedStore, engine: FakeEngine, asking: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.error = StoreError("disk full")
        match asking:
            case "find":
                await _refused(store.find(_triplet(1)))
            case "record":
                await _refused(store.record(_sighting(1)))
            case _:
                store.record_later(_sighting(1))
        await asyncio.sleep(3.5 * _RETRY_SECONDS)
        assert store.is_down
        assert 2 <= len(engine.batches) <= 6
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert await store.find(_triplet("known")) == _RECORD
        assert len(_warnings(caplog)) == 2
        assert "disk full" in _warnings(caplog)[0]
        assert "back" in _warnings(caplog)[1]

    async def test_it_is_told_once_each_time(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(2):
            engine.error = StoreError("disk full")
            await _refused(store.find(_triplet(1)))
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
        await store.find(_triplet(4))
        assert engine.written == ["0", "1", "2", "3", "4"]

    async def test_what_is_kept_is_written_before_it_is_back(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A request would wait for all of it, or not find it."""
        monkeypatch.setattr(batched, "MAX_BATCH", 3)
        engine.error = StoreError("disk full")
        for number in range(20):
            store.record_later(_sighting(number))
        await _eventually(lambda: store.is_down)
        engine.batches.clear()
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert len(engine.written) >= 17
        await store.find(_triplet(1))
        assert engine.written == [str(number) for number in range(20)]

    async def test_only_so_much_is_kept_and_the_oldest_goes_first(
        self,
        store: BatchedStore,
        engine: FakeEngine,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(batched, "MAX_KEPT", 5)
        engine.error = StoreError("disk full")
        await _refused(store.find(_triplet(1)))
        for number in range(12):
            store.record_later(_sighting(number))
        engine.batches.clear()
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert engine.written == ["7", "8", "9", "10", "11"]
        assert "7 writes were dropped" in _warnings(caplog)[-1]

    async def test_what_comes_while_a_try_fails_does_not_grow_without_end(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batched, "MAX_KEPT", 5)
        monkeypatch.setattr(batched, "MAX_BATCH", 5)
        engine.error = StoreError("disk full")
        await _refused(store.find(_triplet(1)))
        for number in range(50):
            store.record_later(_sighting(number))
            await asyncio.sleep(_RETRY_SECONDS / 10)
        engine.batches.clear()
        engine.error = None
        await _eventually(lambda: not store.is_down)
        await store.find(_triplet(1))
        assert len(engine.written) <= 10
        assert engine.written[-1] == "49"
        assert engine.written == sorted(engine.written, key=int)

    async def test_a_bug_of_the_engine_is_told_to_those_who_wait_and_logged_with_its_traceback(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.error = ZeroDivisionError("a bug")
        await asyncio.gather(_refused(store.find(_triplet(1))), _refused(store.record(_sighting(1))))
        assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert await store.find(_triplet("known")) == _RECORD

    async def test_a_bug_of_the_engine_does_not_keep_it_busy(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.error = StoreError("disk full")
        await _refused(store.find(_triplet(1)))
        engine.error = ZeroDivisionError("a bug")
        await asyncio.sleep(3.5 * _RETRY_SECONDS)
        assert len(engine.batches) <= 6
        await store.close()


class TestEngineThatHangs:
    async def test_all_who_wait_are_told_when_it_has_taken_too_long(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.gate.clear()
        first = _start(_refused(store.find(_triplet(1))))
        await asyncio.sleep(_HANG_SECONDS / 2)
        second = _start(_refused(store.record(_sighting(2))))
        (why, seconds), (_, seconds_of_second) = await asyncio.gather(first, second)
        assert "no answer within 0.06 s" in why
        assert _HANG_SECONDS <= seconds < _HANG_SECONDS + _AT_ONCE_SECONDS
        assert seconds_of_second < _HANG_SECONDS
        assert (await _refused(store.find(_triplet(1))))[1] < _AT_ONCE_SECONDS
        assert len(_warnings(caplog)) == 1
        engine.gate.set()
        await store.close()

    async def test_when_it_ends_well_after_all_the_store_is_back_and_nothing_written_twice(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.gate.clear()
        await _refused(store.record(_sighting(1)))
        store.record_later(_sighting(2))
        engine.gate.set()
        await _eventually(lambda: not store.is_down)
        await store.find(_triplet(1))
        assert engine.written == ["1", "2"]

    async def test_when_it_ends_in_an_error_what_was_to_be_written_is_tried_again(
        self, store: BatchedStore, engine: FakeEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.gate.clear()
        await _refused(store.record(_sighting(1)))
        store.record_later(_sighting(2))
        engine.error = StoreError("disk full")
        engine.gate.set()
        await _eventually(lambda: len(engine.batches) > 1)
        engine.batches.clear()
        engine.error = None
        await _eventually(lambda: not store.is_down)
        assert engine.written == ["1", "2"]
        assert len(_warnings(caplog)) == 2


class TestClose:
    async def test_what_is_waiting_is_written(self, store: BatchedStore, engine: FakeEngine) -> None:
        for number in range(2000):
            store.record_later(_sighting(number))
        await store.close()
        assert engine.written == [str(number) for number in range(2000)]
        assert engine.is_closed

    async def test_who_is_waiting_is_answered(self, store: BatchedStore, engine: FakeEngine) -> None:
        asked = _start(store.find(_triplet("known")))
        await asyncio.sleep(0)
        await store.close()
        assert await asked == _RECORD

    async def test_what_was_kept_is_written_if_the_engine_is_back(
        self, store: BatchedStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without waiting for the next try."""
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
        assert "2 writes are lost" in caplog.records[-1].getMessage()
        assert engine.is_closed

    async def test_it_does_not_wait_for_ever_for_an_engine_that_hangs(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.gate.clear()
        await _refused(store.record(_sighting(1)))
        async with asyncio.timeout(1):
            await store.close()
        assert engine.is_closed

    async def test_a_store_that_nobody_asked_closes(self, store: BatchedStore, engine: FakeEngine) -> None:
        await store.close()
        assert engine.is_closed
        assert engine.batches == []


class TestPurge:
    async def test_it_goes_in_slices_until_one_is_not_full(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.slices = [batched.MAX_BATCH, batched.MAX_BATCH, 7, 99]
        assert await store.purge(greylisted_before=NOON, known_before=NOON) == 2 * batched.MAX_BATCH + 7
        assert engine.slices == [99]

    async def test_requests_have_their_turn_between_the_slices(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.slices = [batched.MAX_BATCH] * 50 + [0]
        purging = _start(store.purge(greylisted_before=NOON, known_before=NOON))
        await _turns()
        for _ in range(10):
            left = len(engine.slices)
            assert await store.find(_triplet("known")) == _RECORD
            assert left - len(engine.slices) < 5
        assert not purging.done()
        await purging

    async def test_it_and_a_transaction_are_never_at_work_at_once(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.gate.clear()
        engine.slices = [0]
        purging = _start(store.purge(greylisted_before=NOON, known_before=NOON))
        await _turns()
        asked = _start(store.find(_triplet("known")))
        await _turns()
        assert engine.batches == []
        engine.gate.set()
        assert await asked == _RECORD
        await purging

    async def test_its_failure_is_told_to_who_wanted_it_and_to_nobody_else(
        self, store: BatchedStore, engine: FakeEngine
    ) -> None:
        engine.slices = [0]
        engine.error = StoreError("disk full")
        await _refused(store.purge(greylisted_before=NOON, known_before=NOON))
        engine.error = None
        assert not store.is_down
        assert await store.find(_triplet("known")) == _RECORD

    async def test_when_it_hangs_nobody_waits_long(self, store: BatchedStore, engine: FakeEngine) -> None:
        engine.gate.clear()
        engine.slices = [0]
        purging = _start(store.purge(greylisted_before=NOON, known_before=NOON))
        await _turns()
        assert (await _refused(store.find(_triplet("known"))))[1] < _HANG_SECONDS + _AT_ONCE_SECONDS
        engine.gate.set()
        await purging
        await _eventually(lambda: not store.is_down)
