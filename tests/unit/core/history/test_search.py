"""The matches of one text, as it stands in the log."""

from datetime import timedelta
from typing import Any

import pytest

from bley.core.history.search import DecisionQuery, Search, StoredDecision
from bley.core.mail import Triplet
from bley.core.triplet import TripletRules
from tests.fakes import NOON

RULES = TripletRules()
PRIVATE = TripletRules(privacy_key=b"key")


def stored(**changes: Any) -> StoredDecision:
    """Return a decision as the store returns it."""
    fields: dict[str, Any] = {
        "number": "7",
        "at": NOON,
        "outcome": "greylist",
        "reason": "helo",
        "client_address": "192.0.2.7",
        "client_name": "mail.example.com",
        "helo_name": "Friend.Example.NET.",
        "sender": "John@Example.com",
        "recipient": "jane+news@example.org",
        "instance": "5a2b.63f1c2a8.1234.0",
        "queue_id": "4XyZ1",
        "details": {},
    }
    return StoredDecision(**fields | changes)


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.7",
        "[192.0.2.7]",
        "::ffff:192.0.2.7",
        "::ffff:192.0.2.0/120",
        "192.0.2.0/24",
        "192.0.2.9/24",
        "mail.example.com",
        "Example.COM",
        "com",
        "friend.example.net",
        "example.net.",
        "john@example.com",
        "<john@example.com>",
        "JOHN@example.com",
        " jane@example.org ",
        "jane+news@example.org",
        "jane+other@example.org",
        "example.org",
        "@example.org",
        "5a2b.63f1c2a8.1234.0",
        "4XyZ1",
    ],
)
def test_found(text: str) -> None:
    assert Search(text, RULES).fits(stored())


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.8",
        "192.0.3.0/24",
        "192.0.2",
        "2001:db8::7",
        "::/0",
        "ample.com",
        "xmail.example.com",
        "smtp.mail.example.com",
        "ohn@example.com",
        "john@ample.com",
        "john",
        "4xyz1",
        "5a2b",
        "<>",
        "%",
        "_",
        "*",
        "\\",
    ],
)
def test_not_found(text: str) -> None:
    assert not Search(text, RULES).fits(stored())


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        ("list-4711-bounce@example.com", "list-1234-bounce@example.com"),
        ("list-4711-bounce@example.com", "list-#-bounce@example.com"),
        ("prvs=4711a=john@example.com", "john@example.com"),
        ("SRS0=Xa1=T4=d.example=john@example.com", "SRS0=Yb2=U5=d.example=john@example.com"),
    ],
)
def test_a_sender_that_is_another_for_each_mail_is_found(sender: str, text: str) -> None:
    assert Search(text, RULES).fits(stored(sender=sender))


@pytest.mark.parametrize("text", ["<>", ""])
def test_the_null_sender(text: str) -> None:
    assert Search(text, RULES).fits(stored(sender=""))
    assert not Search(text, RULES).fits(stored(recipient=""))


def test_what_is_kept_as_a_hash_is_found_by_the_address() -> None:
    hashed = stored(sender=PRIVATE.sender("john@example.com"), recipient=PRIVATE.recipient("jane@example.org"))
    for text in ("john@example.com", "jane+x@example.org", hashed.sender, "example.com"):
        assert Search(text, PRIVATE).fits(hashed)
    assert not Search("joe@example.com", PRIVATE).fits(hashed)


@pytest.mark.parametrize("address", ["", "unknown", "2001:db8::7"])
def test_a_client_without_such_an_address_is_not_in_a_network(address: str) -> None:
    assert not Search("192.0.2.0/24", RULES).fits(stored(client_address=address))


@pytest.mark.parametrize(
    ("text", "triplet", "is_meant"),
    [
        ("192.0.2.7", Triplet("192.0.2.0/24", "s", "r"), True),
        ("192.0.0.0/16", Triplet("192.0.2.0/24", "s", "r"), True),
        ("192.0.2.7", Triplet("192.0.2.7", "s", "r"), True),
        ("192.0.3.7", Triplet("192.0.2.0/24", "s", "r"), False),
        ("2001:db8::7", Triplet("2001:db8::/64", "s", "r"), True),
        ("example.com", Triplet("example.com", "s", "r"), True),
        ("example.com", Triplet("c", "john@mail.example.com", "r"), True),
        ("example.com", Triplet("c", "s", "jane@example.com"), True),
        ("Jane+x@example.com", Triplet("c", "s", "jane@example.com"), True),
        ("list-1-x@example.com", Triplet("c", "list-#-x@example.com", "r"), True),
        ("joe@example.com", Triplet("c", "s", "jane@example.com"), False),
        ("<>", Triplet("c", "", "jane@example.com"), True),
        ("<>", Triplet("c", "s", "jane@example.com"), False),
    ],
)
def test_records(text: str, triplet: Triplet, is_meant: bool) -> None:
    assert Search(text, RULES).fits_triplet(triplet) is is_meant


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        (DecisionQuery(), True),
        (DecisionQuery(reasons=frozenset(["helo"]), outcome="greylist"), True),
        (DecisionQuery(reasons=frozenset(["early"])), False),
        (DecisionQuery(outcome="pass"), False),
        (DecisionQuery(since=NOON, until=NOON + timedelta(seconds=1)), True),
        (DecisionQuery(until=NOON), False),
        (DecisionQuery(since=NOON + timedelta(microseconds=1)), False),
        (DecisionQuery(recipients=frozenset(["jane+news@example.org", "b@example.org"])), True),
        (DecisionQuery(recipients=frozenset(["b@example.org"])), False),
        (DecisionQuery(Search("example.net", RULES), reasons=frozenset(["helo"])), True),
        (DecisionQuery(Search("example.edu", RULES), reasons=frozenset(["helo"])), False),
    ],
)
def test_queries(query: DecisionQuery, fits: bool) -> None:
    assert query.fits(stored()) is fits
