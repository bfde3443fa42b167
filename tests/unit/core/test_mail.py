"""Requests, actions and addresses, as Postfix names and writes them."""

from ipaddress import ip_address, ip_network

import pytest

from bley.core.mail import LONGEST_VALUE, Action, RawRequest, Request, parse_address, parse_network, parse_networks


def test_a_raw_request_is_read_to_its_last_equals_sign() -> None:
    """An attribute not sent is empty."""
    raw = RawRequest("sender=a=b@example.com\nhelo_name=\n", "1f.2")
    assert raw.parse() == Request(sender="a=b@example.com", instance="1f.2")


@pytest.mark.parametrize("has_user", [False, True])
def test_the_order_of_attributes_does_not_matter(has_user: bool) -> None:
    """That of Postfix is parsed in another way."""
    values = {"protocol_state": "RCPT", "client_address": "192.0.2.1", "client_name": "mx.example.com"}
    values |= {"helo_name": "a=b", "sender": "", "recipient": "jane@example.org"}
    values |= {"sasl_username": "jane"} if has_user else {}
    for order in (list(values), list(values)[::-1]):
        raw = RawRequest("".join(f"{name}={values[name]}\n" for name in order), "1f.2", "4bX")
        assert raw.parse() == Request(**values, instance="1f.2", queue_id="4bX")


def test_what_is_judged_of_a_request_is_bounded_and_different_ones_stay_different() -> None:
    """The domain at the end of a value stays too."""
    end = f"{'b' * 100}@d.example"
    raw = RawRequest(f"helo_name=h\nsender={'a' * 4000}1{end}\nrecipient={'ü' * 4000}2{end}\n", "i" * 600, "q" * 600)
    request = raw.parse_bounded()
    assert [len(value) for value in request] == [0, 0, 0, 0, 1, *[LONGEST_VALUE] * 4]
    assert request.sender.startswith("aaaa")
    assert request.sender.endswith(end)
    assert request.sender != raw._replace(deciding=raw.deciding.replace("1", "3")).parse_bounded().sender
    assert request.sender == raw._replace(deciding=raw.deciding.replace("2", "3")).parse_bounded().sender


@pytest.mark.parametrize("length", [1, LONGEST_VALUE])
def test_a_value_of_ordinary_length_stays_as_it_is(length: int) -> None:
    raw = RawRequest(f"sender={'s' * length}\nrecipient={'r' * length}\n", "i" * length)
    assert raw.parse_bounded() == raw.parse()


@pytest.mark.parametrize(
    ("client_name", "verified_name"),
    [
        ("\r", ""),
        ("unknown\t.", ""),
        ("mx.example.com. \r", "mx.example.com"),
        ("mx.example.com", "mx.example.com"),
        ("MX.Example.COM.", "mx.example.com"),
        ("unknown", ""),
        ("Unknown", ""),
        ("", ""),
        ("unknown.example.com", "unknown.example.com"),
    ],
)
def test_verified_name(client_name: str, verified_name: str) -> None:
    """Postfix says `unknown` where forward and reverse name do not agree."""
    assert Request(client_name=client_name).verified_name == verified_name


def test_action_is_written_as_in_access_5() -> None:
    assert str(Action("DUNNO")) == "DUNNO"
    assert str(Action("DEFER_IF_PERMIT", "try again later")) == "DEFER_IF_PERMIT try again later"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::192.0.2.1", "::c000:201"),
        ("192.0.2.1%eth0", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_address(text: str, address: str) -> None:
    """However it is written; an IPv4-mapped address is IPv4."""
    assert parse_address(text) == ip_address(address)


@pytest.mark.parametrize(
    "text",
    [
        *("", "unknown", "mx.example.com", "192.0.2", "192.0.2.", "192.0.2.1.1", "192.0.2.256", "192.0.2.01"),
        *("192.0.2.\u0661", "192.0.2.1 ", "[192.0.2.1]", "192.0.2.0/24", "192.0.2.1/", ":", "fe80::1%eth0/64", "::%/("),
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.1/24", "192.0.2.0/24"),
        ("2001:DB8::1/32", "2001:db8::/32"),
        ("fe80::1%eth0", "fe80::1/128"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
        ("::ffff:c000:200/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::fffe:0:0/95", "::fffe:0:0/95"),
    ],
)
def test_network(text: str, network: str) -> None:
    """However it is written; an IPv4-mapped network is IPv4."""
    assert parse_network(text) == ip_network(network)


@pytest.mark.parametrize("text", ["", "/24", "unknown", "192.0.2.0/33", "192.0.2/24", "192.0.2.0/24/24", "a%b/24"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_network(text)


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("192.0.2.5/24", ["192.0.2.0/24"]),
        ("[2001:db8::1]/32", ["2001:db8::/32"]),
        ("192.0.2.1-192.0.2.4", ["192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/32"]),
        ("[2001:db8::2]-[2001:db8::3]", ["2001:db8::2/127"]),
        ("::ffff:192.0.2.2-192.0.2.3", ["192.0.2.2/31"]),
        ("0.0.0.0-255.255.255.255", ["0.0.0.0/0"]),
        ("192.0.2.1-192.0.2.1", ["192.0.2.1/32"]),
    ],
)
def test_networks_of_a_range(text: str, networks: list[str]) -> None:
    """A network by itself is one."""
    assert parse_networks(text) == list(map(ip_network, networks))


@pytest.mark.parametrize("text", ["192.0.2.2-192.0.2.1", "192.0.2.1-::1", "192.0.2.0/24-192.0.3.0/24", "a-b", "-", ""])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (its words are for the caller to replace)
        parse_networks(text)
