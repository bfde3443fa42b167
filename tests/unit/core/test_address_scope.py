"""Addresses that no host of the Internet has."""

from ipaddress import ip_address, ip_network

import pytest

from bley.core.address_scope import describe_local, local_scope


@pytest.mark.parametrize(
    ("network", "scope"),
    [
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("fc00::/7", "private"),
        ("fec0::/10", "private"),
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("fe80::/10", "link-local"),
        ("100.64.0.0/10", "shared (CGNAT)"),
        ("0.0.0.0/8", "unspecified"),
        ("::/128", "unspecified"),
    ],
)
def test_scope_is_that_of_the_whole_network_and_no_more(network: str, scope: str) -> None:
    """Its neighbors are global, or have a scope of their own."""
    first, last = ip_network(network)[0], ip_network(network)[-1]
    assert (local_scope(first), local_scope(last)) == (scope, scope)
    assert int(first) == 0 or local_scope(first - 1) != scope
    assert int(last) == 2**first.max_prefixlen - 1 or local_scope(last + 1) != scope


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "192.0.2.1", "203.0.113.9", "2001:db8::1", "2606:4700::1", "64:ff9b::1"]
)
def test_addresses_of_hosts_and_of_documentation_have_none(address: str) -> None:
    assert local_scope(ip_address(address)) == ""


def test_description_is_a_sentence_or_empty() -> None:
    assert describe_local(ip_address("192.168.0.1")) == "192.168.0.1 is a private address"
    assert describe_local(ip_address("0.0.0.0")) == "0.0.0.0 is an unspecified address"
    assert describe_local(ip_address("192.0.2.1")) == ""
