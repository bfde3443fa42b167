"""The outcome of a deferral."""

from datetime import timedelta
from typing import Any

import pytest

from bley.core.greylist import Record, Status, Timing
from bley.core.history.outcome import (
    OutcomeKind,
    deferral_outcome,
    format_duration,
    passes_query,
    possible_triplets,
    united_record,
)
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.mail import Triplet
from bley.core.triplet import TripletRules
from tests.fakes import NOON

TRIPLET = Triplet("example.com", "john@example.com", "jane@example.org")
TIMING = Timing()
MINUTE = timedelta(minutes=1)


def _decision(at: Any = NOON, reason: str = "helo", outcome: str = "greylist", **details: Any) -> StoredDecision:
    words = "192.0.2.1", "mx.example.com", "friend", "john@example.com", "Jane@example.org", "", ""
    return StoredDecision("1", at, outcome, reason, *words, {"triplet": list(TRIPLET), **details})


DEFERRAL = _decision(wait_seconds=300)


def _waited(after: timedelta, first_seen: timedelta = timedelta(0)) -> StoredDecision:
    delay = (after - first_seen).total_seconds()
    since = (NOON + first_seen).isoformat()
    return _decision(NOON + after, "waited", "pass", delay_seconds=delay, first_seen=since)


class TestSequel:
    def test_one_that_came_back(self) -> None:
        """The wait and the delay; the first pass after the deferral belongs to it."""
        found = deferral_outcome(
            DEFERRAL, None, [_waited(30 * MINUTE), _waited(7 * MINUTE)], TIMING, NOON + timedelta(hours=1)
        )
        assert (found.kind, found.wait, found.delay) == (OutcomeKind.PASSED, 5 * MINUTE, 7 * MINUTE)
        words = "had to wait 5 min; passed on a retry at 2026-11-23 12:07:00 UTC, 7 min after the first attempt"
        assert str(found) == words

    def test_passes_before_it_and_of_others_say_nothing(self) -> None:
        other = _waited(MINUTE)._replace(details={"triplet": ["x", "y", "z"]})
        assert deferral_outcome(DEFERRAL, None, [_waited(-MINUTE), other], TIMING, NOON).kind is OutcomeKind.FORGOTTEN

    def test_one_that_came_back_under_another_name(self) -> None:
        """Its record was found under the place of the deferral."""
        other = TRIPLET._replace(client="example.net")
        waited = _waited(7 * MINUTE)
        renamed = waited._replace(details={**waited.details, "triplet": list(other), "places": ["example.com"]})
        found = deferral_outcome(DEFERRAL, None, [renamed], TIMING, NOON)
        assert (found.kind, found.delay) == (OutcomeKind.PASSED, 7 * MINUTE)
        elsewhere = renamed._replace(details={**renamed.details, "places": ["example.net"]})
        assert deferral_outcome(DEFERRAL, None, [elsewhere], TIMING, NOON).kind is OutcomeKind.FORGOTTEN

    def test_one_that_came_back_as_a_stranger(self) -> None:
        """The pass belongs to a later first attempt."""
        assert (
            deferral_outcome(DEFERRAL, None, [_waited(9 * MINUTE, MINUTE)], TIMING, NOON).kind is OutcomeKind.FORGOTTEN
        )

    def test_one_that_is_known_although_nobody_kept_when_it_passed(self) -> None:
        record = Record(Status.CLEAN, NOON, NOON + MINUTE)
        found = deferral_outcome(DEFERRAL, record, [], TIMING, NOON + MINUTE)
        assert (found.kind, str(found)) == (OutcomeKind.PASSED, "had to wait 5 min; has passed since")

    @pytest.mark.parametrize("client", [TRIPLET.client, "192.0.2.0/24"])
    def test_one_that_an_operator_let_pass(self, client: str) -> None:
        """By the record under any place of the client."""
        release = _decision(NOON + MINUTE, "released", "pass", triplet=[client, *TRIPLET[1:]])
        of_another = _decision(NOON, "released", "pass", triplet=[client, "x@example.com", TRIPLET.recipient])
        found = deferral_outcome(
            DEFERRAL, Record(Status.CLEAN, NOON, NOON), [of_another, release], TIMING, NOON + MINUTE
        )
        assert (found.kind, found.passed_at) == (OutcomeKind.RELEASED, NOON + MINUTE)
        words = "had to wait 5 min; passes at its next attempt since 2026-11-23 12:01:00 UTC, by `bley pass`"
        assert str(found) == words

    @pytest.mark.parametrize("reason", ["exempt-client", "exempt-sender", "trusted-network", "store-error"])
    def test_one_that_was_let_through_before_its_wait_was_over(self, reason: str) -> None:
        """The operator exempts it, say. Its record waits on; a later pass after the wait is of another mail."""
        exempt = _decision(NOON + MINUTE, reason, "pass", triplet=None, entry="whitelist_clients:3: example.com")
        record = Record(Status.GREYLISTED, NOON, NOON)
        for passes in ([exempt], [_waited(7 * MINUTE), exempt]):
            found = deferral_outcome(DEFERRAL, record, passes, TIMING, NOON + timedelta(hours=1))
            assert (found.kind, found.passed_at, found.delay) == (OutcomeKind.LET_THROUGH, NOON + MINUTE, MINUTE)
            assert str(found) == (
                "had to wait 5 min; passed before that at 2026-11-23 12:01:00 UTC, 1 min after this attempt, "
                f"by {reason} (whitelist_clients:3: example.com)"
            )

    @pytest.mark.parametrize(
        ("reason", "outcome", "mode"), [("early", "would-defer", "observe"), ("off", "pass", "off")]
    )
    def test_one_that_came_back_in_another_mode(self, reason: str, outcome: str, mode: str) -> None:
        later = _decision(NOON + MINUTE, reason, outcome)
        found = deferral_outcome(DEFERRAL, Record(Status.GREYLISTED, NOON, NOON), [later], TIMING, NOON + MINUTE)
        assert (found.kind, found.passed_by) == (OutcomeKind.LET_THROUGH, f"mode = {mode}")

    @pytest.mark.parametrize(
        "other",
        [
            {"sender": "x@example.com"},
            {"recipient": "x@example.org"},
            {"client_address": "203.0.113.7", "client_name": "mx.example.net"},
            {"outcome": "greylist", "reason": "early"},
            {"at": NOON - MINUTE},
        ],
    )
    def test_exempt_mail_of_others_says_nothing(self, other: dict[str, Any]) -> None:
        exempt = _decision(NOON + MINUTE, "exempt-client", "pass")._replace(**other)
        found = deferral_outcome(DEFERRAL, Record(Status.GREYLISTED, NOON, NOON), [exempt], TIMING, NOON + MINUTE)
        assert found.kind is OutcomeKind.WAITING

    @pytest.mark.parametrize(
        ("client", "address", "name"),
        [
            ("example.com", "198.51.100.7", "mx2.example.com"),
            ("example.com", "192.0.2.1", "unknown"),
            ("192.0.2.0/24", "192.0.2.9", "mx.example.net"),
        ],
    )
    def test_another_host_of_its_pool_is_its_client(self, client: str, address: str, name: str) -> None:
        deferral = _decision(triplet=[client, *TRIPLET[1:]])
        exempt = _decision(NOON + MINUTE, "exempt-client", "pass")._replace(client_address=address, client_name=name)
        found = deferral_outcome(deferral, None, [exempt], TIMING, NOON + MINUTE)
        assert found.kind is OutcomeKind.LET_THROUGH

    def test_one_that_was_forgotten_after_its_release(self) -> None:
        release = _decision(NOON + MINUTE, "released", "pass")
        assert deferral_outcome(DEFERRAL, None, [release], TIMING, NOON + MINUTE).kind is OutcomeKind.FORGOTTEN

    def test_one_that_still_waits(self) -> None:
        record = Record(Status.GREYLISTED, NOON, NOON + 2 * MINUTE, attempts=1)
        found = deferral_outcome(DEFERRAL, record, [], TIMING, NOON + 3 * MINUTE)
        assert (found.kind, found.left) == (OutcomeKind.WAITING, 3 * MINUTE)
        words = "had to wait 5 min; still waiting, 3 min left, last attempt 2026-11-23 12:02:00 UTC"
        assert str(found) == words

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


def test_one_query_looks_for_all() -> None:
    query = passes_query([DEFERRAL._replace(at=NOON + MINUTE), DEFERRAL])
    assert query.reasons >= {"waited", "released", "exempt-client", "off"}
    assert "known" not in query.reasons, "there may be very many"
    assert query == DecisionQuery(reasons=query.reasons, since=NOON, recipients=frozenset(["jane@example.org"]))


def test_a_release_is_found_by_the_recipient_of_the_triplet() -> None:
    """The operator names a record, whose recipient has no extension."""
    query = passes_query([DEFERRAL._replace(recipient="Jane+news@example.org")])
    assert query.recipients == {"jane+news@example.org", "jane@example.org"}


class TestPlaces:
    def test_a_record_may_be_under_the_network(self) -> None:
        network = TRIPLET._replace(client="192.0.2.0/24")
        assert possible_triplets(DEFERRAL, TripletRules()) == [TRIPLET, network]

    def test_a_record_may_be_under_another_domain(self) -> None:
        other = TRIPLET._replace(client="example.net")
        decision = _decision(places=["example.net", "example.com"])
        assert other in possible_triplets(decision, TripletRules())

    def test_none_where_there_is_no_triplet(self) -> None:
        early = DEFERRAL._replace(details={})
        assert possible_triplets(early, TripletRules()) == []

    def test_the_records_in_all_places_count_as_one(self) -> None:
        greylisted, clean = Record(Status.GREYLISTED, NOON, NOON), Record(Status.CLEAN, NOON + MINUTE, NOON + MINUTE)
        assert united_record([greylisted, clean]) == Record(Status.CLEAN, NOON, NOON + MINUTE)
        assert united_record([]) is None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.4, "59 s"), (300, "5 min"), (303, "5 min 3 s"), (7500, "2 h 5 min"), (273600, "3 d 4 h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == shown
