"""The lists that have decided about a stranger alone are counted after the answer, and are the cause of its record."""

import asyncio
import logging
from collections.abc import Mapping

import pytest

from bley.checks.gather import Gathered
from bley.core.dnslists.lists import Answer, DnsList, ListAnswer, Meaning, parse_dns_lists
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check
from bley.core.greylist import Status
from bley.core.mail import Address, Request
from bley.service import decisive_lists as module
from tests.unit.service.test_service import DEFER, LISTED, REQUEST, TRIPLET, FakeChecks, World

BL, BL2, WL = parse_dns_lists("bl.example, bl2.example, wl.example")
NOT_LISTED = Answer(Meaning.CLEAR)
BY_BL: Evidence = {Check.HELO: Finding(0, "match"), Check.DNSBL: Finding(1, "listed", (ListAnswer(BL, LISTED),))}


def _answers(answers: Mapping[DnsList, Answer], check: Check = Check.DNSBL) -> Evidence:
    found = tuple(ListAnswer(each, answer) for each, answer in answers.items())
    return {check: Finding(sum(each.weight for each in found), "listed", found)}


class SlowChecks(FakeChecks):
    """Give the evidence with the missing answers later."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence)
        self.whole = asyncio.get_running_loop().create_future()

    async def gather(self, request: Request, address: Address) -> Gathered:
        return Gathered(request, self.evidence, self.whole)


def _slow_world(evidence: Evidence = BY_BL) -> tuple[World, "asyncio.Future[Evidence]"]:
    world = World(evidence)
    checks = world.checks = SlowChecks(evidence)
    world.service.switch(world.service.make_rules(world.configuration, checks))
    return world, checks.whole


async def _settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class TestWithAllAnswers:
    async def test_a_list_that_alone_defers_is_counted_and_recorded(self) -> None:
        world = World({**BY_BL, **_answers({BL: LISTED, BL2: NOT_LISTED})})
        assert (await world.answer()).verb == DEFER
        await _settle()
        assert world.store.list_counts == {("dnsbl-alone", "bl.example"): 1}
        record = world.store.records[TRIPLET]
        assert (record.cause, record.status, record.attempts) == ("dnsbl bl.example", Status.GREYLISTED, 0)

    @pytest.mark.parametrize(
        "evidence",
        [
            pytest.param(_answers({BL: LISTED, BL2: LISTED}), id="another list would have deferred"),
            pytest.param({**BY_BL, Check.HELO: Finding(2, "no match")}, id="another finding would have deferred"),
            pytest.param({Check.HELO: Finding(2, "no match")}, id="no list lists the client"),
            pytest.param(_answers({BL: NOT_LISTED}), id="not deferred"),
        ],
    )
    async def test_a_list_without_which_the_verdict_is_the_same_is_not(self, evidence: Evidence) -> None:
        world = World(evidence)
        await world.answer()
        await _settle()
        assert not world.store.list_counts
        assert " " not in world.store.records[TRIPLET].cause

    async def test_an_allowlist_that_alone_lets_pass_is_counted(self) -> None:
        world = World({Check.HELO: Finding(2, "no match"), **_answers({WL: LISTED}, Check.DNSWL)})
        assert (await world.answer()).verb == "DUNNO"
        await _settle()
        assert world.store.list_counts == {("dnswl-alone", "wl.example"): 1}
        assert world.store.records[TRIPLET].cause == ""

    async def test_only_queried_strangers_count(self) -> None:
        """The next mails of the client are deferred for the same reason, without queries: of them no list is known."""
        world = World(BY_BL)
        for number in range(3):
            await world.answer(recipient=f"{number}@example.org")
        await _settle()
        assert world.store.list_counts == {("dnsbl-alone", "bl.example"): 1}
        causes = sorted(record.cause for record in world.store.records.values())
        assert causes == ["dnsbl", "dnsbl", "dnsbl bl.example"]

    async def test_a_bug_in_it_does_not_cost_the_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, errors = World(BY_BL), list[object]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
        monkeypatch.setattr(world.store, "add_list_count", lambda *_: 1 / 0)
        assert (await world.answer()).verb == DEFER
        await _settle()
        assert [type(error) for error in errors] == [ZeroDivisionError]


class TestMissingAnswers:
    async def test_the_answer_does_not_wait_for_them(self) -> None:
        world, whole = _slow_world()
        assert (await world.answer()).verb == DEFER
        assert not world.store.list_counts
        whole.set_result({**BY_BL, **_answers({BL: LISTED, BL2: NOT_LISTED})})
        await _settle()
        assert world.store.list_counts == {("dnsbl-alone", "bl.example"): 1}
        assert world.store.records[TRIPLET].cause == "dnsbl bl.example"

    async def test_they_may_show_that_the_list_was_not_alone(self) -> None:
        world, whole = _slow_world()
        await world.answer()
        whole.set_result(_answers({BL: LISTED, BL2: LISTED}))
        await _settle()
        assert not world.store.list_counts
        assert world.store.records[TRIPLET].cause == "dnsbl"

    async def test_a_mail_that_passed_meanwhile_stays_known(self) -> None:
        world, whole = _slow_world()
        await world.answer()
        world.clock.advance(minutes=6)
        assert (await world.answer()).verb == "PREPEND"
        whole.set_result(BY_BL)
        await _settle()
        assert world.store.records[TRIPLET].status is Status.CLEAN

    async def test_beyond_a_limit_the_answers_so_far_decide(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And the queries for the others end."""
        monkeypatch.setattr(module, "_MOST_AWAITED", 0)
        world, whole = _slow_world()
        await world.answer()
        await _settle()
        assert whole.cancelled()
        assert world.store.list_counts == {("dnsbl-alone", "bl.example"): 1}

    async def test_an_error_of_a_check_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        world, whole = _slow_world()
        await world.answer()
        whole.set_exception(ZeroDivisionError())
        with caplog.at_level(logging.ERROR):
            await _settle()
        assert "please report it" in caplog.text
        assert not world.store.list_counts

    async def test_a_stop_ends_them(self) -> None:
        world, whole = _slow_world()
        await world.answer(REQUEST)
        await world.service.close()
        await _settle()
        assert whole.cancelled()
        assert not world.store.list_counts
