"""The page of `bley report`: the answer first, then the figures, within 80 columns."""

from dataclasses import replace

import pytest

from bley.checks.lists.report import ListReport
from bley.commands.report.page import Report
from bley.commands.stats import gather_statistics
from bley.commands.stats_period import parse_period
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, SenderExemptions
from bley.core.history.statistics import Count
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from tests.fakes import NOON, FakeHistory
from tests.unit.commands.report.test_senders import senders

CONFIGURATION = Configuration(None, Settings(web_listen=""), MailExemptions(), ClientExemptions(), SenderExemptions())


def _counts(start: int, **numbers: int) -> dict[Count, int]:
    return {Count(60, start, *name.split("__")): number for name, number in numbers.items()}


async def report(numbers: dict[str, int], *, is_compared: bool = False, observes: bool = False) -> Report:
    """Return the report on the last hour, with these counts at noon."""
    start = int(NOON.timestamp())
    counts = _counts(start, **numbers)
    if is_compared:
        counts |= _counts(start - 4020, pass__known=900, pass__waited=100, greylist__helo=500)
        counts |= _counts(start - 86400, pass__known=1)
    found = await gather_statistics(FakeHistory(counts=counts), CONFIGURATION, parse_period("1h", "", NOON), NOON)
    return Report(replace(found, lists=[]), "mx1", observes, senders(observes=observes))


ENFORCED = {
    "pass__known": 900,
    "pass__waited": 100,
    "greylist__helo": 1400,
    "delay__600": 70,
    "delay__3600": 30,
}
OBSERVED = {"pass__known": 900, "pass__waited": 100, "would-defer__helo": 1400, "delay__600": 70, "delay__3600": 30}


async def test_the_answer_comes_first() -> None:
    lines = (await report(ENFORCED)).lines
    assert lines[0].startswith("bley on mx1, from 2026-11-23 11:00:00 UTC")
    assert " ".join(lines[3:5]).startswith(
        "1,300 of 1,400 deferred mails (92.9%) did not come back. "
        "100 came back, 10.0% of all mail that passed, half within 10 min."
    )
    assert any(line.startswith("helo") for line in lines)


async def test_an_observing_bley_says_what_it_would_have_done() -> None:
    """No word claims that mail was deferred or came back."""
    found = await report(OBSERVED, observes=True)
    text = " ".join(" ".join(found.lines).split())
    assert "1,400 mails would have been deferred, and 900 would have passed at once." in text
    assert "100 mails came again after the wait, half within 10 min" in text
    assert "would be deferred for" in text
    assert "did not come back" not in text
    assert found.subject == "bley on mx1, 1 h: 1400 mails would have been deferred, 100 came again"


async def test_the_period_before_stands_beside_this_one() -> None:
    found = await report(ENFORCED, is_compared=True)
    assert "10.0% of all mail that passed (before: 10.0%)" in " ".join(found.lines)
    assert any(line.split() == ["deferred", "1400", "500", "+180.0%"] for line in found.lines)
    assert found.document["before"]["first_deferrals"] == 500


async def test_another_mode_before_is_no_comparison_of_shares() -> None:
    found = await report(OBSERVED, is_compared=True, observes=True)
    assert "before:" not in found.sentences[0]


@pytest.mark.parametrize("numbers", [ENFORCED, OBSERVED, {}])
async def test_it_fits_into_80_columns(numbers: dict[str, int]) -> None:
    for is_compared in (False, True):
        found = await report(numbers, is_compared=is_compared, observes=numbers is OBSERVED)
        assert max(map(len, found.lines)) <= 80


@pytest.mark.parametrize("observes", [False, True])
async def test_nothing_came(*, observes: bool) -> None:
    """That is no sign of a mail server without spam, but of one that does not query bley."""
    lines = (await report({}, observes=observes)).lines
    assert "nothing was counted" in " ".join(lines[:2])
    assert "No request came in this time: bley doctor examines whether the mail server" in lines
    assert not any("deferred" in line for line in lines)
    assert not any("by reason" in line for line in lines)


async def test_faults_are_named_with_their_remedy() -> None:
    """Of the store, of bley itself, and of the DNS lists as they are now."""
    found = await report({"pass__known": 5, "pass__store-error": 3, "pass__internal-error": 1})
    ill = ListReport(
        name="bl.example", setting="dnsbls", entries="bl.example", state="ill", state_ipv6="ill", since="",
        what="it lists everything: remove it", last_error="", last_error_at=None, answers={}, median_seconds=None,
        p95_seconds=None,
    )  # fmt: skip
    found = replace(found, statistics=replace(found.statistics, lists=[ill]))
    assert found.faults == [
        "3 requests decided without the store, by on_store_error: see the log",
        "1 request answered after a bug, whose traceback is in the log: please report it",
        "bl.example is ill: it lists everything: remove it",
    ]
    assert "Faults:" in found.lines
    unknown = replace(found, statistics=replace(found.statistics, lists="no answer"))
    assert unknown.faults[-1] == "the health of the DNS lists is not known: no answer"


async def test_all_is_well() -> None:
    assert (await report(ENFORCED)).lines[-1] == "Nothing was wrong: store and DNS lists are well."


async def test_the_senders_whose_mail_came_back_have_a_place_of_their_own() -> None:
    found = await report(ENFORCED)
    named = replace(found, senders=senders({"example.net": 40}))
    assert "mail that came back, by sender  came back  of all  median delay" in named.lines
    assert "  bley allow --sender example.net" in named.lines
    assert [each["domain"] for each in named.document["senders"]] == ["example.net"]
    assert not any("by sender" in line for line in found.lines)
