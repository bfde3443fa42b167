"""core.dnslists: written and read again, a setting is the same; a fault shows its place, and no key."""

import contextlib
from ipaddress import IPv4Address

from bley.core.dnslists.lists import Answer, DnsList, Meaning, interpret, parse_dns_lists
from bley.core.dnslists.syntax import hide_keys, parse_entry, parse_filter
from tests.fuzz.fields import SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.step_time import in_time


def check(data: bytes) -> None:
    """Check a setting, then return codes, four octets each."""
    fields = Fields(data)
    text, codes = fields.text(), fields.octets()
    for parse in (parse_entry, parse_filter):
        with contextlib.suppress(ValueError):
            in_time(lambda parse=parse: parse(text))  # type: ignore[misc]
    lists: tuple[DnsList, ...] = ()
    try:
        lists = in_time(lambda: parse_dns_lists(text))
    except ValueError as error:
        _check_fault(str(error))
    addresses = [str(IPv4Address(codes[at : at + 4])) for at in range(0, len(codes) - 3, 4)]
    for dns_list in lists:
        _check_list(dns_list, addresses)


def _check_fault(text: str) -> None:
    what, shown, caret = text.split("\n")
    assert what, "a fault without words"
    assert caret.strip() == "^", "no caret under the place"
    assert len(caret) <= len(shown) + 1, "the caret stands beyond the text"
    assert hide_keys(text) == text, "a key is shown"


def _check_list(dns_list: DnsList, codes: list[str]) -> None:
    written = ", ".join(f"{dns_list.zone}{entry.rest}" for entry in dns_list.entries)
    assert parse_dns_lists(written) == (dns_list,), f"{written} is another list"
    assert dns_list.zone == dns_list.zone.lower().strip("."), "a zone in two spellings"
    answer = interpret(dns_list.facts, codes)
    assert isinstance(answer, Answer)
    assert dns_list.least <= dns_list.weight(answer) <= dns_list.most, "a weight beyond the list's own"
    if answer.meaning is not Meaning.LISTED:
        assert dns_list.weight(answer) == 0, "what is no listing counts"


def _seed(text: str, codes: bytes = b"\x7f\0\0\2") -> bytes:
    return text.encode() + SEPARATOR + codes


HARNESS = Harness(
    check,
    seeds=[
        _seed("zen.spamhaus.org=127.0.0.[2..11]*3, bl.spamcop.net"),
        _seed("list.dnswl.org=127.0.[0..255].[1;2..3]*-2", b"\x7f\0\1\2\x7f\0\0\xff"),
        _seed("a.example=127.0.0.2*2\na.example=127.0.0.4*1 a.example", b"\x7f\0\0\2\x7f\xff\xff\xfe"),
        _seed("0123456789abcdefghijklmnop.zen.dq.spamhaus.net=127.0.0.x"),
        _seed("A.Example.=1.2.3.4", b"\1\2\3\4"),
        _seed("a.example=[5..2].0.0.1"),
        _seed("a.example=127.0.0.2,127.0.0.3 : b.example!=&127.0.0.4/$key"),
        _seed("'a.example', 3.25; <; reject_rbl_client http://b.example = 127.0.0.0/24 * 2"),
    ],
    finds={"an address with a final dot was a zone": b"127.0.0.,"},
    words=[b"127.0.0.", b"..", b";", b"[", b"]", b"*", b"=", b"*-99", b", ", b".example"],
)
