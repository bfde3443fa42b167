"""Recipients' own rules: the sections [recipients NAME]."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from bley.checks.gather import Checks
from bley.core.exemptions.list_files import read_mail_addresses
from bley.core.findings import FindingKind
from bley.core.greylist import Status
from bley.core.mail import Triplet
from bley.core.scores import parse_scores
from bley.service.actions import DUNNO
from bley.service.service import Service
from bley.settings.sections import Section
from bley.settings.settings import Settings
from tests.fakes import FakeClock, FakeResolver
from tests.unit.service.test_service import BAD, DEFER, GOOD, REQUEST, TRIPLET, World, log

__all__ = ["log"]

pytestmark = pytest.mark.leaps

MINUTE = timedelta(minutes=1)


def world(
    sections: Mapping[str, tuple[str, Mapping[str, object]]],
    evidence: object = BAD,
    privacy_key: bytes = b"",
    **settings: object,
) -> World:
    """Return a world with sections: by name, their recipients and the values of their settings."""
    made = World(evidence, privacy_key=privacy_key, **settings)  # type: ignore[arg-type]
    add_sections(made, sections)
    return made


def add_sections(made: World, sections: Mapping[str, tuple[str, Mapping[str, object]]]) -> None:
    made.configuration = replace(
        made.configuration,
        sections=tuple(
            Section(name, match, read_mail_addresses([(name, match.replace(", ", "\n"))]), values)
            for name, (match, values) in sections.items()
        ),
    )
    made.switch(made.configuration, made.checks)


OPT_IN: Mapping[str, tuple[str, Mapping[str, object]]] = {"opt-in": ("example.org", {"mode": "enforce"})}


@pytest.mark.parametrize("privacy_key", [b"", b"k" * 32], ids=["", "privacy"])
async def test_opt_in(privacy_key: bytes) -> None:
    """Mail to all other recipients passes, and leaves no record."""
    opt_in = world(OPT_IN, privacy_key=privacy_key, mode="off")
    assert (await opt_in.answer(recipient="x@other.example")) == DUNNO
    decision = await opt_in.decide(recipient="x@other.example")
    assert (decision.reason, decision.section, opt_in.checks.asked) == ("off", "", 0)
    assert not opt_in.store.records
    assert (await opt_in.answer()).verb == DEFER
    assert len(opt_in.store.records) == 1
    assert [entry.details.get("section") for entry in opt_in.kept] == [None, "opt-in"]


async def test_opt_out() -> None:
    opt_out = world({"out": ("jane@example.org, direct@example.net", {"mode": "off"})})
    assert await opt_out.answer(recipient="Jane+news@example.org") == DUNNO
    decision = await opt_out.decide(recipient="jane@example.org")
    assert (decision.reason, decision.section) == ("off", "out")
    assert (await opt_out.answer(recipient="joe@example.org")).verb == DEFER


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipient": "postmaster@example.org"}, "exempt-recipient"),
        ({"recipient": "direct@example.org"}, "exempt-recipient"),
        ({"client_name": "out.partner.example"}, "exempt-client"),
        ({"sender": "x@bank.example"}, "exempt-sender"),
        ({"sasl_username": "jane"}, "authenticated"),
    ],
)
async def test_exemptions_come_before_sections(changes: dict[str, str], reason: str) -> None:
    classic = world({"all": ("example.org", {"classic": True})})
    decision = await classic.decide(**changes)
    assert (decision.reason, decision.section) == (reason, "")


async def test_one_domain_only_observes(log: pytest.LogCaptureFixture) -> None:
    """A deferral is logged and recorded, and passes; a retry passes without a header."""
    observing = world({"trial": ("example.org", {"mode": "observe"})})
    assert await observing.answer() == DUNNO
    assert (await observing.answer(recipient="b@other.example")).verb == DEFER
    first, second = (record.getMessage() for record in log.records)
    assert re.fullmatch("action=would-defer, reason=new, .*, wait=300, section=trial, instance=1a.2b", first)
    assert second.startswith("action=greylist, ")
    assert "section" not in second
    assert [entry.outcome for entry in observing.kept] == ["would-defer", "greylist"]
    observing.clock.advance(seconds=301)
    assert await observing.answer() == DUNNO
    assert log.records[-1].getMessage().startswith("action=pass, reason=waited, ")


async def test_a_wait_of_its_own() -> None:
    patient = world({"finance": ("example.org", {"greylist_period": 15 * MINUTE, "greylist_max": 20 * MINUTE})})
    assert (await patient.decide()).wait == 15 * MINUTE
    patient.clock.advance(minutes=14)
    early = await patient.decide()
    assert (early.reason, early.wait) == ("early", 2 * MINUTE)
    patient.clock.advance(minutes=3)
    assert (await patient.decide()).reason == "waited"
    assert (await patient.decide(recipient="b@other.example")).wait == 5 * MINUTE


async def test_thresholds_of_its_own() -> None:
    tolerant = world({"sales": ("example.org", {"rfc_threshold": 3})})
    assert (await tolerant.decide()).reason == "clean"
    assert (await tolerant.decide(recipient="b@other.example")).reason == "helo"


async def test_a_judgement_of_a_client_holds_for_its_section_only() -> None:
    """The client is good for one section, bad for the others, within `cache_valid`."""
    tolerant = world({"sales": ("sales.example", {"rfc_threshold": 3}), "same": ("same.example", {})})
    recipients = ["b@sales.example", "b@example.org", "b@same.example"]
    assert [(await tolerant.decide(recipient=each)).reason for each in recipients] == ["clean", "helo", "helo"]
    recipients = [recipient.replace("b@", "c@") for recipient in recipients]
    reasons = [(await tolerant.decide(recipient=each)).reason for each in recipients]
    assert reasons == ["client-good", "client-bad", "client-bad"]


async def test_a_client_that_waited_where_mail_is_only_observed_did_not_retry() -> None:
    """So it is good there, and nowhere else."""
    observing = world({"trial": ("example.org", {"mode": "observe"})})
    await observing.answer()
    observing.clock.advance(seconds=301)
    assert (await observing.decide()).reason == "waited"
    assert (await observing.decide(recipient="c@example.org")).reason == "client-good"
    assert (await observing.decide(recipient="c@other.example")).reason == "helo"


class TestClassic:
    async def test_every_stranger_waits_and_no_check_runs(self) -> None:
        classic = world({"plain": ("example.org", {"classic": True})}, GOOD)
        assert (await classic.answer()).verb == DEFER
        decision = await classic.decide(recipient="c@example.org")
        assert (decision.reason, decision.wait, classic.checks.asked) == ("classic", 5 * MINUTE, 0)
        assert (await classic.decide(recipient="c@other.example")).reason == "clean"
        classic.clock.advance(seconds=301)
        assert (await classic.answer()).verb == "PREPEND"
        assert (await classic.decide()).reason == "known"
        assert classic.store.records[TRIPLET].status is Status.CLEAN

    async def test_that_a_client_is_good_makes_no_difference(self) -> None:
        classic = world({"plain": ("example.org", {"classic": True})}, GOOD)
        await classic.answer()
        classic.clock.advance(seconds=301)
        assert (await classic.decide()).reason == "waited"
        assert (await classic.decide(recipient="c@example.org")).reason == "classic"

    async def test_it_can_be_the_rule_for_all(self) -> None:
        classic = world({"clever": ("example.org", {"classic": False})}, GOOD, classic="1")
        assert (await classic.decide(recipient="b@other.example")).reason == "classic"
        assert (await classic.decide()).reason == "clean"


async def test_scores_of_its_own() -> None:
    """The checks of a section count by its scores and query the DNS for its thresholds; the others do not."""
    strict = world({"strict": ("example.org", {"scores": parse_scores("client-has-no-name=2, helo-mismatch=0")})})
    settings = Settings()
    checks = Checks(FakeResolver(), [], [], None, settings.thresholds, settings.check_timeout)
    strict.service = Service(strict.configuration, strict.store, checks, FakeClock(), "mx.example.net")
    assert (await strict.decide()).reason == FindingKind.CLIENT_HAS_NO_NAME.row.name
    assert (await strict.decide(recipient="b@other.example")).reason == "helo"


async def test_known_mail_names_its_section(log: pytest.LogCaptureFixture) -> None:
    """In the log and in the stored decisions, from the cache of triplets and from that of requests too."""
    made = world(OPT_IN, GOOD)
    for _ in range(4):
        assert await made.answer() == DUNNO
    made.service._known.flush()
    reasons = [re.findall("reason=([a-z]+),.*, section=(.*), instance=", each.getMessage()) for each in log.records]
    assert reasons == [[("clean", "opt-in")], *3 * [[("known", "opt-in")]]]
    assert [entry.details["section"] for entry in made.kept] == 4 * ["opt-in"]
    assert made.service.cache_entries["requests"] == 1


async def test_json_names_the_section(log: pytest.LogCaptureFixture) -> None:
    made = world(OPT_IN, GOOD, log_format="json")
    await made.answer()
    await made.answer()
    made.service._known.flush()
    assert [json.loads(record.getMessage())["section"] for record in log.records] == ["opt-in", "opt-in"]


async def test_a_reload_changes_the_sections() -> None:
    """At once, for mail that is cached as known too."""
    made = world(OPT_IN, GOOD)
    await made.answer()
    await made.answer()
    assert made.answer_at_once() == DUNNO
    add_sections(made, {"out": ("example.org", {"mode": "off"})})
    decision = await made.decide()
    assert (decision.reason, decision.section) == ("off", "out")
    assert made.answer_at_once() == DUNNO
    add_sections(made, {})
    assert (await made.decide()).reason == "known"
    assert made.store.records.keys() == {TRIPLET}


async def test_the_triplet_is_that_of_all_sections() -> None:
    """A section changes rules, and not what is known."""
    made = world(OPT_IN, GOOD)
    await made.answer()
    assert made.store.records.keys() == {Triplet(*TRIPLET)}
    add_sections(made, {})
    assert (await made.decide()).reason == "known"


async def test_without_the_store_the_section_decides() -> None:
    made = world({"trial": ("example.org", {"mode": "observe"})}, on_store_error="defer")
    made.store.is_away = True
    assert await made.answer() == DUNNO
    assert (await made.answer(recipient="b@other.example")).verb == DEFER
    assert REQUEST.recipient == "b@example.org"
