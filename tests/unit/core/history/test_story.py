"""The story of a mail."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from bley.core.greylist import Record, Status, Timing
from bley.core.history.attempts import FIRST_READ, Attempts
from bley.core.history.outcome import OutcomeKind
from bley.core.history.search import StoredDecision
from bley.core.history.story import Story, build_story
from tests.fakes import NOON

MINUTE = timedelta(minutes=1)
TIMING = Timing()
WAITING = Record(Status.GREYLISTED, NOON, NOON)


def _decision(number: int, minutes: float, reason: str = "helo", outcome: str = "", **details: Any) -> StoredDecision:
    words = "192.0.2.1", "mx.example.com", "friend", "john@example.com", "jane@example.org", "", ""
    outcome = outcome or ("greylist" if reason in ("helo", "early", "client-bad") else "pass")
    triplet = ["example.com", "john@example.com", "jane@example.org"]
    return StoredDecision(
        str(number), NOON + minutes * MINUTE, outcome, reason, *words, {"triplet": triplet, **details}
    )


DEFERRAL = _decision(1, 0, wait_seconds=300)
EARLY = _decision(2, 1, "early", wait_seconds=300)
WAITED = _decision(3, 7, "waited", first_seen=NOON.isoformat(), delay_seconds=420)
KNOWN = _decision(4, 600, "known", first_seen=NOON.isoformat())
ALL = [DEFERRAL, EARLY, WAITED, KNOWN]


def _story(
    decision: StoredDecision, attempts: Sequence[StoredDecision], record: Record | None = None, **more: Any
) -> Story:
    found = Attempts(attempts, len(attempts))._replace(**more)
    return build_story(decision, found, record, TIMING, NOON + 700 * MINUTE)


def _told(story: Story) -> list[tuple[str, str]]:
    return [(line.decision.number if line.decision else "", line.words) for line in story.lines]


@pytest.mark.parametrize("decision", ALL, ids=lambda each: each.reason)
def test_each_decision_of_a_mail_has_the_same_story(decision: StoredDecision) -> None:
    story = _story(decision, ALL)
    assert _told(story) == [
        ("1", "deferred; a retry passes after 5 min"),
        ("2", "deferred again, since it came too early; a retry passes after 5 min"),
        ("3", "passed, delayed for 7 min"),
        ("4", "passed"),
    ]
    assert story.deferral == DEFERRAL
    assert story.outcome
    assert (story.outcome.kind, story.outcome.delay) == (OutcomeKind.PASSED, 7 * MINUTE)
    assert [source for _, source in story.sources] == ([] if decision is DEFERRAL else [DEFERRAL])


def test_a_decision_that_the_index_lacks_is_part_of_it() -> None:
    """Known mail from memory has no key, nor have decisions of an older bley."""
    assert [number for number, _ in _told(_story(KNOWN, ALL[:3]))] == ["1", "2", "3", "4"]


def test_a_mail_that_passed_at_once_has_none() -> None:
    clean = _decision(1, 0, "clean")
    assert _story(clean, [clean]) == Story(clean, [])
    assert _story(clean, []) == Story(clean, [])


def test_an_exempt_retry_names_the_entry() -> None:
    exempt = _decision(2, 3, "exempt-sender", entry="whitelist_senders:3:example.com")
    story = _story(exempt, [DEFERRAL, exempt], WAITING)
    assert _told(story)[1] == ("2", "passed by exempt-sender (whitelist_senders:3:example.com)")
    assert story.outcome
    assert (story.outcome.kind, story.outcome.delay) == (OutcomeKind.LET_THROUGH, 3 * MINUTE)


def test_an_operator_s_release_is_part_of_it() -> None:
    released, known = _decision(2, 2, "released"), _decision(3, 4, "known")
    story = _story(released, [DEFERRAL, released, known], Record(Status.CLEAN, NOON, NOON))
    assert [words for _, words in _told(story)[1:]] == ["the operator let it pass at its next attempt", "passed"]
    assert story.outcome
    assert (story.outcome.passed_by, story.outcome.delay) == ("`bley pass`", 4 * MINUTE)


def test_in_observe_mode_everything_would_have_been() -> None:
    deferral, early = DEFERRAL._replace(outcome="would-defer"), EARLY._replace(outcome="would-defer")
    story = _story(WAITED, [deferral, early, WAITED])
    assert [words for _, words in _told(story)] == [
        "would have been deferred, but passed",
        "would have been deferred again, since it came too early, but passed",
        "passed, and would have been delayed until now, for 7 min",
    ]
    assert story.outcome
    assert story.outcome.kind is OutcomeKind.NOT_CARRIED_OUT


def test_a_later_life_of_the_triplet_has_its_own_deferral() -> None:
    """Its record was forgotten: each decision belongs to the deferral before it."""
    again = _decision(5, 900, wait_seconds=300)
    retry = _decision(6, 901, "early")
    both = [DEFERRAL, EARLY, again, retry]
    assert [_story(each, both).deferral for each in both] == [DEFERRAL, DEFERRAL, again, again]
    assert len(_story(EARLY, both).lines) == 4
    clean = _decision(5, 900, "clean")
    assert _story(clean, [DEFERRAL, clean]).deferral is None


def test_an_early_retry_whose_deferral_is_not_stored_stands_for_it() -> None:
    story = _story(EARLY, [EARLY], WAITING._replace(last_seen=EARLY.at))
    assert (story.deferral, story.sources) == (EARLY, [])


class TestJudgment:
    JUDGED = _decision(0, -1, "helo")

    def test_it_is_a_source_of_mail_of_a_client_that_was_judged_bad(self) -> None:
        bad = _decision(1, 0, "client-bad")
        early = _decision(2, 1, "early")
        story = _story(early, [bad, early], WAITING, judgment=self.JUDGED)
        assert story.sources == [("the deferral", bad), ("the judgment of the client", self.JUDGED)]

    def test_other_deferrals_have_their_own_evidence(self) -> None:
        assert _story(DEFERRAL, [DEFERRAL], judgment=self.JUDGED).judgment is None


class TestManyAttempts:
    def test_the_first_and_the_last_ones_are_shown(self) -> None:
        """And those between that decide the mail, and the decision itself."""
        many = [DEFERRAL, *(_decision(n, n / 100, "early") for n in range(2, 100)), _decision(100, 5.5, "waited")]
        many += [_decision(n, n, "known") for n in range(101, 150)]
        told = _told(_story(many[49], many))
        assert [number for number, _ in told] == [
            *("1", "2", "3", "4", "5", "", "50", "", "100", ""),
            *("143", "144", "145", "146", "147", "148", "149"),
        ]
        assert [words for number, words in told if not number] == [
            f"{number} attempts between" for number in (44, 49, 42)
        ]

    def test_those_that_were_not_read_are_counted(self) -> None:
        read = [DEFERRAL, *(_decision(n, n / 100, "early") for n in range(2, FIRST_READ + 51))]
        told = _told(_story(DEFERRAL, read, WAITING, number=5000))
        assert [words for number, words in told if not number] == [f"{5000 - 12} attempts between"]
