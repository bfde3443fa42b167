"""Does the HELO name fit the client?"""

import pytest

from bley.checks.helo import check_helo
from bley.core.mail import Request, parse_address

NO_NAME = "unknown"


@pytest.mark.parametrize(
    ("score", "helo_name", "client_name", "client_address"),
    [
        pytest.param(0, "mx.example.com", "mx.example.com", "192.0.2.1", id="equal"),
        pytest.param(0, "MX.Example.com.", "mx.EXAMPLE.com", "192.0.2.1", id="equal but for case and dot"),
        pytest.param(0, "localhost", "localhost", "127.0.0.1", id="equal, without a domain"),
        pytest.param(1, "smtp.example.com", "mx.example.com", "192.0.2.1", id="same domain"),
        pytest.param(1, "example.co.uk", "a.b.example.co.uk", "192.0.2.1", id="same domain, two labels of suffix"),
        pytest.param(1, "[192.0.2.1]", NO_NAME, "192.0.2.1", id="literal"),
        pytest.param(1, "[192.0.2.1]", "mx.example.com", "192.0.2.1", id="literal, although it has a name"),
        pytest.param(1, "[IPv6:2001:db8::1]", NO_NAME, "2001:db8::1", id="IPv6 literal"),
        pytest.param(1, "[ipv6:2001:0DB8:0:0::1]", NO_NAME, "2001:db8::1", id="IPv6 literal, written in another way"),
        pytest.param(1, "[192.0.2.1]", NO_NAME, "::ffff:192.0.2.1", id="IPv4-mapped"),
        pytest.param(2, "mx.example.net", "mx.example.com", "192.0.2.1", id="another name"),
        pytest.param(2, "other.co.uk", "mx.example.co.uk", "192.0.2.1", id="same suffix, which is nobody's"),
        pytest.param(2, "localhost", "mx.example.com", "192.0.2.1", id="localhost"),
        pytest.param(2, "other", "mx", "192.0.2.1", id="neither has a domain"),
        pytest.param(2, "other.dyndns.org", "home.dyndns.org", "192.0.2.1", id="neighbours below a private suffix"),
        pytest.param(2, "mx.example.com", NO_NAME, "192.0.2.1", id="client without a name"),
        pytest.param(2, "unknown", NO_NAME, "192.0.2.1", id="unknown never matches"),
        pytest.param(2, "", "", "192.0.2.1", id="nothing is no match"),
        pytest.param(2, "", "mx.example.com", "192.0.2.1", id="no HELO"),
        pytest.param(2, "192.0.2.1", NO_NAME, "192.0.2.1", id="an address is no literal"),
        pytest.param(2, "[192.0.2.2]", NO_NAME, "192.0.2.1", id="a literal of another"),
        pytest.param(2, "[IPv6:2001:db8::2]", NO_NAME, "2001:db8::1", id="an IPv6 literal of another"),
        pytest.param(2, "[example.com]", NO_NAME, "192.0.2.1", id="brackets around a name"),
        pytest.param(2, "[192.0.2.1", NO_NAME, "192.0.2.1", id="half a literal"),
    ],
)
def test_score(score: int, helo_name: str, client_name: str, client_address: str) -> None:
    address = parse_address(client_address)
    assert address is not None
    assert check_helo(Request(helo_name=helo_name, client_name=client_name), address).score == score


@pytest.mark.parametrize(
    ("helo_name", "client_name", "detail"),
    [
        ("mx.example.com", "mx.example.com", "mx.example.com is the client's name"),
        ("[192.0.2.1]", NO_NAME, "[192.0.2.1] is the client's address"),
        (
            "a.example.com",
            "b.example.com",
            "a.example.com is in example.com like the client's name b.example.com",
        ),
        ("a.example.com", "b.example.net", "a.example.com is not the client's name, b.example.net"),
        ("a.example.com", NO_NAME, "a.example.com is not the client's name, which is unknown"),
        ("", "b.example.net", "no HELO is not the client's name, b.example.net"),
    ],
)
def test_detail_is_for_people(helo_name: str, client_name: str, detail: str) -> None:
    address = parse_address("192.0.2.1")
    assert address is not None
    assert check_helo(Request(helo_name=helo_name, client_name=client_name), address).detail == detail
