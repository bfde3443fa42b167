"""DNS lists: their syntax, the question that is asked, and what an answer means."""

import pytest

from bley.core.dnslists import Answer, DnsList, parse_dns_lists, question
from bley.core.mail import parse_address


def _list(text: str) -> DnsList:
    (dns_list,) = parse_dns_lists(text)
    return dns_list


@pytest.mark.parametrize(
    ("text", "zone", "weight"),
    [
        ("zen.spamhaus.org", "zen.spamhaus.org", 1),
        ("Zen.Spamhaus.ORG.", "zen.spamhaus.org", 1),
        ("zen.spamhaus.org=127.0.0.[2..11]*3", "zen.spamhaus.org", 3),
        ("bl.example*-2", "bl.example", -2),
        ("bl.example*0", "bl.example", 0),
        ("key-123_x.bl.example", "key-123_x.bl.example", 1),
    ],
)
def test_zone_and_weight(text: str, zone: str, weight: int) -> None:
    dns_list = _list(text)
    assert (dns_list.zone, dns_list.weight, str(dns_list)) == (zone, weight, text)


@pytest.mark.parametrize("text", ["a.example b.example", "a.example,b.example", " a.example ,\n\tb.example,, "])
def test_lists_are_separated_by_commas_or_white_space(text: str) -> None:
    assert [dns_list.zone for dns_list in parse_dns_lists(text)] == ["a.example", "b.example"]


def test_no_list_is_fine() -> None:
    assert parse_dns_lists(" , ") == ()


def test_list_made_by_hand_is_shown_as_its_zone() -> None:
    assert str(DnsList("bl.example")) == "bl.example"


@pytest.mark.parametrize(
    ("codes", "counted", "not_counted"),
    [
        ("127.0.0.2", ["127.0.0.2"], ["127.0.0.3", "127.0.1.2", "127.1.0.2"]),
        ("127.0.0.[2..11]", ["127.0.0.2", "127.0.0.11"], ["127.0.0.12", "127.0.1.2"]),
        ("127.0.0.[2;4..6;9]", ["127.0.0.2", "127.0.0.4", "127.0.0.6", "127.0.0.9"], ["127.0.0.3", "127.0.0.7"]),
        ("127.0.[0..255].[1..3]", ["127.0.0.2", "127.0.255.3"], ["127.0.5.4", "127.1.5.3"]),
        ("127.0.0.[7..7]", ["127.0.0.7"], ["127.0.0.6", "127.0.0.8"]),
    ],
)
def test_return_codes(codes: str, counted: list[str], not_counted: list[str]) -> None:
    dns_list = _list(f"bl.example={codes}")
    assert [code for code in counted if not dns_list.understand([code]).listed] == []
    assert [code for code in not_counted if dns_list.understand([code]).listed] == []


_SYNTAX = "is no DNS list: write it as zone, zone=127.0.0.[2..11] or zone=127.0.0.2*3"
_CODES = "are no four octets like 127.0.0.2 or 127.0.[0..255].3"
_OCTET = "is no octet or range of octets from 0 to 255"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("localhost", f"'localhost' {_SYNTAX}"),
        ("zen..spamhaus.org", f"'zen..spamhaus.org' {_SYNTAX}"),
        ("zen/spamhaus.org", f"'zen/spamhaus.org' {_SYNTAX}"),
        ("=127.0.0.2", f"'=127.0.0.2' {_SYNTAX}"),
        (f"{'x' * 64}.example", f"'{'x' * 64}.example' {_SYNTAX}"),
        ("bl.example=", f"'bl.example=': the return codes '' {_CODES}"),
        ("bl.example=127.0.0", f"'bl.example=127.0.0': the return codes '127.0.0' {_CODES}"),
        ("bl.example=127.0.0.2.3", f"'bl.example=127.0.0.2.3': the return codes '127.0.0.2.3' {_CODES}"),
        ("bl.example=127.0.0.[2..]", f"'bl.example=127.0.0.[2..]': the return codes '127.0.0.[2..]' {_CODES}"),
        ("bl.example=127.0.0.[]", f"'bl.example=127.0.0.[]': the return codes '127.0.0.[]' {_CODES}"),
        ("bl.example=a=b", f"'bl.example=a=b': the return codes 'a=b' {_CODES}"),
        ("bl.example=127.0.0.[11..2]", f"'bl.example=127.0.0.[11..2]': '11..2' {_OCTET}"),
        ("bl.example=127.0.0.256", f"'bl.example=127.0.0.256': '256' {_OCTET}"),
        ("bl.example=127.0.0.[2;1..300]", f"'bl.example=127.0.0.[2;1..300]': '1..300' {_OCTET}"),
        ("bl.example*", "'bl.example*': the weight '' is no whole number from -99 to 99"),
        ("bl.example*1.5", "'bl.example*1.5': the weight '1.5' is no whole number from -99 to 99"),
        ("bl.example*100", "'bl.example*100': the weight '100' is no whole number from -99 to 99"),
        ("bl.example*1*2", "'bl.example*1*2': the weight '1*2' is no whole number from -99 to 99"),
    ],
)
def test_wrong_list(text: str, message: str) -> None:
    """The list at fault is named, and what would be right."""
    with pytest.raises(ValueError, match=r"^'") as caught:
        parse_dns_lists(f"good.example, {text}")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.99", "99.2.0.192.bl.example"),
        ("::ffff:192.0.2.99", "99.2.0.192.bl.example"),
        (
            "2001:db8:1:2:3:4:567:89ab",
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example",
        ),
        ("fe80::1%eth0", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.bl.example"),
    ],
)
def test_question(address: str, name: str) -> None:
    """RFC 5782 2.1 and 2.4, with their own IPv6 example; a scope (RFC 4007) is no part of an address."""
    parsed = parse_address(address)
    assert parsed is not None
    assert question(parsed, "bl.example") == name


LISTED, CLEAR, REFUSED = (True, False), (False, False), (False, True)


@pytest.mark.parametrize(
    ("text", "codes", "meaning"),
    [
        pytest.param("bl.example", [], CLEAR, id="no answer: not listed"),
        pytest.param("bl.example", ["127.0.0.2"], LISTED, id="listed"),
        pytest.param("bl.example", ["127.9.9.9"], LISTED, id="any code counts without a filter"),
        pytest.param("bl.example=127.0.0.2", ["127.0.0.4"], CLEAR, id="a code that the operator does not count"),
        pytest.param("bl.example=127.0.0.2", ["127.0.0.4", "127.0.0.2"], LISTED, id="one of several counts"),
        pytest.param("bl.example", ["127.0.0.1"], REFUSED, id="127.0.0.1 is an error anywhere"),
        pytest.param("bl.example", ["127.255.255.254"], REFUSED, id="asked over a public resolver"),
        pytest.param("bl.example", ["127.255.255.0"], REFUSED, id="the whole network means errors"),
        pytest.param("bl.example", ["127.255.254.255"], LISTED, id="its neighbour does not"),
        pytest.param("bl.example=127.255.255.255", ["127.255.255.255"], REFUSED, id="whatever the filter says"),
        pytest.param("bl.example", ["192.0.2.1"], REFUSED, id="a parked domain"),
        pytest.param("bl.example", ["128.0.0.2"], REFUSED, id="just outside 127.0.0.0/8"),
        pytest.param("bl.example", ["192.0.2.1", "127.0.0.2"], LISTED, id="a listing beside an error"),
        pytest.param("list.dnswl.org", ["127.0.5.2"], LISTED, id="dnswl.org: listed"),
        pytest.param("list.dnswl.org", ["127.0.0.255"], REFUSED, id="dnswl.org: over the limit"),
        pytest.param("List.DNSWL.org.", ["127.0.10.3"], REFUSED, id="dnswl.org: throttled"),
        pytest.param("list.dnswl.org", ["127.0.11.3"], LISTED, id="dnswl.org: the next category"),
        pytest.param("bl.example", ["127.0.0.255"], LISTED, id="another list may mean it"),
    ],
)
def test_understand(text: str, codes: list[str], meaning: tuple[bool, bool]) -> None:
    """An answer that means "you may not ask" is not a listing, and is told apart from no listing."""
    listed, refused = meaning
    assert _list(text).understand(codes) == Answer(listed, refused, tuple(codes))
