"""The attempts of a mail, and the keys by which a store finds them."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest

from bley.core.decision import Decision, DecisionEntry
from bley.core.greylist import Record, Status
from bley.core.history.attempts import (
    NO_KEY,
    AttemptsQuery,
    attempts_query,
    key_of,
    possible_triplets,
    united_record,
)
from bley.core.history.search import StoredDecision
from bley.core.mail import Request, Triplet
from bley.core.reasons import Reason
from bley.core.triplet import TripletRules
from tests.fakes import NOON

TRIPLET = Triplet("example.com", "john@example.com", "jane@example.org")
NETWORK = TRIPLET._replace(client="192.0.2.0/24")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LOG_DAYS = 30 * DAY
REQUEST = Request("RCPT", "", "192.0.2.1", "mx.example.com", "friend", "John@example.com", "Jane@example.org")


def _entry(at: datetime = NOON, triplet: Triplet | None = TRIPLET, reason: Reason = Reason.HELO) -> DecisionEntry:
    return DecisionEntry(at, "greylist", Decision(REQUEST, reason, triplet=triplet), REQUEST.sender, REQUEST.recipient)


def _decision(at: datetime = NOON, reason: str = "helo", outcome: str = "greylist", **details: Any) -> StoredDecision:
    words = "192.0.2.1", "mx.example.com", "friend", "John@example.com", "Jane@example.org", "", ""
    return StoredDecision("1", at, outcome, reason, *words, {"triplet": list(TRIPLET), **details})


def _query(decision: StoredDecision, record: Record | None = None, now: datetime = NOON + 2 * DAY) -> AttemptsQuery:
    return attempts_query(decision, [TRIPLET, NETWORK], record, now, LOG_DAYS, MINUTE)


class TestKeys:
    @pytest.mark.parametrize("triplet", [TRIPLET, NETWORK])
    @pytest.mark.parametrize("age", [timedelta(0), 4 * timedelta(hours=1), DAY, 2 * DAY])
    def test_those_of_a_query_are_those_of_its_attempts(self, triplet: Triplet, age: timedelta) -> None:
        assert key_of(_entry(NOON + age, triplet)) in _query(_decision()).keys

    def test_a_decision_without_a_triplet_has_that_of_its_addresses(self) -> None:
        """The client has logged in since, say."""
        assert key_of(_entry(triplet=None, reason=Reason.AUTHENTICATED)) in _query(_decision()).keys

    def test_others_have_others(self) -> None:
        keys = _query(_decision(standing="new")).keys
        for other in (TRIPLET._replace(sender=""), TRIPLET._replace(client="example.net")):
            assert key_of(_entry(triplet=other)) not in keys
        assert key_of(_entry(NOON - DAY)) not in keys

    def test_known_mail_from_memory_has_none(self) -> None:
        """Its rows cost no entry of the index. From the store it may be the first attempt after `bley pass`."""
        entry = _entry(reason=Reason.KNOWN)
        assert key_of(entry) == NO_KEY
        record = Record(Status.CLEAN, NOON, NOON)
        assert key_of(entry._replace(decision=entry.decision._replace(record=record))) != NO_KEY

    @pytest.mark.parametrize("year", [1, 1969, 2026, 2400, 9999])
    def test_every_database_takes_them(self, year: int) -> None:
        """Whatever the clock says: they are positive and have 63 bits."""
        assert 0 < key_of(_entry(NOON.replace(year=year))) < 2**63

    def test_they_grow_with_time(self) -> None:
        """An index of them is written at its end."""
        later = [key_of(_entry(NOON + hours * timedelta(hours=4))) for hours in range(100)]
        assert later == sorted(later)

    def test_their_number_is_bounded(self) -> None:
        """The latest ones count. A year has 2,190 blocks of four hours."""
        query = AttemptsQuery(frozenset(TRIPLET._replace(client=str(n)) for n in range(40)), NOON - 365 * DAY, NOON)
        assert len(query.keys) == 10_000
        assert query.keys == sorted(query.keys)


class TestFits:
    @pytest.mark.parametrize(
        "other",
        [
            {"details": {"triplet": list(TRIPLET._replace(sender="x@example.com"))}},
            {"details": {}, "client_address": "192.0.2.9"},
            {"details": {}, "recipient": "x@example.org"},
            {"at": NOON - DAY},
        ],
    )
    def test_attempts_of_other_mails_do_not(self, other: dict[str, Any]) -> None:
        assert not _query(_decision()).fits(_decision()._replace(**other))

    @pytest.mark.parametrize("details", [{"triplet": list(TRIPLET)}, {"triplet": list(NETWORK)}, {}])
    def test_those_under_all_places_do(self, details: dict[str, Any]) -> None:
        assert _query(_decision()).fits(_decision(NOON + DAY)._replace(details=details))


class TestStart:
    @pytest.mark.parametrize(
        ("decision", "record"),
        [
            (_decision(standing="new"), None),
            (_decision(standing="new", first_seen=(NOON - 12 * DAY).isoformat()), None),
            (_decision(NOON + MINUTE, "early", first_seen=NOON.isoformat()), None),
            (_decision(NOON + DAY, "waited", "pass", first_seen=NOON.isoformat()), None),
            (_decision(NOON + DAY, "exempt-client", "pass"), Record(Status.GREYLISTED, NOON, NOON)),
        ],
        ids=["deferral", "of-an-expired-record", "early", "waited", "exempt"],
    )
    def test_it_is_the_first_attempt_as_decision_or_record_have_it(
        self, decision: StoredDecision, record: Record | None
    ) -> None:
        query = _query(decision, record)
        assert query.since == NOON
        assert query.judgment
        assert query.judgment.until == NOON

    def test_without_that_all_stored_decisions_are_searched(self) -> None:
        query = _query(_decision(NOON, "exempt-client", "pass"))
        assert (query.since, query.judgment) == (NOON + 2 * DAY - LOG_DAYS, None)

    def test_older_ones_are_deleted(self) -> None:
        known = _decision(NOON, "known", "pass", first_seen=(NOON - 100 * DAY).isoformat())
        assert _query(known).since == NOON + 2 * DAY - LOG_DAYS


class TestJudgment:
    FINDINGS: ClassVar = {"helo": {"score": 2, "detail": "friend"}}

    def test_another_mail_of_the_client_was_judged(self) -> None:
        query = _query(_decision(reason="client-bad", standing="new")).judgment
        assert query
        other = _decision(NOON - MINUTE, findings=self.FINDINGS, triplet=["example.com", "x@a.example", "y@b.example"])
        assert query.fits(other)
        for wrong in (
            other._replace(at=NOON - 2 * MINUTE),
            other._replace(at=NOON + MINUTE),
            other._replace(outcome="pass"),
            other._replace(reason="client-bad"),
            other._replace(details={**other.details, "section": "slow"}),
            other._replace(details={**other.details, "triplet": ["example.net", *TRIPLET[1:]]}),
        ):
            assert not query.fits(wrong)

    def test_it_has_the_reason_that_the_others_have_as_their_cause(self) -> None:
        """Of two senders of one server, a domain list may have judged one, and SPF the other."""
        query = _query(_decision(reason="client-bad", standing="new", cause="domain-list dbl.example")).judgment
        assert query
        assert query.fits(_decision(NOON - MINUTE, "domain-list", findings=self.FINDINGS))
        assert not query.fits(_decision(NOON - MINUTE, "spf", findings=self.FINDINGS))

    def test_a_cause_of_another_bley_is_unknown(self) -> None:
        query = _query(_decision(reason="client-bad", standing="new", cause="whatever")).judgment
        assert query
        assert query.fits(_decision(NOON - MINUTE, "spf", findings=self.FINDINGS))


class TestPlaces:
    def test_a_record_may_be_under_the_network(self) -> None:
        assert possible_triplets(_decision(), TripletRules()) == [TRIPLET, NETWORK]

    def test_a_record_may_be_under_another_domain(self) -> None:
        other = TRIPLET._replace(client="example.net")
        assert other in possible_triplets(_decision(places=["example.net", "example.com"]), TripletRules())

    def test_none_where_there_is_no_triplet(self) -> None:
        assert possible_triplets(_decision()._replace(details={}), TripletRules()) == []

    def test_the_records_in_all_places_count_as_one(self) -> None:
        greylisted, clean = Record(Status.GREYLISTED, NOON, NOON), Record(Status.CLEAN, NOON + MINUTE, NOON + MINUTE)
        assert united_record([greylisted, clean]) == Record(Status.CLEAN, NOON, NOON + MINUTE)
        assert united_record([]) is None
