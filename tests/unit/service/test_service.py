"""The nine steps of the decision (design, part 2), with time that is told and evidence that is given."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address
from typing import Self

import pytest

from bley.checks.gather import Gathered
from bley.coalescer import TICK_SECONDS
from bley.core.decision import Decision, DecisionEntry
from bley.core.dnslists.lists import Answer, ListAnswer, Meaning, parse_dns_lists
from bley.core.errors import StoreError
from bley.core.evidence import Evidence, Finding, found
from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders
from bley.core.findings import Check, FindingKind
from bley.core.greylist import Record, Sighting, Standing, Status
from bley.core.mail import LONGEST_VALUE, Action, Address, Request, Triplet
from bley.core.places import Found
from bley.core.policy import Thresholds
from bley.core.relations import is_relation
from bley.core.scores import Scores
from bley.metrics import REGISTRY
from bley.service import service as service_module
from bley.service.rule_set import ChecksOfRules
from bley.service.service import Service
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.store.memory import MemoryStore
from bley.store.rows import decision_row
from tests.counted import counted
from tests.fakes import NOON, FakeClock, raw

pytestmark = pytest.mark.leaps

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
BLOCKED: Evidence = {Check.HELO: Finding(2, "no match"), Check.DNSBL: Finding(2, "listed", NAMED)}
BAD: Evidence = {Check.HELO: Finding(2, "no match")}
GOOD: Evidence = {Check.HELO: Finding(0, "match")}
ALLOWED: Evidence = {Check.HELO: Finding(2, "no match"), Check.DNSWL: Finding(1, "listed")}
DEFER = "DEFER_IF_PERMIT"

SENDERS = "bank.example\nnews@list.example\nspf:mail.example\nnews@f\u00f6tz.example\nnews@strasse.example"


class FakeChecks:
    """Finds what it is told to; counts how often it is asked, and how often why lists name a client."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.asked, self.explained = evidence, 0, 0
        self.may_explain = asyncio.Event()
        self.may_explain.set()
        self.spf, self.spf_asked = Finding(0, "pass"), 0
        self.lists_domain = False
        self.verified = ""
        """The client's name that only the checks find."""

    async def check_spf(self, request: Request, address: Address) -> tuple[Finding, ChecksOfRules]:
        self.spf_asked += 1
        return self.spf, self

    async def check_domains(self, request: Request, address: Address) -> tuple[bool, ChecksOfRules]:
        return self.lists_domain, self

    async def gather(self, request: Request, address: Address) -> Gathered:
        self.asked += 1
        return Gathered(request._replace(client_name=self.verified or request.client_name), self.evidence)

    def judging_by(self, thresholds: Thresholds, scores: Scores) -> Self:
        return self

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        self.explained += 1
        await self.may_explain.wait()
        return {
            check: finding._replace(answers=tuple(each._replace(text=f"see {address}") for each in finding.answers))
            for check, finding in evidence.items()
        }


class AwayStore(MemoryStore):
    """A store that can go away; what it is told then, it is told later."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.later: list[Sighting] = []
        self.asked: list[list[Triplet]] = []
        """The keys of triplets, without those of relations."""

    async def find(self, triplets: Sequence[Triplet], within_seconds: float = 1.0) -> Found:
        self.asked.append(
            [each for each in triplets if each.recipient and each.client not in ("pool", "correspondent")]
        )
        if self.is_away:
            raise StoreError("away")
        return await super().find(triplets, within_seconds)

    async def record(self, sighting: Sighting, within_seconds: float = 1.0) -> None:
        if self.is_away:
            raise StoreError("away")
        await super().record(sighting, within_seconds)

    def record_later(self, sighting: Sighting) -> None:
        if self.is_away:
            self.later.append(sighting)
        else:
            super().record_later(sighting)


class World:
    """A service with all that is around it."""

    def __init__(self, evidence: Evidence = BAD, *, privacy_key: bytes = b"", **settings: object) -> None:
        self.clock, self.checks, self.store = FakeClock(), FakeChecks(evidence), AwayStore()
        self.configuration = Configuration(
            file=None,
            settings=Settings.model_validate(settings),
            recipients=read_mail_addresses([("recipients", "postmaster@\ndirect@example.org")]),
            clients=read_clients([("clients", "partner.example\n203.0.113.0/24")]),
            senders=read_senders([("senders", SENDERS)]),
            privacy_key=privacy_key,
        )
        self.steady: FakeClock | None = None
        self.service = Service(self.configuration, self.store, self.checks, self.clock, "mx.example.org")

    async def answer(self, request: Request = REQUEST, /, **changes: str) -> Action:
        answer = self.service.answer(raw(request._replace(**changes)))
        action = answer if isinstance(answer, Action) else await answer
        await asyncio.sleep(0)  # the next one comes in another turn of the loop
        return action

    def answer_at_once(self, **changes: str) -> Action | None:
        """None: it needs the store, or the DNS."""
        answer = self.service.answer(raw(REQUEST._replace(**changes)))
        if isinstance(answer, Action):
            return answer
        answer.close()
        return None

    async def decide(self, **changes: str) -> Decision:
        return await self.service.decide(REQUEST._replace(**changes))

    def set_clock(self, **duration: float) -> None:
        """Set the system's clock; the one that nobody sets is another from now on."""
        if self.steady is None:
            self.steady = FakeClock()
            self.service = Service(
                self.configuration, self.store, self.checks, self.clock, "mx.example.org", self.steady
            )
        self.clock.advance(**duration)

    def back(self) -> None:
        """The store is back, and is told what it was to be told later."""
        self.store.is_away = False
        for sighting in self.store.later:
            self.store.record_later(sighting)

    @property
    def kept(self) -> list[DecisionEntry]:
        return self.store.decisions

    def switch(self, configuration: Configuration, checks: ChecksOfRules) -> None:
        self.service.switch(self.service.make_rules(configuration, checks))

    def reload(self, **settings: object) -> None:
        self.configuration = replace(self.configuration, settings=Settings.model_validate(settings))
        self.switch(self.configuration, self.checks)


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
        ({"sender": "prvs=0123456789=news@list.example"}, "exempt-sender"),
        ({"sender": "news+tag@f\u00d6tz.example"}, "exempt-sender"),
        ({"sender": "news@xn--ftz-sna.example"}, "exempt-sender"),
    ],
)
@pytest.mark.parametrize("privacy_key", [b"", b"k" * 32], ids=["", "privacy"])
async def test_steps_1_to_4_pass_without_store_or_checks(
    changes: dict[str, str], reason: str, privacy_key: bytes
) -> None:
    """They are answered at once, DUNNO, and nothing is recorded; privacy changes nothing of it."""
    world = World(privacy_key=privacy_key)
    assert world.answer_at_once(**changes) == Action("DUNNO")
    assert (await world.decide(**changes)).reason == reason
    assert not world.store.records
    assert not world.checks.asked


async def test_another_domain_by_case_folding_is_not_exempt() -> None:
    """stra\u00dfe.example and strasse.example have different owners (RFC 5894 7.2)."""
    decision = await World().decide(sender="news+tag@stra\u00dfe.example")
    assert decision.reason.value == "helo"
    assert (await World().decide(sender="news+tag@strasse.example")).reason.value == "exempt-sender"


async def test_a_request_without_protocol_state_is_taken_for_rcpt() -> None:
    """Exim's recipes do not always send it."""
    assert (await World().answer(protocol_state="")).verb == DEFER


async def test_what_is_logged_and_kept_of_a_long_request_is_bounded(log: pytest.LogCaptureFixture) -> None:
    """Whatever a stranger writes; the retry is known again, another sender is another."""
    world = World()
    texts = {name: f"{name}{'a.' * 2500}@long.example" for name in ("sender", "helo_name", "client_name", "queue_id")}
    for sender in (texts["sender"], texts["sender"], f"b{texts['sender']}"):
        assert (await world.answer(**{**texts, "sender": sender})).verb == DEFER
    assert len(world.store.records) == 2
    assert max(len(value) for kept in world.kept for value in kept.decision.request) == LONGEST_VALUE
    assert max(len(message) for message in log.messages) < 6 * LONGEST_VALUE
    assert await world.answer(sender=f"{'a.' * 2500}@bank.example") == Action("DUNNO"), "the domain is as it was"


async def test_the_order_of_exemptions() -> None:
    """Recipient before client before sender, and the entry is named by file and line."""
    world = World()
    decision = await world.decide(recipient="direct@example.org", client_address="203.0.113.9", sender="x@bank.example")
    assert (decision.reason, decision.exempted_by) == ("exempt-recipient", "recipients:2:direct@example.org")
    decision = await world.decide(client_address="203.0.113.9", sender="x@bank.example")
    assert decision.exempted_by == "clients:2:203.0.113.0/24"


@pytest.mark.parametrize("recipient", ["", " ", "\t \xa0"])
async def test_a_request_without_a_recipient_is_incomplete(recipient: str) -> None:
    """A recipient of blanks is none: normalised it is empty, and import takes no such record."""
    world = World()
    assert (await world.decide(recipient=recipient)).reason == "incomplete"
    assert not world.store.records


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
    assert world.store.records == {TRIPLET: Record(Status.GREYLISTED, now, now, cause="helo")}


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


@pytest.mark.parametrize(("seconds_ahead", "attempts"), [(0.5, 0), (29, 0), (61, 1)])
async def test_a_clock_that_is_a_little_ahead_makes_no_retry(seconds_ahead: float, attempts: int) -> None:
    """Another node's, say, which saw the same message a moment ago."""
    world = World(cache_valid="60s")
    seen = world.clock.now + timedelta(seconds=seconds_ahead)
    world.store.records[TRIPLET] = Record(Status.GREYLISTED, seen, seen)
    assert (await world.decide()).reason == "early"
    assert world.store.records[TRIPLET].attempts == attempts


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


class TestCause:
    """The record remembers why it was first deferred, until its mail comes back."""

    async def test_it_stays_that_of_the_first_deferral(self) -> None:
        world = World(BAD, cache_valid="0")
        await world.answer()
        world.checks.evidence = BLOCKED
        for minutes in (1, 6, 1):
            world.clock.advance(minutes=minutes)
            await world.answer()
        assert [(kept.decision.reason, kept.decision.cause) for kept in world.kept] == [
            ("helo", "helo"),
            ("early", "helo"),
            ("waited", "helo"),
            ("known", ""),
        ]
        assert world.store.records[TRIPLET].cause == "helo"

    async def test_mail_that_comes_back_is_a_metric_by_reason(self) -> None:
        def came_back() -> float:
            return REGISTRY.get_sample_value("bley_came_back_total", {"reason": "helo"}) or 0

        world, before = World(BAD), came_back()
        for minutes in (0, 1, 6, 1):
            world.clock.advance(minutes=minutes)
            await world.answer()
        assert came_back() - before == 1

    async def test_a_client_just_judged_was_judged_for_a_reason(self) -> None:
        world = World(BLOCKED)
        await world.answer()
        decision = await world.decide(recipient="c@example.org")
        assert (decision.reason, decision.cause) == ("client-bad", "dnsbl")
        assert world.store.records[TRIPLET._replace(recipient="c@example.org")].cause == "dnsbl"

    async def test_a_stranger_that_passes_has_none(self) -> None:
        world = World(GOOD)
        await world.answer()
        await world.answer(recipient="c@example.org")
        assert {record.cause for record in world.store.records.values()} == {""}

    async def test_it_is_carried_to_the_place_of_a_name(self) -> None:
        """The client's name was lost at its first attempt; its domain's record has the reason too."""
        world = World(BAD)
        await world.answer()
        world.clock.advance(minutes=6)
        await world.answer(client_name="mx.example.net")
        assert world.store.records[TRIPLET._replace(client="example.net")].cause == "helo"

    async def test_a_record_of_an_older_bley_has_none(self) -> None:
        world = World(BAD)
        world.store.records[TRIPLET] = Record(Status.GREYLISTED, NOON - timedelta(minutes=9), NOON)
        await world.answer()
        assert (world.kept[0].decision.reason, world.kept[0].decision.cause) == ("waited", "")

    async def test_a_stranger_again_is_deferred_for_its_own_reason(self) -> None:
        world = World(BLOCKED)
        world.store.records[TRIPLET] = Record(Status.GREYLISTED, NOON - timedelta(days=20), NOON, cause="helo")
        decision = await world.decide()
        assert (decision.reason, decision.cause) == ("dnsbl", "dnsbl")
        assert world.store.records[TRIPLET].cause == "dnsbl"

    @pytest.mark.parametrize(("classic", "cause"), [("1", "classic"), ("0", "store-error")])
    async def test_other_deferrals_have_theirs(self, classic: str, cause: str) -> None:
        world = World(on_store_error="defer", classic=classic)
        world.store.is_away = classic == "0"
        await world.answer()
        world.back()
        assert (world.kept[0].decision.cause, world.store.records[TRIPLET].cause) == (cause, cause)


async def test_a_client_just_judged_is_not_judged_again() -> None:
    """Within cache_valid; what it sends is recorded, so that its clock starts at its first attempt."""
    world = World(cache_valid="60s")
    await world.answer()
    world.clock.advance(seconds=59)
    decision = await world.decide(recipient="c@example.org")
    assert (decision.reason, decision.defers, decision.wait) == ("client-bad", True, timedelta(minutes=5))
    assert TRIPLET._replace(recipient="c@example.org") in world.store.records
    assert world.checks.asked == 1
    world.clock.advance(seconds=1)
    await world.answer(recipient="d@example.org")
    assert world.checks.asked == 2


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_client_just_judged_is_so_for_the_time_that_passes(days: int) -> None:
    """Not for what the system's clock says, which somebody sets."""
    world = World(GOOD, cache_valid="60s")
    world.set_clock()
    assert world.steady
    await world.answer()
    world.set_clock(days=days)
    assert (await world.decide(recipient="c@example.org")).reason == "client-good"
    world.steady.advance(seconds=60)
    world.checks.evidence = BAD
    assert (await world.decide(recipient="d@example.org")).reason == "helo"


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_known_triplet_is_in_memory_for_the_time_that_passes(days: int) -> None:
    world = World(GOOD)
    world.set_clock()
    assert world.steady
    await world.answer()
    world.set_clock(days=days)
    world.service.expire()
    assert world.answer_at_once() == Action("DUNNO")
    world.steady.advance(hours=1)
    world.service.expire()
    assert world.answer_at_once() is None


@pytest.mark.parametrize("days_back", [0, 1, 400])
async def test_who_was_deferred_by_a_clock_that_was_ahead_passes_after_the_wait(days_back: float) -> None:
    """Counted from the first retry, as long as the clock has not come there again."""
    world = World(cache_valid="60s", reject_msg="%(wait)s")
    await world.answer()
    world.clock.advance(days=-days_back)
    assert int((await world.answer()).text) <= 360
    world.clock.advance(minutes=6, seconds=1)
    assert (await world.decide()).reason == "waited"


async def test_an_incomplete_request_is_warned_of_though_the_clock_is_set_back(log: pytest.LogCaptureFixture) -> None:
    world = World()
    world.set_clock()
    assert world.steady
    await world.answer(recipient="")
    world.set_clock(days=-1)
    world.steady.advance(minutes=1)
    await world.answer(recipient="")
    assert len([line for line in log.messages if line.startswith("no usable")]) == 2


async def test_a_good_client_s_next_triplet_is_recorded_as_clean() -> None:
    world = World(ALLOWED)
    await world.answer()
    assert (await world.decide(recipient="c@example.org")).reason == "client-good"
    assert world.store.records[TRIPLET._replace(recipient="c@example.org")].status is Status.CLEAN


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
    assert world.answer_at_once() == Action("DUNNO")
    assert world.store.records[TRIPLET].last_seen == first
    world.clock.advance(minutes=61)
    world.service.expire()
    assert not isinstance(answer := world.service.answer(raw(REQUEST)), Action)
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
    """on_store_error decides; what came of it is told to the store when it is back."""
    world = World(on_store_error=on_store_error)
    world.store.is_away = True
    assert (await world.answer()).verb == verb
    assert "reason=store-error" in log.messages[0] or "why=store-error" in log.messages[0]
    status = Status.GREYLISTED if verb == DEFER else Status.CLEAN
    lifetimes = world.configuration.settings.lifetimes
    cause = "store-error" if verb == DEFER else ""
    assert world.store.later == [Sighting(TRIPLET, status, world.clock.now, lifetimes, cause=cause)]


async def test_who_passed_while_the_store_was_away_is_known_when_it_is_back() -> None:
    """Else he would be deferred later though his mail came through before."""
    world = World(on_store_error="pass")
    world.store.is_away = True
    assert await world.answer() == Action("DUNNO")
    world.back()
    world.clock.advance(days=1)
    assert (await world.decide()).reason == "known"


async def test_who_was_deferred_while_the_store_was_away_has_waited_when_it_is_back() -> None:
    world = World(on_store_error="defer")
    world.store.is_away = True
    assert (await world.answer()).verb == DEFER
    world.back()
    world.clock.advance(minutes=6)
    assert (await world.answer()).verb == "PREPEND"


async def test_a_pass_while_the_store_is_away_is_not_remembered() -> None:
    """What the store has of it may say something else."""
    world = World(on_store_error="pass")
    world.store.is_away = True
    await world.answer()
    assert world.answer_at_once() is None


async def test_a_deferral_that_was_not_recorded_is_not_given() -> None:
    """The store goes away between reading and writing."""
    world = World()
    await world.answer()
    world.clock.advance(seconds=1)

    class Leaving(FakeChecks):
        async def gather(self, request: Request, address: Address) -> Gathered:
            world.store.is_away = True
            return Gathered(request, BAD)

    world.switch(world.configuration, Leaving(BAD))
    assert await world.answer(client_address="192.0.2.1") == Action("DUNNO")


class TestExemptIfSpfPasses:
    """Of an entry `spf:mail.example`. A pass exempts as any entry does, and nothing else does."""

    FAIL, UNKNOWN = found(FindingKind.SPF_FAIL, "fail"), Finding(None, "no answer in time")
    NONE = found(FindingKind.SPF_NO_PASS, "none")
    SENDERS = ("jane@mail.example", "jane@sub.mail.example", "JANE@Mail.Example", "jane+tag@mail.example")

    @pytest.mark.parametrize("sender", SENDERS)
    async def test_pass(self, sender: str) -> None:
        world = World()
        decision = await world.decide(sender=sender)
        assert (decision.reason.value, decision.exempted_by) == ("exempt-sender", "senders:3:spf:mail.example")
        assert decision.evidence == {Check.SPF: world.checks.spf}
        assert await world.answer(sender=sender) == Action("DUNNO")
        assert (world.checks.asked, world.store.records) == (0, {}), "as for other exempt mail, nothing is recorded"

    @pytest.mark.parametrize("spf", [FAIL, UNKNOWN, NONE])
    async def test_anything_else(self, spf: Finding) -> None:
        """The request is judged, as one of any sender."""
        world = World()
        world.checks.spf = spf
        decision = await world.decide(sender="jane@mail.example")
        assert (decision.reason.value, decision.defers, decision.exempted_by) == ("helo", True, "")

    async def test_an_early_retry_passes_once_spf_does(self) -> None:
        world = World()
        world.checks.spf = self.UNKNOWN
        assert (await world.answer(sender="jane@mail.example")).verb == DEFER
        world.clock.advance(seconds=90)
        early = await world.decide(sender="jane@mail.example")
        assert (early.reason.value, early.evidence) == ("early", {Check.SPF: self.UNKNOWN}), "why it is not exempt"
        world.checks.spf = Finding(0, "pass")
        assert await world.answer(sender="jane@mail.example") == Action("DUNNO")

    async def test_a_bad_client_is_no_obstacle(self) -> None:
        """Step 4 comes before step 8."""
        world = World()
        assert (await world.answer()).verb == DEFER
        assert (await world.decide(sender="jane@mail.example")).reason.value == "exempt-sender"

    async def test_known_mail_is_not_checked_again(self) -> None:
        """Neither in memory nor in the store."""
        world = World(GOOD)
        world.checks.spf = self.FAIL
        assert await world.answer(sender="jane@mail.example") == Action("DUNNO")
        assert world.checks.spf_asked == 1
        assert world.answer_at_once(sender="jane@mail.example") == Action("DUNNO")
        world.service.clear_caches()
        assert await world.answer(sender="jane@mail.example") == Action("DUNNO")
        assert world.checks.spf_asked == 1

    @pytest.mark.parametrize(("spf", "verb"), [(Finding(0, "pass"), "DUNNO"), (FAIL, DEFER)])
    async def test_without_the_store_it_is_exempt_too(self, spf: Finding, verb: str) -> None:
        """As other exempt mail, which does not need the store."""
        world = World(on_store_error="defer")
        world.store.is_away, world.checks.spf = True, spf
        assert (await world.answer(sender="jane@mail.example")).verb == verb

    @pytest.mark.parametrize("sender", ["a@example.com", "jane@notmail.example", ""])
    async def test_other_senders_are_not_checked(self, sender: str) -> None:
        world = World()
        assert (await world.answer(sender=sender)).verb == DEFER
        assert world.checks.spf_asked == 0

    async def test_with_a_privacy_key_the_entry_matches_the_address_in_clear(self) -> None:
        world = World(privacy_key=b"k" * 32)
        world.switch(
            replace(world.configuration, senders=read_senders([("senders", "spf:jane@mail.example")])), world.checks
        )
        assert (await world.decide(sender="jane+tag@mail.example")).reason.value == "exempt-sender"


class TestReloadInFlight:
    """A request finishes by the settings that it began with: decision, answer, line in the log, and what is stored."""

    NEW: Mapping[str, object] = {
        "mode": "observe",
        "log_format": "json",
        "reject_msg": "new words",
        "rfc_threshold": "99",
        "greylist_period": "10",
        "on_store_error": "pass",
    }

    async def test_a_stranger(self, log: pytest.LogCaptureFixture) -> None:
        world = World(reject_msg="old words")

        class Reloading(FakeChecks):
            async def gather(self, request: Request, address: Address) -> Gathered:
                world.reload(**TestReloadInFlight.NEW)
                return Gathered(request, BAD)

        world.switch(world.configuration, Reloading(BAD))
        assert await world.answer() == Action("DEFER_IF_PERMIT", "old words")
        (line,) = [record.getMessage() for record in log.records]
        assert line.startswith("action=greylist, reason=new, ")
        assert ", wait=300, " in line
        assert [kept.outcome for kept in world.kept] == ["greylist"]
        assert await world.answer(client_address="192.0.2.99") == Action("DUNNO"), "this one is decided by the new ones"

    async def test_one_that_finds_the_store_away(self) -> None:
        world = World(on_store_error="defer")
        answer = world.service.answer(raw(REQUEST))
        world.store.is_away = True
        world.reload(**self.NEW)
        assert not isinstance(answer, Action)
        assert (await answer).verb == "DEFER_IF_PERMIT"

    async def test_one_that_the_store_knows(self, log: pytest.LogCaptureFixture) -> None:
        """Its line has the form that it had when the request came, whatever the next line's is."""
        world = World(GOOD)
        await world.answer()
        world.service.clear_caches()
        log.clear()
        answer = world.service.answer(raw(REQUEST))
        world.reload(log_format="json")
        assert not isinstance(answer, Action)
        assert await answer == Action("DUNNO")
        await world.answer()
        await asyncio.sleep(2 * TICK_SECONDS)
        first, second = [record.getMessage() for record in log.records]
        assert first.startswith("action=pass, reason=known, ")
        assert json.loads(second)["reason"] == "known"
        assert [kept.decision.reason.value for kept in world.kept] == ["clean", "known", "known"]

    async def test_what_the_store_knows_is_stored_with_its_record(self) -> None:
        """It may be the first attempt after `bley pass`, which the story of the mail shows."""
        world = World(GOOD)
        await world.answer()
        world.service.clear_caches()
        await world.answer()
        await world.answer()
        _, from_store, from_memory = (kept.decision for kept in world.kept)
        assert from_store.reason == from_memory.reason == "known"
        assert from_store.record
        assert from_memory.record is None

    async def test_what_was_known_is_stored_as_it_was_decided(self) -> None:
        """Also when it is exempt a moment later."""
        world = World(GOOD)
        await world.answer()
        assert world.answer_at_once() == Action("DUNNO")
        everybody = read_clients([("clients", "0.0.0.0/0")])
        world.switch(replace(world.configuration, clients=everybody), world.checks)
        assert [kept.decision.reason.value for kept in world.kept] == ["clean", "known"]
        assert world.kept[1].decision.standing is Standing.KNOWN


async def test_a_bug_is_answered_dunno_and_shows_its_traceback(log: pytest.LogCaptureFixture) -> None:
    """Both where the answer comes at once and where it comes later."""

    class Broken(FakeChecks):
        async def gather(self, request: Request, address: Address) -> Gathered:
            raise ZeroDivisionError

    world = World()
    world.switch(world.configuration, Broken(BAD))
    assert await world.answer() == Action("DUNNO")
    world.switch(replace(world.configuration, clients=None), world.checks)  # type: ignore[arg-type]
    assert world.service.answer(raw(REQUEST)) == Action("DUNNO")
    tracebacks = [record.exc_info[0] for record in log.records if record.exc_info]
    assert tracebacks == [ZeroDivisionError, AttributeError]


async def test_last_seen_is_refreshed_however_often_the_triplet_comes_and_however_its_requests_differ() -> None:
    """Else a list that writes with a new VERP address each time would be purged as unseen."""
    world = World(GOOD)
    for number in range(40):
        await world.answer(sender=f"list-{number}-bounce@example.net")
        world.clock.advance(minutes=10)
        world.service.expire()
    (record,) = world.store.records.values()
    assert world.clock.now - record.last_seen < timedelta(hours=2)


async def test_a_reload_changes_the_settings_and_keeps_the_memories() -> None:
    world = World(GOOD)
    await world.answer()
    world.checks.evidence = {Check.HELO: Finding(1, "")}
    world.reload(rfc_threshold="1", cache_valid="0")
    assert isinstance(world.service.answer(raw(REQUEST)), Action)
    assert (await world.answer(recipient="c@example.org")).verb == DEFER


async def test_what_was_known_before_a_reload_is_told_as_the_log_was_then(log: pytest.LogCaptureFixture) -> None:
    """Its line is half made when it is answered."""
    world = World(GOOD)
    await world.answer()
    log.clear()
    assert world.answer_at_once(instance="3c") == Action("DUNNO")
    world.reload(log_format="json")
    assert world.answer_at_once(instance="4d") == Action("DUNNO")
    await asyncio.sleep(2 * TICK_SECONDS)
    before, after = log.messages
    assert before.startswith("action=pass, reason=known, ")
    assert before.endswith(", recipient=b@example.org, instance=3c")
    assert json.loads(after)["instance"] == "4d"


async def test_smart_takes_a_pool_for_one_client() -> None:
    """The registered domain of a verified name that does not look dynamic, else the network."""
    world = World()
    assert (await world.decide(client_name="o1.sg.example.com")).triplet == TRIPLET._replace(client="example.com")
    assert (await world.decide(client_name="198-51-100-7.dsl.example.com")).triplet == TRIPLET
    assert (await world.decide(client_address="2001:db8:1:2:3::4")).triplet == TRIPLET._replace(
        client="2001:db8:1:2::/64"
    )


class TestPlaces:
    """A record may be kept under the client's network, from a time when its name was unknown, or from a predecessor."""

    NAMED = TRIPLET._replace(client="example.com")

    def put(self, world: World, triplet: Triplet, status: Status = Status.CLEAN, minutes_ago: float = 0) -> None:
        seen = world.clock.now - timedelta(minutes=minutes_ago)
        world.store.records[triplet] = Record(status, seen, seen)

    @pytest.mark.parametrize(
        ("changes", "places"),
        [
            pytest.param({}, ["198.51.100.0/24"], id="no name: its network"),
            pytest.param({"client_name": "mx.example.com"}, ["example.com", "198.51.100.0/24"], id="name"),
            pytest.param(
                {"client_address": "2001:db8::1", "client_name": "mx.example.com"},
                ["example.com", "2001:db8::/64"],
                id="IPv6",
            ),
        ],
    )
    async def test_where_it_looks(self, changes: dict[str, str], places: list[str]) -> None:
        world = World()
        await world.decide(**changes)
        assert world.store.asked == [[TRIPLET._replace(client=client) for client in places]]

    async def test_by_address_there_is_one_place(self) -> None:
        world = World(greylist_by="address")
        await world.decide(client_name="mx.example.com")
        assert world.store.asked == [[TRIPLET._replace(client="198.51.100.7")]]

    async def test_what_is_known_of_the_network_is_known_of_the_named_client(self) -> None:
        world = World()
        self.put(world, TRIPLET)
        decision = await world.decide(client_name="mx.example.com")
        assert (decision.reason, decision.triplet) == ("known", self.NAMED)
        assert world.answer_at_once(client_name="mx.example.com") == Action("DUNNO")

    async def test_a_wait_that_began_there_goes_on_under_the_name_and_ends_in_both(self) -> None:
        """No record of it is left that never ends."""
        world = World(cache_valid="0")
        self.put(world, TRIPLET, Status.GREYLISTED, minutes_ago=4)
        began = world.clock.now - timedelta(minutes=4)
        assert (await world.decide(client_name="mx.example.com")).reason == "early"
        assert world.store.records[self.NAMED] == Record(Status.GREYLISTED, began, world.clock.now, 1)
        world.clock.advance(minutes=3)
        decision = await world.decide(client_name="mx.example.com")
        assert (decision.reason, decision.delayed) == ("waited", timedelta(minutes=7))
        assert {place.client: record.status for place, record in world.store.records.items()} == {
            "example.com": Status.CLEAN,
            TRIPLET.client: Status.CLEAN,
        }

    async def test_its_own_record_comes_first(self) -> None:
        world = World()
        self.put(world, self.NAMED, Status.TRUSTED)
        self.put(world, TRIPLET, Status.GREYLISTED)
        decision = await world.decide(client_name="mx.example.com")
        assert decision.record
        assert decision.record.status is Status.TRUSTED

    async def test_who_is_known_by_its_network_does_not_wait_by_its_name(self) -> None:
        world = World()
        self.put(world, self.NAMED, Status.GREYLISTED, minutes_ago=1)
        self.put(world, TRIPLET)
        assert (await world.decide(client_name="mx.example.com")).reason == "known"

    @pytest.mark.parametrize("minutes", [0, 90])
    async def test_a_known_record_is_carried_to_the_domain(self, minutes: int) -> None:
        """With its first attempt, and at once, not only when it would be refreshed."""
        world = World()
        self.put(world, TRIPLET, Status.TRUSTED, minutes_ago=minutes)
        began = world.clock.now - timedelta(minutes=minutes)
        await world.decide(client_name="mx.example.com")
        assert world.store.records[self.NAMED] == Record(Status.TRUSTED, began, world.clock.now)

    async def test_a_name_that_is_lost_does_not_lose_the_record(self) -> None:
        """A reverse lookup fails for a moment: the mail is still known, and the record is refreshed where it is."""
        world = World(GOOD, cache_valid="0")
        assert (await world.decide(client_name="mx.example.com")).reason == "clean"
        world.clock.advance(minutes=90)
        assert (await world.decide()).reason == "known"
        assert world.store.records == {
            self.NAMED: Record(Status.CLEAN, world.clock.now - timedelta(minutes=90), world.clock.now)
        }

    @pytest.mark.parametrize("greylist_by", ["smart", "network"])
    @pytest.mark.parametrize("minutes", [90, pytest.param(0, id="its record is fresh, by mail from another network")])
    async def test_mail_stays_known_for_as_long_as_it_comes_without_its_name(
        self, greylist_by: str, minutes: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A store forgets a domain that nothing taught for `purge_days`, and with it the way to the record."""
        world = World(greylist_by=greylist_by)
        self.put(world, self.NAMED, minutes_ago=minutes)
        world.store.domains[TRIPLET.client]["example.com"] = world.clock.now - timedelta(minutes=90)
        pending = world.service.answer(raw(REQUEST))
        assert not isinstance(pending, Action)
        sightings: list[Sighting] = []
        monkeypatch.setattr(world.store, "record_later", sightings.append)
        assert await pending == Action("DUNNO")
        of_triplets = [each for each in sightings if not is_relation(each.record)]
        assert [(each.triplet, each.network) for each in of_triplets] == [(self.NAMED, TRIPLET.client)]

    @pytest.mark.parametrize("client_name", ["mx.example.com", "unknown"])
    async def test_the_store_is_not_taught_what_it_has_learned_lately(self, client_name: str) -> None:
        """After a restart, all known mail comes without a write, until its record is an hour old."""
        world = World()
        self.put(world, self.NAMED)
        world.store.domains[TRIPLET.client]["example.com"] = world.clock.now
        before = dict(world.store.records)
        for minutes in (59, 0, 0):
            world.clock.advance(minutes=minutes)
            assert (await world.decide(client_name=client_name)).reason == "known"
        assert world.store.records == before
        assert world.store.domains[TRIPLET.client]["example.com"] == world.clock.now - timedelta(minutes=59)

    async def test_a_retry_without_a_name_has_waited(self) -> None:
        world = World(cache_valid="0")
        assert (await world.decide(client_name="mx.example.com")).reason == "helo"
        world.clock.advance(minutes=2)
        assert (await world.decide()).reason == "early"
        world.clock.advance(minutes=6)
        assert (await world.decide()).reason == "waited"
        assert world.store.records[self.NAMED].status is Status.CLEAN
        assert set(world.store.records) == {self.NAMED}

    async def test_a_client_with_two_names_waits_once(self) -> None:
        """Two PTR records of different domains: the MTA reports one at the first attempt, the other at the retry."""
        world = World(cache_valid="0")
        assert (await world.decide(client_name="mx.example.com")).reason == "helo"
        world.clock.advance(minutes=6)
        assert (await world.decide(client_name="mx.example.net")).reason == "waited"
        statuses = {place.client: record.status for place, record in world.store.records.items()}
        assert statuses == {"example.com": Status.CLEAN, "example.net": Status.CLEAN}

    async def test_a_pool_whose_first_host_had_no_name_waits_once(self) -> None:
        world = World(cache_valid="0")
        assert (await world.decide()).reason == "helo"
        world.clock.advance(minutes=6)
        assert (await world.decide(client_name="mx2.example.com", client_address="198.51.100.8")).reason == "waited"
        elsewhere = {"client_name": "mx3.example.com", "client_address": "203.0.114.9"}
        assert (await world.decide(**elsewhere)).reason == "known"

    async def test_a_domain_that_changes_its_network_stays_known(self) -> None:
        """Also when its name is lost there, once any of its mail came from there with its name."""
        world = World(GOOD, cache_valid="0")
        moved = {"client_address": "203.0.114.9"}
        assert (await world.decide(client_name="mx.example.com")).reason == "clean"
        assert (await world.decide(client_name="mx.example.com", **moved)).reason == "known"
        assert (await world.decide(**moved)).reason == "known"

    async def test_known_mail_teaches_the_store_a_network_once_an_hour(self) -> None:
        world = World(GOOD, cache_valid="0")
        await world.decide(client_name="mx.example.com")
        world.store.domains.clear()
        for minutes in (0, 59):
            world.clock.advance(minutes=minutes)
            await world.decide(client_name="mx.example.com")
            assert bool(world.store.domains) is (minutes == 0)
            world.store.domains.clear()
        world.clock.advance(minutes=2)
        await world.decide(client_name="mx.example.com")
        assert world.store.domains == {TRIPLET.client: {"example.com": world.clock.now}}

    async def test_both_families_of_one_domain_are_one_client(self) -> None:
        world = World(GOOD, cache_valid="0")
        other = {"client_address": "2001:db8::1"}
        assert (await world.decide(client_name="mx.example.com")).reason == "clean"
        assert (await world.decide(client_name="mx6.example.com", recipient="b@b.example", **other)).reason == "clean"
        assert (await world.decide(**other)).reason == "known"

    @pytest.mark.parametrize(
        "other", [{"sender": "c@example.com"}, {"recipient": "c@example.org"}, {"client_address": "198.51.101.7"}]
    )
    async def test_another_mail_of_the_network_gains_nothing(self, other: dict[str, str]) -> None:
        world = World(cache_valid="0")
        self.put(world, self.NAMED)
        world.store.domains[TRIPLET.client]["example.com"] = world.clock.now
        assert (await world.decide(**other)).reason == "helo"

    async def test_the_wait_is_that_of_the_earliest_attempt_anywhere(self) -> None:
        world = World(cache_valid="0")
        self.put(world, self.NAMED, Status.GREYLISTED, minutes_ago=1)
        self.put(world, TRIPLET, Status.GREYLISTED, minutes_ago=9)
        assert (await world.decide(client_name="mx.example.com")).reason == "waited"

    async def test_a_stranger_begins_under_its_own_name(self) -> None:
        """Also when an old attempt of the network is found, which does not count any more."""
        world = World()
        self.put(world, TRIPLET, Status.GREYLISTED, minutes_ago=60 * 24 * 11)
        decision = await world.decide(client_name="mx.example.com")
        assert (decision.reason, decision.standing) == ("helo", Standing.NEW)
        assert world.store.records[self.NAMED].first_seen == world.clock.now

    @pytest.mark.parametrize(
        ("sender", "recipient"),
        [("a@example.com", "ANY"), ("ANY@example.com", "ANY"), ("ANY", "ANY")],
    )
    @pytest.mark.parametrize("client_name", ["unknown", "mx.example.com"])
    @pytest.mark.parametrize("privacy_key", [b"", b"k" * 32], ids=["", "privacy"])
    async def test_a_record_for_any_counts_for_each(
        self, sender: str, recipient: str, client_name: str, privacy_key: bytes
    ) -> None:
        """Other greylisters' automatic whitelists; only where the store says that it has such."""
        world = World(privacy_key=privacy_key)
        rules = world.configuration.triplet_rules
        kept_sender = sender if sender.startswith("ANY") else rules.sender(sender)
        self.put(world, Triplet("198.51.100.0/24", kept_sender, recipient))
        world.service.steps.has_wildcards = True
        assert (await world.decide(client_name=client_name)).reason == "known"
        assert (await world.decide(client_name=client_name, recipient="c@example.net")).reason == "known"

    @pytest.mark.parametrize(
        "changes",
        [
            {"client_address": "192.0.2.1"},
            {"sender": "a@example.net"},
            pytest.param({"sender": ""}, id="the null sender is of no domain"),
            pytest.param({"sender": "a@sub.example.com"}, id="a domain below is another"),
        ],
    )
    async def test_but_for_nobody_else(self, changes: dict[str, str]) -> None:
        world = World()
        self.put(world, Triplet("198.51.100.0/24", "ANY@example.com", "ANY"))
        world.service.steps.has_wildcards = True
        assert (await world.decide(**changes)).reason == "helo"

    async def test_unless_the_store_has_such_they_are_not_looked_for(self) -> None:
        world = World()
        self.put(world, Triplet("198.51.100.0/24", "ANY", "ANY"))
        assert (await world.decide()).reason == "helo"
        assert all(triplet.recipient != "ANY" for triplets in world.store.asked for triplet in triplets)

    async def test_the_record_for_any_is_refreshed_as_a_whole(self) -> None:
        """As long as any mail of it comes it is not forgotten."""
        world = World()
        kept = Triplet("198.51.100.0/24", "ANY", "ANY")
        self.put(world, kept, minutes_ago=90)
        world.service.steps.has_wildcards = True
        await world.decide()
        assert world.store.records == {kept: Record(Status.CLEAN, NOON - timedelta(minutes=90), NOON)}


class NamingChecks(FakeChecks):
    """Find a name of the client that the mail server did not find."""

    def __init__(self, evidence: Evidence, name: str) -> None:
        super().__init__(evidence)
        self.name = name

    async def gather(self, request: Request, address: Address) -> Gathered:
        gathered = await super().gather(request, address)
        return gathered._replace(request=request._replace(client_name=self.name))


class TestNameThatOnlyTheChecksFound:
    """The request is decided by it. Its attributes stay those of the mail server."""

    NAMED = TRIPLET._replace(client="example.com")

    def world(self, lists: Mapping[str, str] | None = None, name: str = "mx.example.com") -> World:
        world = World(cache_valid="0")
        clients = read_clients([("clients", (lists or {}).get("clients", ""))])
        world.switch(replace(world.configuration, clients=clients), NamingChecks(BAD, name))
        return world

    async def test_a_stranger_is_recorded_under_its_domain(self, log: pytest.LogCaptureFixture) -> None:
        world = self.world()
        assert (await world.answer()).verb == DEFER
        assert set(world.store.records) == {self.NAMED}
        (kept,) = world.kept
        assert kept.decision.request == REQUEST
        assert kept.decision.verified_name == "mx.example.com"
        (line,) = [record.getMessage() for record in log.records]
        assert "client_name=unknown, " in line
        assert ", verified_name=mx.example.com, " in line

    async def test_a_record_of_its_domain_counts(self) -> None:
        world = self.world()
        world.store.records[self.NAMED] = Record(Status.CLEAN, NOON, NOON)
        decision = await world.decide()
        assert (decision.reason, decision.triplet, decision.request) == ("known", self.NAMED, REQUEST)

    async def test_a_cached_record_of_its_domain_counts(self) -> None:
        world = self.world()
        world.store.records[self.NAMED] = Record(Status.CLEAN, NOON, NOON)
        await world.decide(client_name="mx.example.com")
        world.store.asked.clear()
        decision = await world.decide(client_address="192.0.2.1")
        assert (decision.reason, decision.standing) == ("known", Standing.KNOWN)
        assert [[triplet.client for triplet in asked] for asked in world.store.asked] == [["192.0.2.0/24"]]

    async def test_a_record_of_its_network_counts_if_the_name_shows_no_server(self) -> None:
        """The name of an access line groups no client: its triplet stays that of the network."""
        world = self.world(name="192-0-2-1.dsl.example.com")
        assert (await world.decide()).reason == "helo"
        assert set(world.store.records) == {TRIPLET}
        assert len(world.store.asked) == 1

    async def test_an_exemption_of_its_name_counts(self) -> None:
        decision = await self.world({"clients": "example.com"}).decide()
        assert (decision.reason, decision.exempted_by) == ("exempt-client", "clients:1:example.com")
        assert (decision.request, decision.verified_name) == (REQUEST, "mx.example.com")


class TestForget:
    """Somebody made the store forget something: what is remembered of it here would be wrong."""

    async def test_known_triplets_are_looked_up_again(self) -> None:
        world = World(GOOD)
        await world.answer()
        assert world.answer_at_once() == Action("DUNNO")
        world.store.records.clear()
        world.service.clear_caches()
        world.checks.evidence = BAD
        assert (await world.answer()).verb == DEFER

    @pytest.mark.parametrize("evidence", [GOOD, BAD])
    async def test_clients_are_judged_again(self, evidence: Evidence) -> None:
        world = World(evidence)
        await world.answer()
        world.service.clear_caches()
        await world.answer(recipient="c@example.org")
        assert world.checks.asked == 2


class TestDecisionEntries:
    """Every decision goes to the store, for statistics and searches."""

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"protocol_state": "DATA"}, "not-rcpt"),
            ({"recipient": ""}, "incomplete"),
            ({"sasl_username": "jane"}, "authenticated"),
            ({"client_address": "127.0.0.1"}, "trusted-network"),
            ({"recipient": "postmaster@example.net"}, "exempt-recipient"),
            ({"client_address": "203.0.113.9"}, "exempt-client"),
            ({"sender": "x@bank.example"}, "exempt-sender"),
        ],
    )
    async def test_those_of_steps_1_to_4(self, changes: dict[str, str], reason: str) -> None:
        world = World()
        await world.answer(**changes)
        assert [(kept.decision.reason, kept.outcome) for kept in world.kept] == [(reason, "pass")]

    async def test_those_of_a_triplet_s_life(self) -> None:
        """Each with the instant of its request."""
        world = World(cache_valid="30s")
        for minutes in (0, 1, 6, 1):
            world.clock.advance(minutes=minutes)
            await world.answer()
        assert [(kept.decision.reason, kept.outcome, kept.at - NOON) for kept in world.kept] == [
            ("helo", "greylist", timedelta(minutes=0)),
            ("early", "greylist", timedelta(minutes=1)),
            ("waited", "pass", timedelta(minutes=7)),
            ("known", "pass", timedelta(minutes=8)),
        ]

    @pytest.mark.parametrize(
        ("evidence", "reasons"),
        [
            (GOOD, ["clean", "client-good"]),
            (ALLOWED, ["trusted", "client-good"]),
            (BAD, ["helo", "client-bad"]),
            ({Check.SPF: Finding(2, "")}, ["spf", "client-bad"]),
            ({Check.DYNAMIC: Finding(2, "")}, ["dynamic", "client-bad"]),
            ({Check.SENDER_IS_RECIPIENT: Finding(2, "")}, ["sender-is-recipient", "client-bad"]),
            ({Check.DNSBL: Finding(2, "")}, ["dnsbl", "client-bad"]),
        ],
    )
    async def test_those_of_strangers(self, evidence: Evidence, reasons: list[str]) -> None:
        world = World(evidence)
        await world.answer()
        await world.answer(recipient="c@example.org")
        assert [kept.decision.reason for kept in world.kept] == reasons
        assert set(world.kept[0].details["findings"]) == {check.value for check in evidence}

    @pytest.mark.parametrize(("on_store_error", "outcome"), [("pass", "pass"), ("defer", "greylist")])
    async def test_those_without_the_store(self, on_store_error: str, outcome: str) -> None:
        world = World(on_store_error=on_store_error)
        world.store.is_away = True
        await world.answer()
        assert [(kept.decision.reason, kept.outcome) for kept in world.kept] == [("store-error", outcome)]

    async def test_that_of_a_bug(self, log: pytest.LogCaptureFixture) -> None:
        world = World()
        world.switch(replace(world.configuration, clients=None), world.checks)  # type: ignore[arg-type]
        await world.answer()
        assert [(kept.decision.reason, kept.outcome) for kept in world.kept] == [("internal-error", "pass")]

    async def test_a_deferral_that_is_only_observed_is_called_so(self) -> None:
        world = World(mode="observe")
        await world.answer()
        assert [kept.outcome for kept in world.kept] == ["would-defer"]

    async def test_that_of_a_listed_client_has_the_lists_own_words(self) -> None:
        """It is kept once, when they are there."""
        world = World(BLOCKED)
        world.checks.may_explain.clear()
        await world.answer()
        await self.settle()
        assert world.kept == []
        world.checks.may_explain.set()
        await self.settle()
        (kept,) = world.kept
        assert (kept.decision.reason, kept.outcome, kept.at) == ("dnsbl", "greylist", NOON)
        assert [each["says"] for each in kept.details["findings"]["dnsbl"]["lists"]] == ["see 198.51.100.7"] * 2

    async def test_when_bley_stops_before_they_are_there_it_is_kept_without(self) -> None:
        world = World(BLOCKED)
        world.checks.may_explain.clear()
        await world.answer()
        await self.settle()
        await world.service.close()
        (kept,) = world.kept
        assert [each["says"] for each in kept.details["findings"]["dnsbl"]["lists"]] == ["", ""]

    async def test_when_too_many_are_told_it_is_kept_without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service_module, "_MOST_EXPLANATIONS", 0)
        world = World(BLOCKED)
        await world.answer()
        assert len(world.kept) == 1

    async def test_to_explain_a_request_keeps_nothing(self) -> None:
        world = World()
        await world.decide()
        assert world.kept == []

    async def test_addresses_are_kept_as_they_came(self) -> None:
        world = World()
        await world.answer(sender="John+Tag@Example.com", recipient="Jane@example.org")
        assert [(kept.sender, kept.recipient) for kept in world.kept] == [("John+Tag@Example.com", "Jane@example.org")]


class TestPrivacy:
    """With a key the store learns of no local part."""

    KEY = b"k" * 32
    REQUEST = REQUEST._replace(sender="Geheim+Zusatz@example.com", recipient="Vertraut+Zusatz@example.org")

    def told(self, world: World) -> str:
        """All that the store was told."""
        rows = [decision_row(kept) for kept in world.kept]
        return f"{list(world.store.records)} {world.store.later} {world.store.asked} {rows}".casefold()

    async def test_nothing_that_is_recorded_or_kept_holds_one(self) -> None:
        """Of any decision on the way of a stranger's mail, of exemptions, and while the store is away."""
        evidence: Evidence = {
            Check.HELO: Finding(2, "friend is no name"),
            Check.SPF: Finding(1, "fail: geheim+zusatz@example.com may not (example.com)"),
        }
        world = World(evidence, privacy_key=self.KEY)
        for minutes in (0, 2, 5, 1):
            world.clock.advance(minutes=minutes)
            await world.answer(self.REQUEST)
        await world.answer(self.REQUEST, recipient="vertraut@example.net")
        await world.answer(self.REQUEST, protocol_state="DATA")
        await world.answer(self.REQUEST, client_address="")
        await world.answer(self.REQUEST, sasl_username="geheim")
        await world.answer(self.REQUEST, sender="geheim@bank.example")
        await world.answer(self.REQUEST, client_address="203.0.113.9")
        world.store.is_away = True
        await world.answer(self.REQUEST, sender="geheim@example.net")
        assert len({kept.decision.reason for kept in world.kept}) == 10
        told = self.told(world)
        for word in ("geheim", "vertraut", "zusatz"):
            assert word not in told
        assert "@example.org" in told, "domains stay"

    async def test_an_exempt_address_is_not_shown_by_its_entry(self) -> None:
        world = World(privacy_key=self.KEY)
        for changes in ({"recipient": "direct@example.org"}, {"sender": "news@list.example"}):
            await world.answer(**changes)
        assert [kept.details["entry"] for kept in world.kept] == ["recipients:2", "senders:2"]
        assert not re.search(r"direct|news", self.told(world))

    async def test_decisions_and_records_have_the_same_hash(self) -> None:
        """So that one finds the other."""
        world = World(privacy_key=self.KEY)
        await world.answer()
        (kept,), (triplet,) = world.kept, world.store.records
        assert (kept.sender, kept.recipient) == (triplet.sender, triplet.recipient)
        assert kept.details["triplet"] == [triplet.client, triplet.sender, triplet.recipient]

    async def test_mail_is_decided_as_without(self) -> None:
        """A retry is a retry, the null sender is null."""
        world = World(privacy_key=self.KEY)
        await world.answer(sender="")
        world.clock.advance(minutes=6)
        assert (await world.answer(sender="", recipient="B+tag@Example.org")).verb == "PREPEND"
        assert [kept.sender for kept in world.kept] == ["", ""]

    async def test_the_log_is_not_changed(self, log: pytest.LogCaptureFixture) -> None:
        """Postfix's own has the addresses too."""
        world = World(privacy_key=self.KEY)
        await world.answer()
        assert "sender=a@example.com, recipient=b@example.org" in log.messages[0]


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
        world.checks.may_explain.clear()
        assert (await world.answer()).verb == DEFER
        assert self.told(log) == [], "the answer waits for nobody"
        world.checks.may_explain.set()
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
        monkeypatch.setattr(service_module, "_MOST_EXPLANATIONS", 2)
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


class TestMetrics:
    @pytest.mark.parametrize(
        ("evidence", "requests", "paths"),
        [
            (BAD, 1, {"checks": 1}),
            (BAD, 3, {"checks": 1, "store": 2}),
            (GOOD, 3, {"checks": 1}),
        ],
        ids=["stranger", "early", "known from memory"],
    )
    async def test_how_long_an_answer_took_is_counted_by_who_had_to_be_asked(
        self, evidence: Evidence, requests: int, paths: dict[str, float]
    ) -> None:
        """What is answered at once is the connection's to measure."""
        world = World(evidence)
        with counted("bley_answer_seconds_count") as measured:
            for _ in range(requests):
                await world.answer()
        assert measured == paths

    @pytest.mark.parametrize("evidence", [BAD, GOOD])
    async def test_the_client_s_memory_is_a_path_of_its_own(self, evidence: Evidence) -> None:
        world = World(evidence)
        await world.answer()
        with counted("bley_answer_seconds_count") as measured, counted("bley_cache_hits_total") as hits:
            await world.answer(recipient="other@example.org")
        assert (measured, hits) == ({"client": 1}, {"clients": 1})

    async def test_so_is_what_fails(self) -> None:
        world = World()
        world.store.is_away = True
        with counted("bley_answer_seconds_count") as measured:
            await world.answer()
        assert measured == {"failed": 1}

    async def test_what_is_remembered_is_told_and_what_is_found_there_counted(self) -> None:
        world = World(GOOD)
        assert world.service.cache_entries == {"triplets": 0, "requests": 0, "clients": 0}
        with counted("bley_cache_hits_total") as hits:
            for _ in range(5):
                await world.answer()
            await world.service.close()
        assert world.service.cache_entries == {"triplets": 1, "requests": 1, "clients": 1}
        assert hits == {"triplets": 1, "requests": 3}
