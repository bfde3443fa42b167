"""The nine steps of the decision (design, part 2), with time that is told and evidence that is given."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from bley import service as service_module
from bley.config import Settings
from bley.config_file import Configuration
from bley.core.decision import Decision
from bley.core.dnslists import Answer, ListAnswer, Meaning, parse_dns_lists
from bley.core.errors import StoreError
from bley.core.evidence import Check, Evidence, Finding
from bley.core.exemptions import read_clients, read_mail_addresses
from bley.core.greylist import Record, Sighting, Standing, Status
from bley.core.mail import Action, Address, Request, Triplet
from bley.service import Service
from bley.store.memory import MemoryStore
from tests.fakes import FakeClock

REQUEST = Request(
    protocol_state="RCPT",
    client_address="198.51.100.7",
    client_name="unknown",
    helo_name="friend",
    sender="a@example.com",
    recipient="b@example.org",
    instance="1a.2b",
)
TRIPLET = Triplet("198.51.100.0/24", "a@example.com", "b@example.org")
LISTED = Answer(Meaning.LISTED, (IPv4Address("127.0.0.2"),))
NAMED = tuple(ListAnswer(dns_list, LISTED) for dns_list in parse_dns_lists("bl.example, bl2.example"))
BLOCKED = {Check.HELO: Finding(2, "no match"), Check.DNSBL: Finding(2, "listed", NAMED)}
BAD = {Check.HELO: Finding(2, "no match")}
GOOD = {Check.HELO: Finding(0, "match")}
ALLOWED = {Check.HELO: Finding(2, "no match"), Check.DNSWL: Finding(1, "listed")}
DEFER = "DEFER_IF_PERMIT"


class FakeChecks:
    """Finds what it is told to; counts how often it is asked, and how often why lists name a client."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.asked, self.explained = evidence, 0, 0
        self.may_explain = asyncio.Event()
        self.may_explain.set()

    async def gather(self, request: Request, address: Address) -> Evidence:
        self.asked += 1
        return self.evidence

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        self.explained += 1
        await self.may_explain.wait()
        return {
            check: replace(finding, answers=tuple(replace(each, text=f"see {address}") for each in finding.answers))
            for check, finding in evidence.items()
        }


class AwayStore(MemoryStore):
    """A store that can go away; what it is told then, it is told later."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.later: list[Sighting] = []

    async def find(self, triplet: Triplet) -> Record | None:
        if self.is_away:
            raise StoreError("away")
        return await super().find(triplet)

    async def record(self, sighting: Sighting) -> None:
        if self.is_away:
            raise StoreError("away")
        await super().record(sighting)

    def record_later(self, sighting: Sighting) -> None:
        if self.is_away:
            self.later.append(sighting)
        else:
            super().record_later(sighting)


class World:
    """A service with all that is around it."""

    def __init__(self, evidence: Evidence = BAD, **settings: object) -> None:
        self.clock, self.checks, self.store = FakeClock(), FakeChecks(evidence), AwayStore()
        self.configuration = Configuration(
            file=None,
            settings=Settings.model_validate(settings),
            recipients=read_mail_addresses([("recipients", "postmaster@\ndirect@example.org")]),
            clients=read_clients([("clients", "partner.example\n203.0.113.0/24")]),
            senders=read_mail_addresses([("senders", "bank.example")]),
        )
        self.service = Service(self.configuration, self.store, self.checks, self.clock, "mx.example.org")

    async def answer(self, request: Request = REQUEST, **changes: str) -> Action:
        answer = self.service.answer(replace(request, **changes))
        return answer if isinstance(answer, Action) else await answer

    async def decide(self, **changes: str) -> Decision:
        return await self.service.decide(replace(REQUEST, **changes))

    def reload(self, **settings: object) -> None:
        self.configuration = replace(self.configuration, settings=Settings.model_validate(settings))
        self.service.reconfigure(self.configuration, self.checks)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What bley logs, whatever another test has made of its logger."""
    logger = logging.getLogger("bley")
    was = logger.propagate
    logger.propagate = True
    caplog.set_level(logging.INFO, "bley")
    yield caplog
    logger.propagate = was


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"protocol_state": "DATA"}, "not-rcpt"),
        ({"protocol_state": "END-OF-MESSAGE", "recipient": ""}, "not-rcpt"),
        ({"client_address": ""}, "incomplete"),
        ({"client_address": "mx.example.com"}, "incomplete"),
        ({"recipient": ""}, "incomplete"),
        ({"sasl_username": "jane"}, "authenticated"),
        ({"client_address": "127.0.0.1"}, "trusted-network"),
        ({"client_address": "::ffff:127.0.0.1"}, "trusted-network"),
        ({"client_address": "::1"}, "trusted-network"),
        ({"recipient": "Postmaster@example.net"}, "exempt-recipient"),
        ({"recipient": "direct+tag@example.org"}, "exempt-recipient"),
        ({"client_address": "203.0.113.9"}, "exempt-client"),
        ({"client_name": "out.partner.example"}, "exempt-client"),
        ({"sender": "x@mail.bank.example"}, "exempt-sender"),
        ({"sender": "prvs=0123456789=x@bank.example"}, "exempt-sender"),
    ],
)
async def test_steps_1_to_4_pass_without_store_or_checks(changes: dict[str, str], reason: str) -> None:
    """They are answered at once, DUNNO, and nothing is recorded."""
    world = World()
    assert world.service.answer(replace(REQUEST, **changes)) == Action("DUNNO")
    assert (await world.decide(**changes)).reason == reason
    assert not world.store.records
    assert not world.checks.asked


async def test_a_request_without_protocol_state_is_taken_for_rcpt() -> None:
    """Exim's recipes do not always send it."""
    assert (await World().answer(protocol_state="")).verb == DEFER


async def test_the_order_of_exemptions() -> None:
    """Recipient before client before sender, and the entry is named by file and line."""
    world = World()
    decision = await world.decide(recipient="direct@example.org", client_address="203.0.113.9", sender="x@bank.example")
    assert (decision.reason, decision.exempted_by) == ("exempt-recipient", "recipients:2:direct@example.org")
    decision = await world.decide(client_address="203.0.113.9", sender="x@bank.example")
    assert decision.exempted_by == "clients:2:203.0.113.0/24"


async def test_an_incomplete_request_is_warned_of_once_a_minute(log: pytest.LogCaptureFixture) -> None:
    world = World()
    for _ in range(3):
        await world.answer(recipient="")
        world.clock.advance(seconds=25)
    assert len([line for line in log.messages if line.startswith("no usable")]) == 1
    await world.answer(recipient="")
    assert len([line for line in log.messages if line.startswith("no usable")]) == 2


async def test_a_suspicious_stranger_is_deferred_and_recorded() -> None:
    world = World(reject_msg="wait %(wait)s s, %(reason)s")
    assert await world.answer() == Action(DEFER, "wait 300 s, helo")
    now = world.clock.now
    assert world.store.records == {TRIPLET: Record(Status.GREYLISTED, now, now)}


async def test_a_clean_stranger_passes_and_is_known_from_then_on() -> None:
    world = World(GOOD)
    assert await world.answer() == Action("DUNNO")
    assert world.store.records[TRIPLET].status is Status.CLEAN
    world.checks.evidence = BAD
    world.clock.advance(days=30)
    decision = await world.decide()
    assert (decision.reason, decision.standing) == ("known", Standing.KNOWN)


async def test_an_allowlisted_stranger_is_trusted() -> None:
    world = World(ALLOWED)
    assert (await world.decide()).reason == "trusted"
    assert world.store.records[TRIPLET].status is Status.TRUSTED


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (Check.DNSBL, "dnsbl"),
        (Check.HELO, "helo"),
        (Check.DYNAMIC, "dynamic"),
        (Check.SENDER_IS_RECIPIENT, "sender-is-recipient"),
        (Check.SPF, "spf"),
    ],
)
async def test_the_finding_that_tips_it_is_the_reason(check: Check, reason: str) -> None:
    assert (await World({check: Finding(2, "")}).decide()).reason == reason


async def test_a_retry_before_the_wait_is_over_is_early() -> None:
    """attempts + 1 and a longer wait, unless the attempt before is less than cache_valid ago."""
    world = World(greylist_period="5m", greylist_penalty="1m", cache_valid="60s", reject_msg="%(wait)s")
    assert await world.answer() == Action(DEFER, "300")
    world.clock.advance(seconds=30)
    assert await world.answer() == Action(DEFER, "270")
    assert world.store.records[TRIPLET].attempts == 0
    world.clock.advance(seconds=60)
    assert await world.answer() == Action(DEFER, str(300 + 60 - 90))
    assert world.store.records[TRIPLET].attempts == 1
    assert (await world.decide()).reason == "early"


async def test_the_wait_has_a_longest() -> None:
    world = World(greylist_period="5m", greylist_penalty="100m", greylist_max="10m", cache_valid="0")
    await world.answer()
    world.clock.advance(minutes=1)
    await world.answer()
    world.clock.advance(minutes=9)
    assert (await world.answer()).verb == DEFER, "the wait must be over, not just reached"
    world.clock.advance(microseconds=1)
    assert (await world.answer()).verb == "PREPEND"


async def test_a_triplet_that_waited_passes_with_the_header_and_is_known() -> None:
    world = World()
    await world.answer()
    world.clock.advance(minutes=5, microseconds=1)
    action = await world.answer()
    assert action.verb == "PREPEND"
    assert action.text.startswith("X-Greylist: delayed 300 seconds by bley-3")
    assert action.text.endswith(" at mx.example.org; Mon, 23 Nov 2026 12:05:00 +0000")
    assert world.store.records[TRIPLET].status is Status.CLEAN
    assert await world.answer(instance="3c.4d") == Action("DUNNO")


async def test_the_header_is_given_once_for_each_message() -> None:
    """The second recipient of the same instance waited too, but the message has its header already."""
    world = World()
    for recipient in ("b@example.org", "c@example.org"):
        await world.answer(recipient=recipient)
    world.clock.advance(minutes=6)
    verbs = [(await world.answer(recipient=recipient)).verb for recipient in ("b@example.org", "c@example.org")]
    assert verbs == ["PREPEND", "DUNNO"]


async def test_without_instance_every_recipient_gets_the_header() -> None:
    """Exim's recipes do not send it: better twice than never."""
    world = World()
    for recipient in ("b@example.org", "c@example.org"):
        await world.answer(recipient=recipient)
    world.clock.advance(minutes=6)
    for recipient in ("b@example.org", "c@example.org"):
        assert (await world.answer(recipient=recipient, instance="")).verb == "PREPEND"


async def test_an_empty_header_setting_means_none() -> None:
    world = World(greylist_header="")
    await world.answer()
    world.clock.advance(minutes=6)
    assert await world.answer() == Action("DUNNO")


async def test_a_client_that_waited_is_remembered_as_good() -> None:
    world = World()
    await world.answer()
    world.clock.advance(minutes=6)
    await world.answer()
    assert (await world.decide(recipient="c@example.org")).reason == "client-good"


async def test_a_client_just_judged_is_not_judged_again() -> None:
    """Within cache_valid; what it sends is recorded, so that its clock starts at its first attempt."""
    world = World(cache_valid="60s")
    await world.answer()
    world.clock.advance(seconds=59)
    decision = await world.decide(recipient="c@example.org")
    assert (decision.reason, decision.defers, decision.wait) == ("client-bad", True, timedelta(minutes=5))
    assert replace(TRIPLET, recipient="c@example.org") in world.store.records
    assert world.checks.asked == 1
    world.clock.advance(seconds=1)
    await world.answer(recipient="d@example.org")
    assert world.checks.asked == 2


async def test_a_good_client_s_next_triplet_is_recorded_as_clean() -> None:
    world = World(ALLOWED)
    await world.answer()
    assert (await world.decide(recipient="c@example.org")).reason == "client-good"
    assert world.store.records[replace(TRIPLET, recipient="c@example.org")].status is Status.CLEAN


async def test_an_answer_from_memory_does_not_prolong_the_memory() -> None:
    """Who sends all the time is judged again after cache_valid: a list may name him by now."""
    world = World(GOOD, cache_valid="60s")
    for number in range(5):
        await world.answer(recipient=f"r{number}x@example.org")
        world.clock.advance(seconds=30)
    assert world.checks.asked == 3


async def test_a_known_triplet_is_answered_without_the_store_and_refreshed_once_an_hour() -> None:
    world = World(GOOD)
    await world.answer()
    first = world.clock.now
    world.clock.advance(minutes=30)
    await world.answer()
    assert isinstance(world.service.answer(REQUEST), Action)
    assert world.store.records[TRIPLET].last_seen == first
    world.clock.advance(minutes=61)
    assert not isinstance(answer := world.service.answer(REQUEST), Action)
    assert await answer == Action("DUNNO")
    assert world.store.records[TRIPLET].last_seen == world.clock.now


async def test_a_greylisted_record_older_than_purge_bad_days_is_a_stranger_s() -> None:
    world = World(purge_bad_days="10d")
    await world.answer()
    world.clock.advance(days=10, seconds=1)
    decision = await world.decide()
    assert (decision.reason, decision.standing) == ("helo", Standing.NEW)
    assert world.store.records[TRIPLET].first_seen == world.clock.now


async def test_observe_answers_dunno_and_keeps_the_books(log: pytest.LogCaptureFixture) -> None:
    world = World(mode="observe")
    assert await world.answer() == Action("DUNNO")
    assert world.store.records[TRIPLET].status is Status.GREYLISTED
    assert log.messages[0] == (
        "action=would-defer, reason=new, client_name=unknown, client_address=198.51.100.7, sender=a@example.com, "
        "recipient=b@example.org, why=helo, helo=2, wait=300, instance=1a.2b"
    )


async def test_a_json_log(log: pytest.LogCaptureFixture) -> None:
    world = World(log_format="json")
    await world.answer()
    assert json.loads(log.messages[0])["evidence"] == {"helo": 2}


@pytest.mark.parametrize(("on_store_error", "verb"), [("pass", "DUNNO"), ("defer", DEFER)])
async def test_a_store_that_is_away(on_store_error: str, verb: str, log: pytest.LogCaptureFixture) -> None:
    """on_store_error decides; a deferral is told to the store when it is back."""
    world = World(on_store_error=on_store_error)
    world.store.is_away = True
    assert (await world.answer()).verb == verb
    assert "reason=store-error" in log.messages[0] or "why=store-error" in log.messages[0]
    assert [sighting.triplet for sighting in world.store.later] == ([TRIPLET] if verb == DEFER else [])


async def test_a_deferral_that_was_not_recorded_is_not_given() -> None:
    """The store goes away between reading and writing."""
    world = World()
    await world.answer()
    world.clock.advance(seconds=1)

    class Leaving(FakeChecks):
        async def gather(self, request: Request, address: Address) -> Evidence:
            world.store.is_away = True
            return BAD

    world.service.reconfigure(world.configuration, Leaving(BAD))
    assert await world.answer(client_address="192.0.2.1") == Action("DUNNO")


async def test_a_bug_is_answered_dunno_and_shows_its_traceback(log: pytest.LogCaptureFixture) -> None:
    """Both where the answer comes at once and where it comes later."""

    class Broken(FakeChecks):
        async def gather(self, request: Request, address: Address) -> Evidence:
            raise ZeroDivisionError

    world = World()
    world.service.reconfigure(world.configuration, Broken(BAD))
    assert await world.answer() == Action("DUNNO")
    world.service.reconfigure(replace(world.configuration, clients=None), world.checks)  # type: ignore[arg-type]
    assert world.service.answer(REQUEST) == Action("DUNNO")
    tracebacks = [record.exc_info[0] for record in log.records if record.exc_info]
    assert tracebacks == [ZeroDivisionError, AttributeError]


async def test_a_reload_changes_the_settings_and_keeps_the_memories() -> None:
    world = World(GOOD)
    await world.answer()
    world.reload(rfc_threshold="0", cache_valid="0")
    assert isinstance(world.service.answer(REQUEST), Action)
    assert (await world.answer(recipient="c@example.org")).verb == DEFER


async def test_smart_takes_a_pool_for_one_client() -> None:
    """The registered domain of a verified name that does not look dynamic, else the network."""
    world = World()
    assert (await world.decide(client_name="o1.sg.example.com")).triplet == replace(TRIPLET, client="example.com")
    assert (await world.decide(client_name="198-51-100-7.dsl.example.com")).triplet == TRIPLET
    assert (await world.decide(client_address="2001:db8:1:2:3::4")).triplet == replace(
        TRIPLET, client="2001:db8:1:2::/64"
    )


class TestListsOwnWords:
    """Why lists name a deferred client: fetched and logged behind the answer."""

    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        world = World(BLOCKED)
        yield world
        await world.service.close()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def told(self, log: pytest.LogCaptureFixture) -> list[str]:
        return [line for line in log.messages if "list_says" in line]

    async def test_a_deferral_by_blocklists_logs_them(self, world: World, log: pytest.LogCaptureFixture) -> None:
        assert (await world.answer()).verb == DEFER
        assert self.told(log) == [], "the answer waits for nobody"
        await self.settle()
        assert "why=dnsbl" in log.messages[0]
        assert log.messages[1:] == [
            f"listed_by={name}, client_address=198.51.100.7, list_says=see 198.51.100.7"
            for name in ("bl.example", "bl2.example")
        ]

    async def test_in_json_too(self, world: World, log: pytest.LogCaptureFixture) -> None:
        world.reload(log_format="json")
        await world.answer()
        await self.settle()
        assert [json.loads(line)["list_says"] for line in self.told(log)] == ["see 198.51.100.7"] * 2

    async def test_retries_and_further_mail_of_that_client_do_not_ask_again(self, world: World) -> None:
        await world.answer()
        assert (await world.decide()).reason == "early"
        await world.answer()
        assert (await world.decide(recipient="c@example.org")).reason == "client-bad"
        await world.answer(recipient="d@example.org")
        await self.settle()
        assert world.checks.explained == 1

    @pytest.mark.parametrize(
        ("evidence", "reason"),
        [
            (BAD, "helo"),
            ({Check.DNSWL: Finding(1, "", NAMED)}, "trusted"),
            ({Check.DNSWL: Finding(1, "", NAMED), Check.DNSBL: Finding(2, "", NAMED)}, "trusted"),
            (GOOD, "clean"),
        ],
    )
    async def test_no_other_answer_asks_for_them(
        self, world: World, log: pytest.LogCaptureFixture, evidence: Evidence, reason: str
    ) -> None:
        world.checks.evidence = evidence
        await world.answer()
        await self.settle()
        assert f"={reason}, " in log.messages[0]
        assert (world.checks.explained, self.told(log)) == (0, [])

    async def test_a_deferral_that_could_not_be_recorded_does_not_ask(self, world: World) -> None:
        world.store.is_away = True
        world.reload(on_store_error="defer")
        assert (await world.answer()).verb == DEFER
        await self.settle()
        assert world.checks.explained == 0

    async def test_for_so_many_clients_at_once_and_no_more(
        self, world: World, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
    ) -> None:
        """The others are deferred all the same."""
        monkeypatch.setattr(service_module, "_TELLING", 2)
        world.checks.may_explain.clear()
        for number in range(5):
            assert (await world.answer(client_address=f"192.0.{number}.1")).verb == DEFER
            await self.settle()
        assert world.checks.explained == 2
        world.checks.may_explain.set()
        await self.settle()
        assert len(self.told(log)) == 2 * 2
        await world.answer(client_address="192.0.99.1")
        await self.settle()
        assert world.checks.explained == 3

    async def test_close_gives_them_up(self, world: World, log: pytest.LogCaptureFixture) -> None:
        world.checks.may_explain.clear()
        await world.answer()
        await self.settle()
        await world.service.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert self.told(log) == []
