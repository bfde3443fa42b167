"""Decisions are written behind the answers: in bounded slices, and counted exactly."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from bley.core.decision import Decision, DecisionEntry
from bley.core.errors import AwayError, RefusedError, StoreError
from bley.core.history.list_counts import LIST_SPANS
from bley.core.history.statistics import Count
from bley.core.mail import Request
from bley.core.reasons import Reason
from bley.metrics import REGISTRY
from bley.store import decision_writer as decisions_module
from bley.store.decision_writer import DecisionWriter, Lost
from bley.store.engine import Mark
from tests.fakes import NOON

pytestmark = pytest.mark.leaps

_COLLECT_SECONDS = 0.02
_MIDNIGHT = int(NOON.timestamp()) // 86400 * 86400
_PATIENCE_SECONDS = 3.0


def _never(_: int) -> bool:
    return False


def _always(_: int) -> bool:
    return True


class Writer:
    """Records its calls; `error` is raised in the attempts, from 1, that `fails` selects; a closed `gate` blocks."""

    def __init__(self) -> None:
        self.slices: list[list[str]] = []
        self.counts = Counter[Count]()
        self.tries = 0
        self.error: Exception = StoreError("the store is away")
        self.fails: Callable[[int], bool] = _never
        self.refuses, self.refuses_count = "", ""
        self.tried: list[tuple[list[str], dict[Count, int], Mark]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def written(self) -> list[str]:
        """The recipients of all decisions, in order."""
        return [recipient for one in self.slices for recipient in one]

    @property
    def counted(self) -> int:
        """Return the number of counted decisions, by the counts of hours."""
        return sum(number for count, number in self.counts.items() if count.seconds == 3600)

    async def __call__(self, decisions: Sequence[DecisionEntry], counts: Mapping[Count, int], mark: Mark) -> None:
        self.tries += 1
        self.tried.append(([decision.recipient for decision in decisions], dict(counts), mark))
        fails = self.fails(self.tries)
        await asyncio.sleep(0)
        await self.gate.wait()
        if fails:
            raise self.error
        refused = [(decision, "never bad") for decision in decisions if decision.recipient == self.refuses]
        refused_counts = [(item, "never bad") for item in counts.items() if item[0].name == self.refuses_count]
        self.slices.append([decision.recipient for decision in decisions if decision.recipient != self.refuses])
        self.counts.update({count: number for count, number in counts.items() if count.name != self.refuses_count})
        if refused or refused_counts:
            raise RefusedError("never bad", [*refused, *refused_counts])


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Writer:
    monkeypatch.setattr(decisions_module, "COLLECT_SECONDS", _COLLECT_SECONDS)
    return Writer()


@pytest.fixture
def decisions(writer: Writer) -> DecisionWriter:
    return DecisionWriter(writer)


def _decision(recipient: object, reason: Reason = Reason.CLEAN, after: timedelta = timedelta(0)) -> DecisionEntry:
    return DecisionEntry(NOON + after, "pass", Decision(Request(), reason), "s", str(recipient))


def _keep(decisions: DecisionWriter, *recipients: object) -> None:
    for recipient in recipients:
        decisions.add_decision(_decision(recipient))


def _dropped(what: str = "decisions") -> float:
    return REGISTRY.get_sample_value("bley_store_dropped_total", {"what": what}) or 0


async def _close(decisions: DecisionWriter, seconds: float = _PATIENCE_SECONDS) -> Lost:
    return await decisions.close(asyncio.get_running_loop().time() + seconds)


async def _eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 (no event to await)
            await asyncio.sleep(0.002)


class TestCountsOfLists:
    async def test_they_are_written_without_any_decision(self, decisions: DecisionWriter, writer: Writer) -> None:
        """An answer may come after the decision was written."""
        for _ in range(3):
            decisions.add_list_count(NOON, "dnsbl-queries", "bl.example", 1)
        await _eventually(lambda: bool(writer.counts))
        start = int(NOON.timestamp())
        assert writer.counts[Count(600, start, "dnsbl-queries", "bl.example")] == 3
        assert {count.seconds for count in writer.counts} == set(LIST_SPANS)

    async def test_those_of_ten_minutes_take_one_place_in_the_queue(
        self, decisions: DecisionWriter, writer: Writer
    ) -> None:
        """A store that is away for hours leaves room for the others."""
        for minute in range(30):
            decisions.add_list_count(NOON + timedelta(minutes=minute), "dnsbl-queries", "bl.example", 1)
        lost = len(decisions._counts)
        assert lost == 3


class TestCollecting:
    async def test_those_of_a_second_are_written_together(self, decisions: DecisionWriter, writer: Writer) -> None:
        for number in range(10):
            _keep(decisions, number)
            await asyncio.sleep(0)
        assert writer.slices == []
        await _eventually(lambda: bool(writer.slices))
        assert writer.slices == [[str(number) for number in range(10)]]
        await _close(decisions)

    async def test_who_keeps_waits_for_nobody(self, decisions: DecisionWriter, writer: Writer) -> None:
        writer.gate.clear()
        _keep(decisions, 1)
        await _eventually(lambda: writer.tries == 1)
        _keep(decisions, 2, 3)
        writer.gate.set()
        await _eventually(lambda: writer.written == ["1", "2", "3"])
        await _close(decisions)

    async def test_those_that_come_while_some_are_written_are_collected_too(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise a busy server would have a transaction for each decision, for which its requests would wait."""
        writer.gate.clear()
        _keep(decisions, 1)
        await _eventually(lambda: writer.tries == 1)
        monkeypatch.setattr(decisions_module, "COLLECT_SECONDS", 60)
        _keep(decisions, 2)
        writer.gate.set()
        await _eventually(lambda: bool(writer.slices))
        for _ in range(20):
            await asyncio.sleep(0)
        assert writer.slices == [["1"]]
        await _close(decisions)
        assert writer.slices == [["1"], ["2"]]

    async def test_they_go_in_slices_and_the_order_is_kept(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "MAX_SLICE", 3)
        _keep(decisions, *range(8))
        await _close(decisions)
        assert [len(one) for one in writer.slices] == [3, 3, 2]
        assert writer.written == [str(number) for number in range(8)]

    async def test_full_slices_are_spread_over_the_time_in_which_they_collected(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else a stranger that comes at the wrong moment waits for one after the other."""
        monkeypatch.setattr(decisions_module, "MAX_SLICE", 1)
        monkeypatch.setattr(decisions_module, "COLLECT_SECONDS", 0.3)
        loop = asyncio.get_running_loop()
        _keep(decisions, *range(4))
        await _eventually(lambda: len(writer.slices) == 1)
        first = loop.time()
        await _eventually(lambda: len(writer.slices) == 4)
        assert loop.time() - first > 0.9 * 0.3 * (1 / 3 + 1 / 2 + 1)
        assert await _close(decisions) == Lost(0, 0)

    async def test_nothing_is_written_when_there_is_nothing(self, decisions: DecisionWriter, writer: Writer) -> None:
        _keep(decisions, 1)
        await _eventually(lambda: writer.tries == 1)
        await asyncio.sleep(3 * _COLLECT_SECONDS)
        assert writer.tries == 1
        assert await _close(decisions) == Lost(0, 0)


class TestCounts:
    async def test_each_is_counted_once_by_its_span_outcome_and_reason(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Many decisions are written in slices."""
        monkeypatch.setattr(decisions_module, "MAX_SLICE", 2)
        for after in (timedelta(0), timedelta(seconds=59), timedelta(minutes=1)):
            decisions.add_decision(_decision(1, Reason.CLEAN, after))
        decisions.add_decision(_decision(1, Reason.DNSBL))
        await _close(decisions)
        start = int(NOON.timestamp())
        assert writer.counts == {
            Count(60, start, "pass", "clean"): 2,
            Count(60, start + 60, "pass", "clean"): 1,
            Count(60, start, "pass", "dnsbl"): 1,
            Count(3600, start, "pass", "clean"): 3,
            Count(3600, start, "pass", "dnsbl"): 1,
        }

    async def test_many_go_in_slices(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After an outage there are many: requests would wait for a single transaction with all of them."""
        monkeypatch.setattr(decisions_module, "MAX_COUNTS_SLICE", 3)
        for minute in range(20):
            decisions.add_decision(_decision(1, after=timedelta(minutes=minute)))
        await _close(decisions)
        assert max(len(counts) for _, counts, _ in writer.tried) == 3 + 1, "minutes, and their hour"
        assert writer.counted == 20

    async def test_what_does_not_fit_is_dropped_and_told_once(
        self,
        decisions: DecisionWriter,
        writer: Writer,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(decisions_module, "MAX_COUNTS", 3)
        before = _dropped("counts")
        for minute in (0, 1, 2, 3, 4, 1):
            decisions.add_decision(_decision(1, after=timedelta(minutes=minute)))
        decisions.add_known_decisions(NOON + timedelta(minutes=9), range(5), _decision)
        assert _dropped("counts") - before == 2 + 5
        await _close(decisions)
        assert writer.counted == 4
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert warnings == ["store: 3 counts are queued; further events are not counted"]

    async def test_a_decision_counts_for_its_domains(self, decisions: DecisionWriter, writer: Writer) -> None:
        for reason in (Reason.CLEAN, Reason.KNOWN):
            decisions.add_decision(_decision("jane@example.org", reason)._replace(sender="joe@mail.example.com"))
        await _close(decisions)
        assert {count: number for count, number in writer.counts.items() if count.seconds == 86400} == {
            Count(86400, _MIDNIGHT, "to-pass", "example.org"): 2,
            Count(86400, _MIDNIGHT, "from-pass", "example.com"): 2,
        }

    async def test_domains_of_known_mail_are_counted_by_their_numbers(
        self, decisions: DecisionWriter, writer: Writer
    ) -> None:
        domains = 3 * ["to example.org from example.com"] + 2 * ["to example.org"]
        decisions.add_known_decisions(NOON, range(5), _decision, domains=domains)
        await _close(decisions)
        assert {count: number for count, number in writer.counts.items() if count.seconds == 86400} == {
            Count(86400, _MIDNIGHT, "to-pass", "example.org"): 5,
            Count(86400, _MIDNIGHT, "from-pass", "example.com"): 3,
        }

    async def test_mail_of_a_user_does_not_count_for_the_domain_it_goes_to(
        self, decisions: DecisionWriter, writer: Writer
    ) -> None:
        mail = _decision("jane@example.org", Reason.AUTHENTICATED)._replace(sender="joe@example.com")
        decisions.add_decision(mail)
        await _close(decisions)
        assert [count.kind for count in writer.counts if count.seconds == 86400] == ["from-pass"]

    async def test_one_that_is_refused_is_lost_alone(self, decisions: DecisionWriter, writer: Writer) -> None:
        writer.refuses_count = "dnsbl"
        before = _dropped("counts")
        decisions.add_decision(_decision(1, Reason.DNSBL))
        decisions.add_decision(_decision(2))
        assert await _close(decisions) == Lost(0, 0)
        assert (writer.written, writer.counted) == (["1", "2"], 1)
        assert _dropped("counts") - before == 2, "the minute's and the hour's"


class TestStoreThatIsAway:
    async def test_they_wait_in_their_order_and_are_counted_once(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "MAX_SLICE", 2)
        writer.fails = lambda number: number <= 3
        for number in range(9):
            _keep(decisions, number)
            await asyncio.sleep(_COLLECT_SECONDS / 3)
        await _eventually(lambda: len(writer.written) == 9)
        assert writer.written == [str(number) for number in range(9)]
        assert writer.counted == 9
        await _close(decisions)

    async def test_what_may_have_been_written_is_written_again_just_so(
        self, decisions: DecisionWriter, writer: Writer
    ) -> None:
        """The retry has the same mark; later counts have another, later one."""
        writer.fails = lambda number: number <= 2
        _keep(decisions, 1)
        await _eventually(lambda: writer.tries == 1)
        _keep(decisions, 2)
        await _eventually(lambda: writer.written == ["1", "2"])
        first, *again, last = writer.tried
        assert again == [first] * len(again)
        assert last[0] == ["2"]
        assert last[2].writer == first[2].writer
        assert last[2].number > first[2].number
        await _close(decisions)

    async def test_also_when_it_goes_between_two_slices(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "MAX_SLICE", 2)
        writer.fails = lambda number: number in (2, 3)
        _keep(decisions, *range(5))
        await _eventually(lambda: len(writer.written) == 5)
        assert writer.written == [str(number) for number in range(5)]
        assert writer.counted == 5
        await _close(decisions)

    async def test_it_is_not_asked_all_the_time(self, decisions: DecisionWriter, writer: Writer) -> None:
        writer.fails = _always
        _keep(decisions, 1)
        await asyncio.sleep(5.5 * _COLLECT_SECONDS)
        assert 2 <= writer.tries <= 6
        await _close(decisions)

    async def test_only_so_many_wait_the_oldest_go_first_and_all_are_counted(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "MAX_WAITING", 5)
        before = _dropped()
        writer.fails = lambda number: number <= 2
        _keep(decisions, *range(12))
        assert _dropped() - before == 7
        await _eventually(lambda: bool(writer.slices))
        assert writer.written == ["7", "8", "9", "10", "11"]
        assert writer.counted == 12
        await _close(decisions)

    async def test_what_comes_while_a_try_fails_does_not_grow_without_end(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "MAX_WAITING", 5)
        monkeypatch.setattr(decisions_module, "MAX_SLICE", 5)
        before = _dropped()
        writer.fails = _always
        for number in range(60):
            _keep(decisions, number)
            await asyncio.sleep(_COLLECT_SECONDS / 10)
        writer.fails = _never
        await _eventually(lambda: bool(writer.written) and writer.written[-1] == "59")
        assert len(writer.written) <= 10
        assert writer.written == sorted(writer.written, key=int)
        assert _dropped() - before == 60 - len(writer.written)
        assert writer.counted == 60
        await _close(decisions)

    async def test_counts_are_written_though_no_decision_is_left(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "MAX_WAITING", 0)
        _keep(decisions, 1)
        await _close(decisions)
        assert (writer.slices, writer.counted) == ([[]], 1)

    async def test_what_it_refuses_does_not_hold_up_the_others(
        self, decisions: DecisionWriter, writer: Writer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A retry would not help; the loss is counted."""
        writer.refuses = "bad"
        before = _dropped()
        _keep(decisions, 1, "bad", 2)
        await _eventually(lambda: "2" in writer.written)
        assert writer.written == ["1", "2"]
        assert writer.counted == 3
        assert _dropped() - before == 1
        assert await _close(decisions) == Lost(0, 0)

    async def test_a_bug_is_logged_and_later_ones_are_written(
        self, decisions: DecisionWriter, writer: Writer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No task awaits the writer, so only the log reports the bug; the store must still be closed."""
        writer.error = ZeroDivisionError("a bug")
        writer.fails = lambda number: number <= 1
        _keep(decisions, 1)
        await _eventually(lambda: writer.tries == 1)
        await asyncio.sleep(_COLLECT_SECONDS)
        _keep(decisions, 2)
        await _eventually(lambda: "2" in writer.written)
        await _close(decisions)
        told = [record for record in caplog.records if record.exc_info and record.exc_info[0] is ZeroDivisionError]
        assert [record.name.partition(".")[0] for record in told] == ["bley"]

    async def test_a_bug_at_the_end_does_not_come_out_of_close(self, decisions: DecisionWriter, writer: Writer) -> None:
        """The engine must still be closed afterwards."""
        writer.error = ZeroDivisionError("a bug")
        writer.fails = lambda number: number <= 1
        _keep(decisions, 1)
        await _close(decisions)


class TestClose:
    async def test_what_waits_is_written_at_once(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "COLLECT_SECONDS", 60)
        _keep(decisions, 1, 2)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            assert await _close(decisions) == Lost(0, 0)
        assert writer.written == ["1", "2"]

    async def test_it_tells_what_is_lost(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It ends after a single attempt."""
        monkeypatch.setattr(decisions_module, "COLLECT_SECONDS", 60)
        writer.fails = _always
        _keep(decisions, 1, 2, 3)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            assert await _close(decisions) == Lost(3, 3)
        assert writer.tries == 1

    async def test_it_tells_what_is_lost_behind_the_first_slice(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "MAX_SLICE", 2)
        writer.fails = lambda number: number > 1
        _keep(decisions, *range(5))
        assert await _close(decisions) == Lost(3, 0), "the counts were in the first slice"
        assert writer.written == ["0", "1"]

    async def test_it_takes_no_longer_than_it_may(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However slow the store is, and however many decisions are queued."""
        monkeypatch.setattr(decisions_module, "MAX_SLICE", 1)
        writer.gate.clear()
        _keep(decisions, *range(5))
        decisions.add_known_decisions(NOON, range(7), _decision)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            assert await _close(decisions, seconds=0.05) == Lost(12, 12, may_be_written=True)

    async def test_counts_that_are_lost_are_told(self, decisions: DecisionWriter, writer: Writer) -> None:
        writer.fails = _always
        decisions.add_known_decisions(NOON, range(5000), _decision)
        assert (await _close(decisions)).counts == 5000

    async def test_nothing_kept_nothing_written(self, decisions: DecisionWriter, writer: Writer) -> None:
        assert await _close(decisions) == Lost(0, 0)
        assert writer.tries == 0

    async def test_no_task_is_left(self, decisions: DecisionWriter, writer: Writer) -> None:
        writer.fails = _always
        _keep(decisions, 1)
        await _close(decisions)
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(("error", "warnings"), [(AwayError("away"), 0), (StoreError("disk full"), 1)])
async def test_a_failure_is_logged_once_unless_the_store_has_logged_that_it_is_away(
    error: StoreError, warnings: int, decisions: DecisionWriter, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    writer.error, writer.fails = error, lambda number: number <= 2
    _keep(decisions, 1)
    await _eventually(lambda: bool(writer.slices))
    await _close(decisions)
    texts = [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    assert texts == [f"store: {error}; decisions wait until it takes them"] * warnings


class TestKnown:
    """Decisions on known mail are stored at a limited rate; all are counted."""

    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(decisions_module, "KNOWN_AT_ONCE", 3)
        monkeypatch.setattr(decisions_module, "KNOWN_A_SECOND", 0.5)

    def _keep(self, decisions: DecisionWriter, count: int, at: datetime = NOON) -> None:
        decisions.add_known_decisions(at, range(count), lambda number: _decision(str(number), Reason.KNOWN))

    async def test_what_there_is_room_for_is_kept(self, decisions: DecisionWriter, writer: Writer) -> None:
        self._keep(decisions, 2)
        await _close(decisions)
        assert writer.written == ["0", "1"]
        assert writer.counts[Count(3600, int(NOON.timestamp()), "pass", "known")] == 2

    async def test_all_of_it_is_counted_for_its_node(self, decisions: DecisionWriter, writer: Writer) -> None:
        """Also what there is no room for, as one count of the batch."""
        decisions.add_known_decisions(NOON, range(7), _decision, "mx1")
        decisions.add_decision(_decision(1)._replace(node="mx1"))
        decisions.add_decision(_decision(2)._replace(node="mx2"))
        await _close(decisions)
        by_node = {key.name: number for key, number in writer.counts.items() if key.kind == "node-passed"}
        assert by_node == {"mx1": 8, "mx2": 1}

    async def test_the_rest_is_counted_and_told(self, decisions: DecisionWriter, writer: Writer) -> None:
        before = REGISTRY.get_sample_value("bley_store_dropped_total", {"what": "decisions"}) or 0
        self._keep(decisions, 2)
        self._keep(decisions, 4)
        await _close(decisions)
        assert writer.written == ["0", "1", "0"]
        assert writer.counts[Count(3600, int(NOON.timestamp()), "pass", "known")] == 6
        assert REGISTRY.get_sample_value("bley_store_dropped_total", {"what": "decisions"}) == before + 3

    @pytest.mark.parametrize(("seconds", "kept"), [(-60, 3), (0, 3), (1, 3), (2, 4), (5, 5), (6, 6), (600, 6)])
    async def test_there_is_room_again_as_time_goes_by(
        self, decisions: DecisionWriter, writer: Writer, seconds: int, kept: int
    ) -> None:
        """Also if the clock is set back."""
        self._keep(decisions, 5)
        self._keep(decisions, 5, NOON + timedelta(seconds=seconds))
        await _close(decisions)
        assert len(writer.written) == kept

    async def test_it_drives_out_nothing_that_waits(
        self, decisions: DecisionWriter, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decisions_module, "MAX_WAITING", 2)
        decisions.add_decision(_decision("a"))
        self._keep(decisions, 3)
        await _close(decisions)
        assert writer.written == ["a", "0"]
