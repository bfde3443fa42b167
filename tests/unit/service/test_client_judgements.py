"""For which other mail of a client its latest judgement holds: with domain lists, the domains matter."""

from datetime import timedelta

import pytest

from bley.core.dnslists.lists import ListAnswer, parse_domain_lists
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check
from tests.unit.service.test_service import ALLOWED, BAD, BLOCKED, GOOD, LISTED, World

pytestmark = pytest.mark.leaps

(DBL,) = parse_domain_lists("dbl.example")
SPAM: Evidence = {
    Check.HELO: Finding(0, "match"),
    Check.DOMAIN_LIST: Finding(1, "listed", (ListAnswer(DBL, LISTED, domains=("spam.example",)),)),
}
CLEAN: Evidence = {**GOOD, Check.DOMAIN_LIST: Finding(0, "clear")}
SPAMMER, OTHER = "x@news.spam.example", "jane@example.com"


def world(evidence: Evidence) -> World:
    return World(evidence, domain_lists="dbl.example", cache_valid="60s")


async def test_a_listed_domain_is_no_judgement_about_another_sender_of_the_client() -> None:
    """A mailbox provider's server, say: the next customer's mail is judged by its own domain."""
    own = world(SPAM)
    assert (await own.decide(sender=SPAMMER)).reason == "domain-list"
    own.checks.evidence = CLEAN
    decision = await own.decide(sender=OTHER)
    assert (decision.reason, decision.defers) == ("clean", False)
    assert own.checks.asked == 2


async def test_a_pass_is_no_judgement_about_another_sender_either() -> None:
    """Otherwise a listed domain would pass in the minute after any good mail of the same server."""
    own = world(CLEAN)
    assert (await own.decide(sender=OTHER)).reason == "clean"
    own.checks.evidence = SPAM
    assert (await own.decide(sender=SPAMMER)).reason == "domain-list"


async def test_a_pass_after_a_wait_is_none_either() -> None:
    own = world(BAD)
    await own.decide(sender=OTHER)
    own.clock.advance(minutes=6)
    assert (await own.decide(sender=OTHER)).reason == "waited"
    own.checks.evidence = SPAM
    assert (await own.decide(sender=SPAMMER)).reason == "domain-list"


@pytest.mark.parametrize(
    ("evidence", "reason", "is_deferred"), [(SPAM, "client-bad", True), (CLEAN, "client-good", False)]
)
async def test_the_other_recipients_of_a_mail_cost_no_new_checks(
    evidence: Evidence, reason: str, *, is_deferred: bool
) -> None:
    """Whatever the local part of the sender, as long as its domain has the same owner."""
    own = world(evidence)
    await own.decide(sender=SPAMMER)
    decision = await own.decide(sender="y@spam.example", recipient="c@example.org")
    assert (decision.reason, decision.defers, own.checks.asked) == (reason, is_deferred, 1)
    assert decision.cause == ("domain-list" if is_deferred else "")


async def test_another_helo_name_is_judged_by_its_own_domain() -> None:
    own = world(CLEAN)
    await own.decide(sender=OTHER, helo_name="mx.good.example")
    await own.decide(sender=OTHER, helo_name="mx.spam.example", recipient="c@example.org")
    assert own.checks.asked == 2


@pytest.mark.parametrize(
    ("evidence", "reason"), [(BAD, "client-bad"), (BLOCKED, "client-bad"), (ALLOWED, "client-good")]
)
async def test_what_is_the_client_s_holds_for_all_of_its_mail(evidence: Evidence, reason: str) -> None:
    """Its HELO, its address on a list: no domain makes that better or worse."""
    own = world(evidence)
    await own.decide(sender=OTHER)
    assert (await own.decide(sender=SPAMMER)).reason == reason
    assert own.checks.asked == 1


async def test_a_judgement_of_the_same_domains_comes_before_a_later_one_of_the_client() -> None:
    """The other recipients of good mail pass, though another sender of the server was then found bad."""
    own = world(CLEAN)
    await own.decide(sender=OTHER)
    own.checks.evidence = BAD
    assert (await own.decide(sender=SPAMMER)).defers
    assert (await own.decide(sender=OTHER, recipient="c@example.org")).reason == "client-good"


async def test_it_is_valid_for_cache_valid() -> None:
    own = world(SPAM)
    await own.decide(sender=SPAMMER)
    own.clock.advance(seconds=60)
    assert (await own.decide(sender=SPAMMER, recipient="c@example.org")).reason == "domain-list"


async def test_without_domain_lists_a_judgement_is_the_client_s_whatever_the_domains() -> None:
    own = World(GOOD, cache_valid="60s")
    await own.decide(sender=OTHER)
    assert (await own.decide(sender=SPAMMER, helo_name="mx.spam.example")).reason == "client-good"


async def test_a_retry_passes_after_the_wait_though_the_domain_is_still_listed() -> None:
    """A list delays mail, it never rejects it."""
    own = world(SPAM)
    assert (await own.decide(sender=SPAMMER)).wait == timedelta(minutes=5)
    own.clock.advance(minutes=5, seconds=1)
    assert (await own.decide(sender=SPAMMER)).reason == "waited"
