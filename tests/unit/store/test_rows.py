"""The rows of instants and decisions, the same on every engine."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bley.core.decision import Decision, DecisionEntry
from bley.core.evidence import Finding
from bley.core.findings import Check
from bley.core.history.attempts import key_of
from bley.core.mail import Request
from bley.core.reasons import Reason
from bley.store.rows import LONGEST_TEXT, decision_row, from_microseconds, microseconds, stored_decision
from tests.fakes import NOON

REQUEST = Request(
    protocol_state="RCPT",
    client_address="192.0.2.1",
    client_name="mx.example.com",
    helo_name="friend",
    sender="John@Example.com",
    recipient="Jane@example.org",
    instance="1a.2b",
    queue_id="4711",
    sasl_username="jane",
)
DECISION = Decision(REQUEST, Reason.HELO, defers=True, evidence={Check.HELO: Finding(2, "jürgen is a “friend”")})
KEPT = DecisionEntry(NOON, "greylist", DECISION, "the sender", "the recipient")


@pytest.mark.parametrize(
    ("instant", "number"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, 0, 0, 1, 2, UTC), 1_000_002),
        (NOON, 1_795_435_200_000_000),
        (datetime.max.replace(tzinfo=UTC), 253_402_300_799_999_999),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), -1),
    ],
)
def test_instants_are_exact_microseconds(instant: datetime, number: int) -> None:
    """No float is involved: it could not distinguish the last microseconds."""
    assert microseconds(instant) == number
    assert from_microseconds(number) == instant
    assert from_microseconds(number).utcoffset() == timedelta(0)


def test_an_instant_of_another_time_zone_is_the_same() -> None:
    assert microseconds(NOON.astimezone(timezone(timedelta(hours=-3.5)))) == microseconds(NOON)


def test_a_decision_s_row() -> None:
    """Sender and recipient are those that may be stored, not those of the request."""
    assert decision_row(KEPT) == {
        "at": microseconds(NOON),
        "outcome": "greylist",
        "reason": "helo",
        "client_address": "192.0.2.1",
        "client_name": "mx.example.com",
        "helo_name": "friend",
        "sender": "the sender",
        "recipient": "the recipient",
        "instance": "1a.2b",
        "queue_id": "4711",
        "details": '{"findings":{"helo":{"score":2,"detail":"jürgen is a “friend”"}}}',
        "node": "",
        "mail": key_of(KEPT),
    }


@pytest.mark.parametrize("letter", ["x", "ü", "🙂"], ids=ascii)
def test_a_text_is_kept_up_to_a_length(letter: str) -> None:
    """Length is in characters, as in MySQL's columns; Postfix may send 2,048 bytes of an address."""
    request = Request(**dict.fromkeys(("client_name", "helo_name", "instance", "queue_id"), letter * 2048))
    row = decision_row(DecisionEntry(NOON, "pass", Decision(request, Reason.CLEAN), letter * 2048, letter * 2048))
    for name in ("client_name", "helo_name", "instance", "queue_id", "sender", "recipient"):
        assert row[name] == letter * LONGEST_TEXT


def test_a_decision_of_an_older_bley_has_no_node() -> None:
    """Redis' stream has entries without that field."""
    row = decision_row(KEPT._replace(node="mx1"))
    assert stored_decision("1", row).node == "mx1"
    del row["node"]
    assert stored_decision("1", row).node == ""


def test_details_of_a_decision_without_any_are_json_too() -> None:
    row = decision_row(DecisionEntry(NOON, "pass", Decision(REQUEST, Reason.KNOWN), "", ""))
    assert json.loads(str(row["details"])) == {}
