"""A decision, and what the store keeps of it."""

import json
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from bley.core.decision import Decision, DecisionEntry, Outcome
from bley.core.dnslists.lists import Answer, ListAnswer, Meaning, parse_dns_lists
from bley.core.evidence import Finding
from bley.core.findings import Check
from bley.core.greylist import Record, Standing, Status
from bley.core.mail import Request, Triplet
from bley.core.reasons import Reason
from tests.fakes import NOON

REQUEST = Request(client_address="192.0.2.1", sender="john@example.com", recipient="jane@example.org")
DECISION = Decision(REQUEST, Reason.CLEAN)
(BL,) = parse_dns_lists(f"{'k' * 26}.zen.dq.spamhaus.net*3")
LISTED = Answer(Meaning.LISTED, (IPv4Address("127.0.0.2"),))


def _kept(decision: Decision, *, is_private: bool = False) -> DecisionEntry:
    return DecisionEntry(NOON, "pass", decision, "s", "r", is_private)


@pytest.mark.parametrize(
    ("defers", "observes", "outcome"),
    [(False, False, "pass"), (False, True, "pass"), (True, False, "greylist"), (True, True, "would-defer")],
)
def test_outcome(defers: bool, observes: bool, outcome: Outcome) -> None:
    """In `mode = observe` no deferral is carried out, and it is called so."""
    assert DECISION._replace(defers=defers).outcome(observes=observes) == outcome


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("helo", "helo"),
        ("dnsbl bl.example", "dnsbl"),
        ("helo-looks-dynamic", "helo-looks-dynamic"),
        ("", ""),
        pytest.param("early", "", id="a reason that repeats another"),
        pytest.param("of-another-bley x", "", id="a reason that this bley does not know"),
    ],
)
def test_the_first_word_of_the_cause_is_a_reason(cause: str, reason: str) -> None:
    assert DECISION._replace(cause=cause).cause_reason == reason


class TestDetails:
    def test_what_is_empty_is_left_out(self) -> None:
        assert _kept(DECISION).details == {}

    def test_a_stranger_s(self) -> None:
        """All findings with what they count, of lists what each answered; a customer's key is not among it."""
        decision = DECISION._replace(
            triplet=Triplet("192.0.2.0/24", "john@example.com", "jane@example.org"),
            standing=Standing.NEW,
            evidence={
                Check.HELO: Finding(2, "no match"),
                Check.SPF: Finding(None, "no answer in time"),
                Check.DNSBL: Finding(3, "", (ListAnswer(BL, LISTED, "see https://example.org/1"),)),
            },
            wait=timedelta(minutes=5),
        )
        assert _kept(decision).details == {
            "triplet": ["192.0.2.0/24", "john@example.com", "jane@example.org"],
            "standing": "new",
            "findings": {
                "helo": {"score": 2, "detail": "no match"},
                "spf": {"score": None, "detail": "no answer in time"},
                "dnsbl": {
                    "score": 3,
                    "lists": [
                        {
                            "list": "********.zen.dq.spamhaus.net",
                            "is": "********.zen.dq.spamhaus.net lists it: "
                            "127.0.0.2 = SBL: source or supporter of spam (weight 3)",
                            "says": "see https://example.org/1",
                            "weight": 3,
                        }
                    ],
                },
            },
            "wait_seconds": 300,
        }

    def test_the_cause_is_stored_where_the_reason_does_not_say_it(self) -> None:
        for reason, cause, stored in (
            (Reason.CLIENT_BAD, "helo", "helo"),
            (Reason.WAITED, "dnsbl bl.example", "dnsbl bl.example"),
            (Reason.DNSBL, "dnsbl bl.example", "dnsbl bl.example"),
            (Reason.HELO, "helo", None),
            (Reason.CLEAN, "", None),
        ):
            assert _kept(Decision(REQUEST, reason, cause=cause)).details.get("cause") == stored

    def test_one_that_waited(self) -> None:
        record = Record(Status.GREYLISTED, NOON - timedelta(minutes=6), NOON, attempts=2)
        decision = DECISION._replace(standing=Standing.WAITED, record=record, delayed=timedelta(minutes=6))
        assert _kept(decision).details == {
            "standing": "waited",
            "first_seen": "2026-11-23T11:54:00+00:00",
            "attempts": 2,
            "delay_seconds": 360,
        }

    @pytest.mark.parametrize(
        ("entry", "private"),
        [
            ("/etc/bley/whitelist_senders:3:jane@example.org", "/etc/bley/whitelist_senders:3"),
            ("built-in:1:postmaster@", "built-in:1"),
            ("senders:3:/^a:b@/", "senders:3"),
        ],
    )
    def test_what_exempted_it(self, entry: str, private: str) -> None:
        """With privacy its place alone: what stands there may be an address."""
        decision = DECISION._replace(exempted_by=entry)
        assert _kept(decision).details == {"entry": entry}
        assert _kept(decision, is_private=True).details == {"entry": private}

    def test_a_name_that_only_bley_found(self) -> None:
        decision = DECISION._replace(verified_name="mx.example.com")
        assert _kept(decision).details == {"verified_name": "mx.example.com"}

    def test_with_privacy_the_domain_s_own_explanation_of_spf_is_left_out(self) -> None:
        """It is the domain's text, in which SPF's macros may put the sender."""
        finding = Finding(1, "fail: john@example.com may not send from 192.0.2.1 (example.com)")
        decision = DECISION._replace(evidence={Check.SPF: finding, Check.HELO: Finding(0, "a: b")})
        assert _kept(decision).details["findings"]["spf"]["detail"] == finding.detail
        assert _kept(decision, is_private=True).details["findings"] == {
            "spf": {"score": 1, "detail": "fail"},
            "helo": {"score": 0, "detail": "a: b"},
        }

    def test_they_are_json(self) -> None:
        decision = DECISION._replace(
            triplet=Triplet("c", "jürgen@example.com", "\\x80@example.org"),
            standing=Standing.EARLY,
            record=Record(Status.GREYLISTED, NOON, NOON, attempts=1),
            evidence={Check.DYNAMIC: Finding(1, "looks dynamic")},
            wait=timedelta(minutes=5),
            delayed=timedelta(seconds=0.5),
        )
        details = _kept(decision).details
        assert json.loads(json.dumps(details)) == details
