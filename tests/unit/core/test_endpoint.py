"""`host:port` is split and formatted in one place, so that every setting accepts the same forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bley.core.endpoint import format_endpoint, split_endpoint, without_brackets


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("db.example.org:0", ("db.example.org", 0)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
        ("[fe80::1%eth0]:53", ("fe80::1%eth0", 53)),
        ("fe80::1%eth0", ("fe80::1%eth0", 53)),
        (":5353", ("", 5353)),
        ("", ("", 53)),
    ],
)
def test_split(text: str, endpoint: tuple[str, int]) -> None:
    assert split_endpoint(text, 53) == endpoint


@pytest.mark.parametrize("text", ["h:", "h:x", "h:5_3", "h:+53", "h:65536", "h:٥٣", "h:-1", "[::1]:x"])
def test_a_bad_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a port$"):
        split_endpoint(text, 53)


@pytest.mark.parametrize("text", ["[::1", "::1]", "[::1:53", "::1]:53", "[::1]x:53"])
def test_an_unmatched_bracket_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"has an unmatched bracket$"):
        split_endpoint(text, 53)


@given(st.ip_addresses().map(str) | st.just("mx.example.org"), st.integers(0, 65535))
def test_what_is_formatted_splits_to_the_same(host: str, port: int) -> None:
    assert split_endpoint(format_endpoint(host, port), 1) == (host, port)
    assert split_endpoint(host, port) == (host, port)


@pytest.mark.parametrize(("host", "bare"), [("[::1]", "::1"), ("::1", "::1"), ("[h", "[h"), ("h", "h"), ("[]", "")])
def test_without_brackets(host: str, bare: str) -> None:
    assert without_brackets(host) == bare
