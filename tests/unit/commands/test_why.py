"""Why a mail was deferred, and what became of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from bley.commands.why import build_report
from bley.core.exemptions.list_files import read_mail_addresses
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, SenderExemptions
from bley.core.findings import FindingKind
from bley.core.greylist import Record, Status
from bley.core.history.outcome import OutcomeKind
from bley.core.history.search import StoredDecision
from bley.core.mail import Triplet
from bley.settings.file import Configuration
from bley.settings.sections import Section
from bley.settings.settings import Settings
from tests.fakes import NOON, FakeHistory

MINUTE = timedelta(minutes=1)
CONFIGURATION = Configuration(None, Settings(), MailExemptions(), ClientExemptions(), SenderExemptions())
JANE, JOE = (Triplet("192.0.2.0/24", "a@example.com", f"{name}@example.org") for name in ("jane", "joe"))


def _decision(number: int, at: timedelta, reason: str, triplet: Triplet, **details: Any) -> StoredDecision:
    words = "192.0.2.1", "unknown", "friend", triplet.sender, triplet.recipient, f"instance.{number}", "4XyZ"
    outcome = "pass" if reason in ("waited", "clean") else "greylist"
    details = {"triplet": list(triplet), **details}
    return StoredDecision(str(number), NOON + at, outcome, reason, *words, details)


HELO = {"helo": {"score": 2, "detail": "friend is not the client's name"}}
WAITED = _decision(4, 7 * MINUTE, "waited", JANE, delay_seconds=420.0, first_seen=NOON.isoformat())
HISTORY = FakeHistory(
    [
        WAITED,
        _decision(3, MINUTE, "early", JANE, wait_seconds=300, standing="early"),
        _decision(2, MINUTE, "helo", JOE, wait_seconds=300, findings=HELO),
        _decision(1, 0 * MINUTE, "helo", JANE, wait_seconds=300, findings=HELO, standing="new"),
    ],
    {
        JANE: Record(Status.CLEAN, NOON, NOON + 7 * MINUTE),
        JOE: Record(Status.GREYLISTED, NOON + MINUTE, NOON + MINUTE),
    },
)


OTHERS = ", ".join(kind for kind in FindingKind if kind.row.check is None)


async def test_each_deferral_has_its_sequel() -> None:
    """One came back, another has not; a pass has none."""
    report = await build_report(HISTORY, CONFIGURATION, "a@example.com", 20, NOON + 8 * MINUTE)
    found = [each.outcome and each.outcome.kind for each in report.decisions]
    assert found == [None, OutcomeKind.PASSED, OutcomeKind.DUE, OutcomeKind.PASSED]
    assert [record.status for _, record in report.records] == [Status.CLEAN, Status.GREYLISTED]


async def test_the_pass_is_found_beyond_what_is_shown() -> None:
    """And although what was looked for does not fit it."""
    report = await build_report(HISTORY, CONFIGURATION, "instance.1", 1, NOON + 8 * MINUTE)
    assert report.decisions[0].steps == [
        ("when", "2026-11-23 12:00:00 UTC"),
        ("request", "unknown [192.0.2.1], HELO friend, from <a@example.com> to <jane@example.org>"),
        ("triplet", "client 192.0.2.0/24, sender <a@example.com>, recipient <jane@example.org>"),
        ("standing", "new"),
        ("helo", "2  friend is not the client's name"),
        *((check, "-  not asked") for check in ("dyn", "s_eq_r", "spf", "dnsbl", "dnswl")),
        ("others", f"0  {OTHERS}"),
        ("verdict", "defer, reason helo; a retry passes after 300 s"),
        ("log", "instance=instance.1, queue_id=4XyZ"),
        ("then", "had to wait 5 min; passed on a retry at 2026-11-23 12:07:00 UTC, 7 min after the first attempt"),
        ("attempts", "2026-11-23 12:00:00 UTC  helo: deferred; a retry passes after 5 min (this one)"),
        (
            "",
            "2026-11-23 12:01:00 UTC  early: deferred again, since it came too early; a retry passes after 5 min",
        ),
        ("", "2026-11-23 12:07:00 UTC  waited: passed, delayed for 7 min"),
    ]
    assert report.decisions[0].advice[0].entry == "example.com"


async def test_all_decisions_of_a_mail_have_its_story() -> None:
    """The newest one tells it; each has the evidence of the deferral, and its advice."""
    report = await build_report(HISTORY, CONFIGURATION, "jane@example.org", 20, NOON + 8 * MINUTE)
    waited, early, helo = report.decisions
    told = waited.steps[-11:]
    assert told[:4] == [
        ("attempts", "2026-11-23 12:00:00 UTC  helo: deferred; a retry passes after 5 min"),
        ("", "2026-11-23 12:01:00 UTC  early: deferred again, since it came too early; a retry passes after 5 min"),
        ("", "2026-11-23 12:07:00 UTC  waited: passed, delayed for 7 min (this one)"),
        ("evidence", "of the deferral, 2026-11-23 12:00:00 UTC, reason helo:"),
    ]
    assert told[4] == ("helo", "2  friend is not the client's name")
    assert early.steps[-1] == helo.steps[-1] == ("attempts", "as above, 2026-11-23 12:07:00 UTC")
    assert [each.entry for each in waited.delay_advice] == [each.entry for each in early.advice]
    assert early.advice == helo.advice
    assert not early.delay_advice


async def test_the_document_has_the_story() -> None:
    report = await build_report(HISTORY, CONFIGURATION, "jane@example.org", 20, NOON + 8 * MINUTE)
    waited, early, helo = (each.document for each in report.decisions)
    assert waited["sequel"] is None
    assert early["sequel"] == helo["sequel"] == waited["story"]["outcome"]
    assert waited["story"] == early["story"]
    assert helo["story"] == early["story"] | {"evidence": {}}
    assert [each["number"] for each in waited["story"]["attempts"]] == ["1", "3", "4"]
    assert waited["story"]["attempts"][2] == {
        "number": "4",
        "at": "2026-11-23T12:07:00+00:00",
        "outcome": "pass",
        "reason": "waited",
        "text": "passed, delayed for 7 min",
    }
    assert (waited["story"]["deferral"], waited["story"]["judgment"]) == ("1", None)
    assert waited["story"]["evidence"] == {"1": HELO}
    assert waited["delay_advice"] == helo["advice"]


async def test_the_wait_is_that_of_the_section() -> None:
    """The section of the decision, and that of the record's recipient."""
    section = Section("slow", "joe@", read_mail_addresses([("", "joe@")]), {"greylist_period": 60 * MINUTE})
    deferral = _decision(1, 0 * MINUTE, "helo", JOE, wait_seconds=3600, section="slow")
    history = FakeHistory([deferral], {JOE: Record(Status.GREYLISTED, NOON, NOON)})
    configuration = replace(CONFIGURATION, sections=(section,))
    report = await build_report(history, configuration, "joe@example.org", 20, NOON + 8 * MINUTE)
    steps = dict(report.decisions[0].steps)
    assert steps["rules"] == "[recipients slow]"
    assert steps["then"].startswith("had to wait 1 h; still waiting, 52 min left")
    assert [report.describe_record(*each).rpartition(", ")[2] for each in report.records] == ["52 min left"]
    assert report.document["records"][0]["left_seconds"] == 52 * 60
    assert report.document["decisions"][0]["section"] == "slow"


async def test_records_say_how_long_they_wait() -> None:
    words = "greylisted, first seen 2026-11-23 12:01:00 UTC, last seen 2026-11-23 12:01:00 UTC, 0 early retries"
    for after, rest, left in (
        (3 * MINUTE, "3 min left", 180.0),
        (8 * MINUTE, "the wait is over", 0.0),
        (timedelta(days=11), "expired: a stranger again", 0.0),
    ):
        report = await build_report(HISTORY, CONFIGURATION, "joe@example.org", 20, NOON + after)
        assert [report.describe_record(*each) for each in report.records] == [f"{words}, {rest}"]
        assert report.document["records"][0]["left_seconds"] == left


async def test_nothing() -> None:
    report = await build_report(HISTORY, CONFIGURATION, "nobody@example.net", 20, NOON)
    assert report.is_empty
    assert report.empty_notice.startswith(
        "nothing is stored about nobody@example.net: decisions are deleted after 30 d (log_days)"
    )
    assert report.document["decisions"] == []


async def test_a_search_that_did_not_come_to_its_end_says_so() -> None:
    history = FakeHistory()
    history.unfinished = "7"
    report = await build_report(history, CONFIGURATION, "::/0", 20, NOON)
    assert not report.is_whole
    assert not report.document["is_whole"]
    assert (
        report.partial_notice == "there may be more: the search stopped after 10 s; a more exact query takes less time"
    )
    assert (await build_report(HISTORY, CONFIGURATION, "::/0", 20, NOON)).document["is_whole"]
