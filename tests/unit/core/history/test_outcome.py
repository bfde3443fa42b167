"""The outcome of a deferral."""

from datetime import timedelta
from typing import Any

import pytest

from bley.core.greylist import Record, Status, Timing
from bley.core.history.outcome import (
    OutcomeKind,
    deferral_outcome,
    format_duration,
)
from bley.core.history.search import StoredDecision
from bley.core.mail import Triplet
from tests.fakes import NOON

TRIPLET = Triplet("example.com", "john@example.com", "jane@example.org")
TIMING = Timing()
MINUTE = timedelta(minutes=1)


def _decision(at: Any = NOON, reason: str = "helo", outcome: str = "greylist", **details: Any) -> StoredDecision:
    words = "192.0.2.1", "mx.example.com", "friend", "john@example.com", "Jane@example.org", "", ""
    return StoredDecision(str(at), at, outcome, reason, *words, {"triplet": list(TRIPLET), **details})


DEFERRAL = _decision(wait_seconds=300)


def _waited(after: timedelta, first_seen: timedelta = timedelta(0)) -> StoredDecision:
    delay = (after - first_seen).total_seconds()
    since = (NOON + first_seen).isoformat()
    return _decision(NOON + after, "waited", "pass", delay_seconds=delay, first_seen=since)


class TestSequel:
    def test_one_that_came_back(self) -> None:
        """The wait and the delay; the first pass after the deferral belongs to it."""
        found = deferral_outcome(
            DEFERRAL, None, [DEFERRAL, _waited(7 * MINUTE), _waited(30 * MINUTE)], TIMING, NOON + timedelta(hours=1)
        )
        assert (found.kind, found.wait, found.delay) == (OutcomeKind.PASSED, 5 * MINUTE, 7 * MINUTE)
        words = "had to wait 5 min; passed on a retry at 2026-11-23 12:07:00 UTC, 7 min after the first attempt"
        assert str(found) == words

    def test_passes_before_it_say_nothing(self) -> None:
        assert deferral_outcome(DEFERRAL, None, [_waited(-MINUTE)], TIMING, NOON).kind is OutcomeKind.FORGOTTEN

    @pytest.mark.parametrize("reason", ["helo", "clean"])
    def test_a_pass_after_another_first_attempt_is_of_that(self, reason: str) -> None:
        """Its record was forgotten, and a later attempt was a stranger's."""
        again = _decision(NOON + 20 * MINUTE, reason, "greylist" if reason == "helo" else "pass")
        exempt = _decision(NOON + 30 * MINUTE, "exempt-sender", "pass")
        found = deferral_outcome(DEFERRAL, None, [DEFERRAL, again, exempt], TIMING, NOON + timedelta(hours=1))
        assert found.kind is OutcomeKind.FORGOTTEN

    def test_two_nodes_may_see_a_stranger_at_the_same_time(self) -> None:
        other = _decision(NOON + timedelta(milliseconds=3))
        found = deferral_outcome(DEFERRAL, None, [DEFERRAL, other, _waited(7 * MINUTE)], TIMING, NOON + 8 * MINUTE)
        assert (found.kind, found.delay) == (OutcomeKind.PASSED, 7 * MINUTE)

    def test_one_that_came_back_as_a_stranger(self) -> None:
        """The pass belongs to a later first attempt."""
        assert (
            deferral_outcome(DEFERRAL, None, [_waited(9 * MINUTE, MINUTE)], TIMING, NOON).kind is OutcomeKind.FORGOTTEN
        )

    def test_one_that_is_known_although_nobody_kept_when_it_passed(self) -> None:
        record = Record(Status.CLEAN, NOON, NOON + MINUTE)
        found = deferral_outcome(DEFERRAL, record, [], TIMING, NOON + MINUTE)
        assert (found.kind, str(found)) == (OutcomeKind.PASSED, "had to wait 5 min; has passed since")

    def test_one_that_an_operator_let_pass(self) -> None:
        release = _decision(NOON + MINUTE, "released", "pass")
        found = deferral_outcome(DEFERRAL, Record(Status.CLEAN, NOON, NOON), [release], TIMING, NOON + MINUTE)
        assert (found.kind, found.passed_at) == (OutcomeKind.RELEASED, NOON + MINUTE)
        words = "had to wait 5 min; passes at its next attempt since 2026-11-23 12:01:00 UTC, by `bley pass`"
        assert str(found) == words

    def test_one_that_came_after_that(self) -> None:
        release, known = _decision(NOON + MINUTE, "released", "pass"), _decision(NOON + 3 * MINUTE, "known", "pass")
        record = Record(Status.CLEAN, NOON, NOON + 3 * MINUTE)
        found = deferral_outcome(DEFERRAL, record, [DEFERRAL, release, known], TIMING, NOON + 4 * MINUTE)
        assert (found.kind, found.passed_at, found.delay) == (OutcomeKind.LET_THROUGH, known.at, 3 * MINUTE)
        assert str(found).endswith("12:03:00 UTC, 3 min after the first attempt, by `bley pass`")

    def test_one_that_is_known_although_its_pass_is_not_stored(self) -> None:
        known = _decision(NOON + timedelta(hours=1), "known", "pass")
        record = Record(Status.CLEAN, NOON, known.at)
        found = deferral_outcome(DEFERRAL, record, [DEFERRAL, known], TIMING, known.at)
        assert (found.kind, found.passed_at) == (OutcomeKind.PASSED, None)

    @pytest.mark.parametrize("reason", ["exempt-client", "exempt-sender", "trusted-network", "store-error"])
    def test_one_that_was_let_through_before_its_wait_was_over(self, reason: str) -> None:
        """The operator exempts it, say. Its record waits on; a later pass after the wait is of another mail."""
        exempt = _decision(NOON + MINUTE, reason, "pass", triplet=None, entry="whitelist_clients:3: example.com")
        record = Record(Status.GREYLISTED, NOON, NOON)
        for passes in ([exempt], [exempt, _waited(7 * MINUTE)]):
            found = deferral_outcome(DEFERRAL, record, passes, TIMING, NOON + timedelta(hours=1))
            assert (found.kind, found.passed_at, found.delay) == (OutcomeKind.LET_THROUGH, NOON + MINUTE, MINUTE)
            assert str(found) == (
                "had to wait 5 min; passed before that at 2026-11-23 12:01:00 UTC, 1 min after the first attempt, "
                f"by {reason} (whitelist_clients:3: example.com)"
            )

    @pytest.mark.parametrize(
        ("reason", "outcome", "mode"), [("early", "would-defer", "observe"), ("off", "pass", "off")]
    )
    def test_one_that_came_back_in_another_mode(self, reason: str, outcome: str, mode: str) -> None:
        later = _decision(NOON + MINUTE, reason, outcome)
        found = deferral_outcome(DEFERRAL, Record(Status.GREYLISTED, NOON, NOON), [later], TIMING, NOON + MINUTE)
        assert (found.kind, found.passed_by) == (OutcomeKind.LET_THROUGH, f"mode = {mode}")

    def test_one_that_was_forgotten_after_its_release(self) -> None:
        release = _decision(NOON + MINUTE, "released", "pass")
        assert deferral_outcome(DEFERRAL, None, [release], TIMING, NOON + MINUTE).kind is OutcomeKind.FORGOTTEN

    def test_one_that_still_waits(self) -> None:
        record = Record(Status.GREYLISTED, NOON, NOON + 2 * MINUTE, attempts=1)
        found = deferral_outcome(DEFERRAL, record, [], TIMING, NOON + 3 * MINUTE)
        assert (found.kind, found.left) == (OutcomeKind.WAITING, 3 * MINUTE)
        assert found.due_at == NOON + 6 * MINUTE
        assert str(found) == (
            "had to wait 5 min; still waiting, 3 min left, until 2026-11-23 12:06:00 UTC, "
            "last attempt 2026-11-23 12:02:00 UTC"
        )

    def test_one_whose_wait_is_over(self) -> None:
        found = deferral_outcome(DEFERRAL, Record(Status.GREYLISTED, NOON, NOON), [], TIMING, NOON + 6 * MINUTE)
        assert (found.kind, found.left) == (OutcomeKind.DUE, timedelta(0))
        assert str(found).endswith("the wait is over, but there was no retry, last attempt 2026-11-23 12:00:00 UTC")

    @pytest.mark.parametrize(
        "record",
        [
            None,
            Record(Status.GREYLISTED, NOON - timedelta(days=11), NOON),
            Record(Status.GREYLISTED, NOON + MINUTE, NOON + MINUTE),
        ],
        ids=["none", "too-old", "of-a-later-time"],
    )
    def test_one_that_is_forgotten(self, record: Record | None) -> None:
        found = deferral_outcome(DEFERRAL, record, [], TIMING, NOON + 2 * MINUTE)
        assert found.kind is OutcomeKind.FORGOTTEN
        assert "stranger again" in str(found)

    def test_one_that_was_only_logged(self) -> None:
        found = deferral_outcome(DEFERRAL._replace(outcome="would-defer"), None, [], TIMING, NOON)
        assert found.kind is OutcomeKind.NOT_CARRIED_OUT
        assert "observe" in str(found)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.4, "59 s"), (300, "5 min"), (303, "5 min 3 s"), (7500, "2 h 5 min"), (273600, "3 d 4 h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == shown
