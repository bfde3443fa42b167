"""What another greylister knew is found by bley's own rules, or not taken over at all."""

from ipaddress import ip_network

import pytest

from bley.core.greylist import Record, Status
from bley.core.imported_record import ImportedRecord
from bley.core.mail import Triplet
from bley.core.triplet import ANY, LONGEST_PART, GreylistBy, TripletRules, any_sender_of_domain
from tests.fakes import NOON

RECORD = Record(Status.CLEAN, NOON, NOON)


def _triplet(
    rules: TripletRules,
    network: str = "192.0.2.1/32",
    sender: str = "john@example.com",
    recipient: str = "jane@example.org",
) -> Triplet | None:
    return ImportedRecord(ip_network(network), sender, recipient, RECORD).triplet(rules)


@pytest.mark.parametrize(
    ("greylist_by", "network", "client"),
    [
        pytest.param("smart", "192.0.2.1/32", "192.0.2.0/24", id="an address is one of its network"),
        pytest.param("smart", "192.0.2.0/24", "192.0.2.0/24", id="the same network"),
        pytest.param("smart", "192.0.2.128/25", "192.0.2.0/24", id="a part of it"),
        pytest.param("smart", "192.0.0.0/16", None, id="a larger one: most of it was never seen"),
        pytest.param("network", "192.0.2.1/32", "192.0.2.0/24", id="by network"),
        pytest.param("address", "192.0.2.1/32", "192.0.2.1", id="by address"),
        pytest.param("address", "192.0.2.0/31", None, id="by address, and there are two"),
        pytest.param("smart", "2001:db8::1/128", "2001:db8::/64", id="IPv6 address"),
        pytest.param("smart", "2001:db8::/64", "2001:db8::/64", id="IPv6 network"),
        pytest.param("smart", "2001:db8::/48", None, id="larger IPv6 network"),
        pytest.param("address", "2001:db8::1/128", "2001:db8::1", id="IPv6 by address"),
    ],
)
def test_client(greylist_by: GreylistBy, network: str, client: str | None) -> None:
    """Where the rules tell its addresses apart it is not taken over: it would hold for whom it was not meant."""
    triplet = _triplet(TripletRules(greylist_by=greylist_by), network)
    assert (triplet and triplet.client) == client


def test_client_by_prefix() -> None:
    rules = TripletRules(ipv4_prefix=16, ipv6_prefix=48)
    kept = [_triplet(rules, network) for network in ("192.0.2.1/32", "192.0.0.0/16", "2001:db8::/48")]
    assert [triplet and triplet.client for triplet in kept] == ["192.0.0.0/16", "192.0.0.0/16", "2001:db8::/48"]


@pytest.mark.parametrize(
    ("sender", "kept"),
    [
        ("John+tag@Example.COM", "john@example.com"),
        ("prvs=4711=list-17@example.com", "list-#@example.com"),
        pytest.param("", "", id="null sender"),
        (ANY, ANY),
        (f"{ANY}@example.com", f"{ANY}@example.com"),
    ],
)
def test_sender(sender: str, kept: str) -> None:
    """As bley would have kept it; what stands for many stays."""
    triplet = _triplet(TripletRules(), sender=sender)
    assert triplet
    assert triplet.sender == kept


@pytest.mark.parametrize(("recipient", "kept"), [("Jane+tag@Example.ORG", "jane@example.org"), (ANY, ANY)])
def test_recipient(recipient: str, kept: str) -> None:
    triplet = _triplet(TripletRules(), recipient=recipient)
    assert triplet
    assert triplet.recipient == kept


def test_with_privacy_addresses_are_hashed_and_what_stands_for_many_stays() -> None:
    rules = TripletRules(privacy_key=b"k" * 32)
    assert _triplet(rules) == Triplet(
        "192.0.2.0/24", rules.sender("john@example.com"), rules.recipient("jane@example.org")
    )
    assert _triplet(rules, sender=f"{ANY}@example.com", recipient=ANY) == Triplet(
        "192.0.2.0/24", f"{ANY}@example.com", ANY
    )


def test_a_domain_that_is_too_long_is_bounded_as_it_is_looked_for() -> None:
    """sqlgrey's column takes 255 characters, MySQL's of ours 255 bytes."""
    for domain in ("x" * 255, "ü" * 255, "x" * 251, "example.com"):
        triplet = _triplet(TripletRules(), sender=f"{ANY}@{domain}", recipient=ANY)
        assert triplet
        assert len(triplet.sender.encode()) <= LONGEST_PART
        assert triplet.sender == any_sender_of_domain(f"jane@{domain}")
        assert triplet.sender.startswith(f"{ANY}@")
