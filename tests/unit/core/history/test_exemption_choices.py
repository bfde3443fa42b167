"""The exemptions that are offered exempt mail like the one that was seen, and no spam of others."""

from typing import Any

import pytest

from bley.core.history.exemption_choices import choices_of_decision, choices_of_text
from bley.core.history.search import StoredDecision
from bley.core.mail import Triplet
from tests.unit.web.dashboard_client import decision

SERVER: dict[str, Any] = {
    "client_name": "mx1.example.net",
    "triplet": Triplet("example.net", "a@example.com", "b@example.org"),
}


def seen(spf: dict[str, Any] | None = None, **changes: Any) -> StoredDecision:
    """Return a decision with this result of SPF."""
    found = decision()
    triplet = changes.pop("triplet", found.triplet)
    details = {**found.details, "triplet": list(triplet), "findings": {"spf": spf} if spf else {}}
    return found._replace(details=details, **changes)


@pytest.mark.parametrize(
    ("seen", "entries"),
    [
        pytest.param(
            seen(),
            ["sender a@example.com", "sender example.com", "client 192.0.2.1", "recipient b@example.org"],
            id="without SPF",
        ),
        pytest.param(
            seen({"score": 0, "detail": "pass: 192.0.2.1 is permitted"}),
            ["sender spf:a@example.com", "sender spf:example.com", "client 192.0.2.1", "recipient b@example.org"],
            id="SPF passes",
        ),
        pytest.param(
            seen({"score": 0, "detail": "pass by best guess"}),
            ["sender a@example.com", "sender example.com", "client 192.0.2.1", "recipient b@example.org"],
            id="a guess is no pass",
        ),
        pytest.param(
            seen({"score": 1, "detail": "fail"}),
            ["client 192.0.2.1", "recipient b@example.org"],
            id="SPF fails: the sender is forged",
        ),
        pytest.param(
            seen(sender="c@example.org"),
            ["client 192.0.2.1", "recipient b@example.org"],
            id="our own domain may be forged",
        ),
        pytest.param(
            seen(sender="a@gmail.com"),
            ["sender a@gmail.com", "client 192.0.2.1", "recipient b@example.org"],
            id="a domain of everybody",
        ),
        pytest.param(seen(sender=""), ["client 192.0.2.1", "recipient b@example.org"], id="the null sender"),
        pytest.param(
            seen(**SERVER),
            [
                "sender a@example.com",
                "sender example.com",
                "client 192.0.2.1",
                "client example.net",
                "recipient b@example.org",
            ],
            id="a server with a name",
        ),
        pytest.param(
            seen(sender='"a b"@example.com', recipient="b#c@example.org"),
            ["sender example.com", "client 192.0.2.1"],
            id="addresses that no list file can contain",
        ),
        pytest.param(seen(client_address="", sender="", recipient=""), [], id="nothing"),
    ],
)
def test_choices_of_a_decision(seen: StoredDecision, entries: list[str]) -> None:
    assert [f"{each.kind} {each.entry}" for each in choices_of_decision(seen, is_private=False)] == entries


def test_hashed_addresses_are_no_choice() -> None:
    entries = [each.entry for each in choices_of_decision(seen(), is_private=True)]
    assert entries == ["example.com", "192.0.2.1"]


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a@example.com", ["sender a@example.com", "recipient a@example.com"]),
        ("example.com", ["sender example.com", "client example.com", "recipient example.com"]),
        ("gmail.com", []),
        ("com", []),
        ("192.0.2.1", ["client 192.0.2.1"]),
        ("2001:db8::/64", ["client 2001:db8::/64"]),
        ("192.0.2.300/24", []),
        ("<>", []),
        ("a b", []),
        ("4XyzQueue", []),
        ("a/b", []),
    ],
)
def test_choices_of_a_search(text: str, entries: list[str]) -> None:
    assert [f"{each.kind} {each.entry}" for each in choices_of_text(text)] == entries
