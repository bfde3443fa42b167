"""DNS lists cannot mislead: answers that mean "you may not ask" never count, whatever the operator's filter is."""

import re
from ipaddress import IPv4Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bley.core.dnslists.lists import Answer, DnsList, ListAnswer, Meaning, interpret, parse_dns_lists, query_name
from bley.core.dnslists.syntax import hide_keys, parse_entry, parse_filter
from bley.core.mail import Address

octets = st.integers(min_value=0, max_value=255)
ranges = st.tuples(octets, octets).map(lambda pair: f"{min(pair)}..{max(pair)}")
octet_filters = octets.map(str) | st.lists(octets.map(str) | ranges, min_size=1, max_size=3).map(
    lambda parts: f"[{';'.join(parts)}]"
)
everything = st.just("[0..255].[0..255].[0..255].[0..255]")
filters = everything | st.tuples(*[octet_filters] * 4).map(".".join)
weights = st.just("") | st.integers(min_value=-99, max_value=99).map("*{}".format)
zones = st.sampled_from(
    ["bl.example", "b.bl.example", "list.dnswl.org", "Zen.Spamhaus.org.", "key.zen.dq.spamhaus.net"]
)
keys = st.text(alphabet="abcXYZ0189", min_size=20, max_size=40)

KEYED = "zen.dq.spamhaus.net"


def _meant(pair: tuple[str, str]) -> str:
    """Return the meaning of an entry, which does not depend on its spelling."""
    zone, codes = pair
    return zone.lower() + str([sorted(values) for values in parse_filter(codes).octets] if codes else [])


@st.composite
def settings(draw: st.DrawFn, zones: st.SearchStrategy[str] = zones) -> str:
    """Draw a setting, with each filter of a zone once."""
    pairs = draw(st.lists(st.tuples(zones, st.just("") | filters), min_size=1, max_size=4, unique_by=_meant))
    entries = [f"{zone}={codes}{draw(weights)}" if codes else f"{zone}{draw(weights)}" for zone, codes in pairs]
    return draw(st.sampled_from([", ", " ", ",", "\n  "])).join(entries)


codes_of_lists = st.ip_addresses(v=4, network="127.0.0.0/8").map(str) | st.sampled_from(
    ["127.0.0.2", "127.0.0.3", "127.0.5.1"]
)
refusals = st.just("127.0.0.1") | octets.map("127.255.255.{}".format)
outside = st.ip_addresses(v=4).filter(lambda address: not address.is_loopback).map(str)
answers = st.lists(codes_of_lists | refusals | outside, max_size=4)


@given(settings(), st.lists(refusals, min_size=1, max_size=3))
@example("bl.example=127.0.0.1*9", ["127.0.0.1"])
@example("bl.example=127.255.255.[0..255]*-9", ["127.255.255.254"])
def test_refusal_never_counts(text: str, codes: list[str]) -> None:
    for dns_list in parse_dns_lists(text):
        answer = interpret(dns_list.facts, codes)
        assert answer.meaning is Meaning.REFUSED
        assert not answer.is_conclusive
        assert dns_list.weight(answer) == 0


@given(settings(), answers, outside)
def test_answer_that_is_no_lists_never_counts(text: str, codes: list[str], stranger: str) -> None:
    """The other codes of such an answer do not count either."""
    for dns_list in parse_dns_lists(text):
        answer = interpret(dns_list.facts, [*codes, stranger])
        assert (answer.meaning, dns_list.weight(answer)) == (Meaning.PARKED, 0)


@given(filters, codes_of_lists, refusals)
@example("127.0.0.1", "127.0.0.2", "127.0.0.1")
def test_refusal_beside_a_listing_fits_no_filter(codes: str, listing: str, refusal: str) -> None:
    """The listing counts as it would alone."""
    (dns_list,) = parse_dns_lists(f"bl.example={codes}")
    alone = interpret(dns_list.facts, [listing])
    assert dns_list.weight(interpret(dns_list.facts, [refusal, listing])) == dns_list.weight(alone)


@given(settings(), answers)
def test_weight_is_within_its_bounds(text: str, codes: list[str]) -> None:
    """bley may answer before the lists because of these bounds; and only a listing has a weight."""
    for dns_list in parse_dns_lists(text):
        answer = interpret(dns_list.facts, codes)
        assert dns_list.least <= dns_list.weight(answer) <= dns_list.most
        assert dns_list.least <= 0 <= dns_list.most
        assert answer.meaning is Meaning.LISTED or dns_list.weight(answer) == 0
        assert answer.codes == tuple(map(IPv4Address, codes))


@given(filters, st.ip_addresses(v=4))
def test_filter_means_what_it_says(codes: str, code: IPv4Address) -> None:
    """The reference reads it octet by octet, with the dots of a range as a hyphen."""
    wanted = [_numbers(part) for part in codes.replace("..", "-").split(".")]
    assert (code in parse_filter(codes)) is all(
        octet in numbers for octet, numbers in zip(code.packed, wanted, strict=True)
    )


def _numbers(part: str) -> set[int]:
    numbers: set[int] = set()
    for piece in part.strip("[]").split(";"):
        first, _, last = piece.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


@given(settings())
def test_lists_are_shown_in_a_form_that_reads_the_same(text: str) -> None:
    """Without a key, each zone is one list, with all of its entries."""
    dns_lists = parse_dns_lists(text)
    assert len({dns_list.zone for dns_list in dns_lists}) == len(dns_lists)
    assert sum(len(dns_list.entries) for dns_list in dns_lists) == len(text.replace(",", " ").split())
    if KEYED not in text:
        assert parse_dns_lists(", ".join(map(str, dns_lists))) == dns_lists


@given(st.text() | st.text(alphabet="abz.=*[];,0127- ") | settings() | keys)
@example("bl.example=127.0.0.2*")
@example("bl.example=127.0.0.[5..002]")
@example("bl.example bl.example")
def test_any_text_is_lists_or_a_fault_with_a_caret(text: str) -> None:
    """The fault has three lines: the error, the text, and the caret below it or just behind its end.

    The text is shown as it is read, without white space around `=` and `*`.
    """
    try:
        parse_dns_lists(text)
    except ValueError as error:
        what, shown, caret = str(error).split("\n")
        assert what
        assert shown.startswith("    ")
        assert shown[4:] in hide_keys(re.sub(r"\s*([=*])\s*", r"\1", text))
        assert caret.strip() == "^"
        assert 4 <= caret.index("^") <= len(shown)


@given(filters, st.integers(min_value=-99, max_value=99), st.data())
def test_caret_stands_where_the_wrong_character_does(codes: str, weight: int, data: st.DataObject) -> None:
    """The caret may also point to the beginning of the number, the sign or the two dots that it spoils."""
    entry = f"bl.example={codes}*{weight}"
    place = data.draw(st.integers(len("bl.example="), len(entry)))
    spoilt = entry[:place] + data.draw(st.sampled_from("!:_/? ")) + entry[place:]
    with pytest.raises(ValueError, match=r"\^$") as caught:
        parse_entry(spoilt)
    _, shown, caret = str(caught.value).split("\n")
    assert shown == f"    {spoilt}"
    assert place - 2 <= caret.index("^") - 4 <= place


@given(keys, settings(st.just("KEY." + KEYED)), st.sampled_from(["", "x", "*", "=", "..", "*100", "]", " KEY.b.c*x"]))
@example("k" * 26, f"KEY.{KEYED} KEY.{KEYED}", "")
def test_key_is_never_shown(key: str, text: str, behind: str) -> None:
    """No name or text of a list, no answer and no fault shows it, in any case of its letters."""
    text = (text + behind).replace("KEY", key)
    try:
        shown = "".join(_all_words(dns_list) for dns_list in parse_dns_lists(text))
    except ValueError as error:
        shown = str(error)
    assert KEYED in shown or "b.c" in shown
    assert key.lower() not in shown.lower()


def _all_words(dns_list: DnsList) -> str:
    said = [ListAnswer(dns_list, Answer(meaning, (IPv4Address("127.0.0.2"),), "why")) for meaning in Meaning]
    return "\n".join([dns_list.name, str(dns_list), *map(str, said)])


@given(st.ip_addresses())
def test_question_names_the_address_backwards(address: Address) -> None:
    """Each octet or nibble is a label, so no two addresses share a question."""
    labels = query_name(address, "bl.example").removesuffix(".bl.example").split(".")
    if address.version == 4:
        assert bytes(map(int, reversed(labels))) == address.packed
    else:
        assert bytes.fromhex("".join(reversed(labels))) == address.packed
