"""DNS lists: what is asked of one, what an answer means, and what it counts."""

from ipaddress import IPv4Address

import pytest

from bley.core.dnslists.known import find_known_list
from bley.core.dnslists.lists import Answer, DnsList, ListAnswer, Meaning, interpret, parse_dns_lists, query_name
from bley.core.dnslists.syntax import parse_entry
from bley.core.mail import parse_address

KEY = "abcdefghij0123456789klmnop"


def _list(text: str) -> DnsList:
    (dns_list,) = parse_dns_lists(text)
    return dns_list


def _codes(*codes: str) -> tuple[IPv4Address, ...]:
    return tuple(map(IPv4Address, codes))


def _listed(*codes: str) -> Answer:
    return Answer(Meaning.LISTED, _codes(*codes))


@pytest.mark.parametrize("text", ["a.example b.example", "a.example,b.example", " a.example ,\n\tb.example,, "])
def test_lists_are_separated_by_commas_or_white_space(text: str) -> None:
    assert [dns_list.zone for dns_list in parse_dns_lists(text)] == ["a.example", "b.example"]


@pytest.mark.parametrize("text", ["", " , ", "\n"])
def test_no_list_is_fine(text: str) -> None:
    assert parse_dns_lists(text) == ()


def test_entries_of_a_zone_are_one_list() -> None:
    """So that one question serves them all; the lists stay in their order."""
    text = "b.example=127.0.0.2*3, a.example, B.Example=127.0.0.3*-1, b.example."
    ours, other = parse_dns_lists(text)
    assert (ours.zone, other.zone) == ("b.example", "a.example")
    assert ours.entries == tuple(map(parse_entry, ("b.example=127.0.0.2*3", "B.Example=127.0.0.3*-1", "b.example.")))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("bl.example", "bl.example"),
        ("bl.example", "BL.Example.*3"),
        ("bl.example=127.0.0.2", "bl.example=127.0.0.2*5"),
        ("bl.example=127.0.0.[2..3]", "bl.example=127.0.0.[3;2]"),
    ],
)
def test_same_filter_twice(first: str, second: str) -> None:
    """One of them is a slip; to add them up would count one answer twice."""
    with pytest.raises(ValueError, match=r"\^$") as caught:
        parse_dns_lists(f"{first}, other.example, {second}")
    assert str(caught.value) == f"bl.example is here twice with the same filter: remove one\n    {second}\n    ^"


def test_same_filter_twice_does_not_show_the_key() -> None:
    with pytest.raises(ValueError, match="twice") as caught:
        parse_dns_lists(f"{KEY}.zen.dq.spamhaus.net, {KEY}.zen.dq.spamhaus.net*3")
    assert str(caught.value) == (
        "********.zen.dq.spamhaus.net is here twice with the same filter: remove one\n"
        "    ********.zen.dq.spamhaus.net*3\n"
        "    ^"
    )


def test_fault_shows_its_own_entry_only() -> None:
    """The syntax and its faults are tested in test_list_syntax.py."""
    with pytest.raises(ValueError, match=r"\^$") as caught:
        parse_dns_lists("good.example*3, bl.example*x, other.example")
    assert str(caught.value) == "a weight from -99 to 99 belongs here\n    bl.example*x\n               ^"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bl.Example.=127.0.0.[2;3..4]*+3", "bl.example=127.0.0.[2;3..4]*+3"),
        ("a.example*2,a.example=127.0.0.2", "a.example*2, a.example=127.0.0.2"),
    ],
)
def test_list_is_shown_as_it_was_written(text: str, shown: str) -> None:
    """And reads back the same."""
    dns_list = _list(text)
    assert str(dns_list) == shown
    assert _list(shown) == dns_list


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        (f"{KEY}.zen.dq.spamhaus.net*3", "********.zen.dq.spamhaus.net", "********.zen.dq.spamhaus.net*3"),
        (f"{KEY.upper()}.zen.dq.spamhaus.net", "********.zen.dq.spamhaus.net", "********.zen.dq.spamhaus.net"),
        (f"{KEY}.bl.example", "********.bl.example", "********.bl.example"),
        ("short1.dyna.spamrats.com", "********.dyna.spamrats.com", "********.dyna.spamrats.com"),
        ("Short1.dyna.spamrats.com", "********.dyna.spamrats.com", "********.dyna.spamrats.com"),
        ("Zen.Spamhaus.org", "zen.spamhaus.org", "zen.spamhaus.org"),
    ],
)
def test_key_is_shown_neither_in_name_nor_in_text(text: str, name: str, shown: str) -> None:
    dns_list = _list(text)
    assert (dns_list.name, str(dns_list)) == (name, shown)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("bl.example", 0, 1),
        ("bl.example*3", 0, 3),
        ("bl.example*-2", -2, 0),
        ("bl.example*0", 0, 0),
        ("bl.example=127.0.0.2*3, bl.example=127.0.0.3*4, bl.example=127.0.0.4*-1, bl.example*-5", -6, 7),
    ],
)
def test_what_a_list_can_count(text: str, least: int, most: int) -> None:
    assert (_list(text).least, _list(text).most) == (least, most)


@pytest.mark.parametrize(
    ("text", "codes", "weight"),
    [
        pytest.param("bl.example", ["127.9.9.9"], 1, id="any code without a filter"),
        pytest.param("bl.example*3", ["127.0.0.2", "127.0.0.3"], 3, id="two codes count once"),
        pytest.param("bl.example=127.0.0.2", ["127.0.0.4"], 0, id="a code that the operator does not count"),
        pytest.param("bl.example=127.0.0.2*7", ["127.0.0.4", "127.0.0.2"], 7, id="one of several fits"),
        pytest.param("bl.example=127.0.0.2*-2", ["127.0.0.2"], -2, id="an allowance"),
        pytest.param("bl.example=127.0.0.2*3 bl.example=127.0.0.4*4", ["127.0.0.2"], 3, id="one entry of two"),
        pytest.param("bl.example=127.0.0.2*3 bl.example=127.0.0.4*4", ["127.0.0.2", "127.0.0.4"], 7, id="both"),
        pytest.param("bl.example*3 bl.example=127.0.0.4*4", ["127.0.0.4"], 7, id="both of one code"),
        pytest.param("bl.example*3 bl.example=127.0.0.4*-4", ["127.0.0.4"], -1, id="against each other"),
        pytest.param("bl.example=127.0.0.1", ["127.0.0.1", "127.0.0.2"], 0, id="an error beside a listing"),
        pytest.param("list.dnswl.org=127.0.10.3*9", ["127.0.10.3", "127.0.5.1"], 0, id="the list's own error beside"),
        pytest.param("hostkarma.junkemailfilter.com=127.0.0.1*-2", ["127.0.0.1"], -2, id="where .1 is a listing"),
    ],
)
def test_weight(text: str, codes: list[str], weight: int) -> None:
    """All entries of which the answer has a code add up."""
    assert _list(text).weight(_listed(*codes)) == weight


@pytest.mark.parametrize("meaning", [meaning for meaning in Meaning if meaning is not Meaning.LISTED])
def test_only_a_listing_counts(meaning: Meaning) -> None:
    """Whatever stands in the filter."""
    answer = Answer(meaning, _codes("127.0.0.2"))
    assert _list("bl.example*3, bl.example=127.0.0.2*5").weight(answer) == 0


@pytest.mark.parametrize(
    ("zone", "codes", "meaning", "why"),
    [
        pytest.param("bl.example", [], Meaning.CLEAR, "", id="no answer"),
        pytest.param("bl.example", ["127.0.0.2"], Meaning.LISTED, "", id="listed"),
        pytest.param("bl.example", ["127.255.254.255", "127.0.1.1"], Meaning.LISTED, "", id="any code of 127/8"),
        pytest.param(
            "bl.example",
            ["127.0.0.1"],
            Meaning.REFUSED,
            "127.0.0.1: 127.0.0.1 is no listing but an error",
            id="127.0.0.1 is an error anywhere",
        ),
        pytest.param(
            "bl.example", ["127.255.255.0"], Meaning.REFUSED, "127.255.255.0: you may not ask", id="a refusal anywhere"
        ),
        pytest.param("hostkarma.junkemailfilter.com", ["127.0.0.1"], Meaning.LISTED, "", id="but where it is a code"),
        pytest.param(
            "zen.spamhaus.org",
            ["127.255.255.254"],
            Meaning.REFUSED,
            "127.255.255.254: asked through a public resolver, or one with a generic host name",
            id="Spamhaus: public resolver",
        ),
        pytest.param(
            "list.dnswl.org",
            ["127.0.10.3"],
            Meaning.REFUSED,
            "127.0.10.3: too many queries: it called every address trusted",
            id="dnswl.org: throttled",
        ),
        pytest.param(
            "list.dnswl.org", ["127.0.0.255"], Meaning.REFUSED, "127.0.0.255: too many queries", id="dnswl.org: blocked"
        ),
        pytest.param("list.dnswl.org", ["127.0.11.3"], Meaning.LISTED, "", id="dnswl.org: the next category"),
        pytest.param("bl.example", ["127.0.0.255"], Meaning.LISTED, "", id="another list may mean it"),
        pytest.param("bl.example", ["127.0.0.1", "127.0.0.2"], Meaning.LISTED, "", id="a listing beside an error"),
        pytest.param(
            "bl.example",
            ["127.255.255.1", "127.0.0.1"],
            Meaning.REFUSED,
            "127.255.255.1: you may not ask",
            id="nothing but errors",
        ),
        pytest.param(
            "bl.example",
            ["192.0.2.1"],
            Meaning.PARKED,
            "192.0.2.1, which is no return code: its domain is parked",
            id="a parked domain",
        ),
        pytest.param(
            "bl.example",
            ["127.0.0.2", "128.0.0.2", "192.0.2.1"],
            Meaning.PARKED,
            "128.0.0.2, which is no return code: its domain is parked",
            id="a listing beside an address just outside",
        ),
        pytest.param(
            "bl.example",
            ["126.255.255.255"],
            Meaning.PARKED,
            "126.255.255.255, which is no return code: its domain is parked",
            id="outside on the other side",
        ),
        *(
            pytest.param(
                "bl.example",
                [code],
                Meaning.PARKED,
                f"{code}, which is no return code: the resolver filters it, or its domain is parked",
                id=f"a filter that answers {code}",
            )
            for code in ("0.0.0.0", "192.168.1.1")
        ),
    ],
)
def test_understand(zone: str, codes: list[str], meaning: Meaning, why: str) -> None:
    """What means "you may not ask", or is no list's answer at all, is told apart from a listing and from none."""
    assert interpret(find_known_list(zone), codes) == Answer(meaning, _codes(*codes), why)


def test_what_tells_of_the_client() -> None:
    assert {meaning for meaning in Meaning if Answer(meaning).is_conclusive} == {Meaning.LISTED, Meaning.CLEAR}


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
    assert query_name(parsed, "bl.example") == name


@pytest.mark.parametrize(
    ("text", "answer", "words"),
    [
        ("bl.example*3", _listed("127.0.0.2"), "bl.example lists it: 127.0.0.2 (weight 3)"),
        ("bl.example=127.0.0.3", _listed("127.0.0.2"), "bl.example lists it: 127.0.0.2 (fits no filter)"),
        ("bl.example*0", _listed("127.0.0.2"), "bl.example lists it: 127.0.0.2 (weight 0)"),
        ("bl.example", _listed("127.0.0.2", "127.0.0.9"), "bl.example lists it: 127.0.0.2, 127.0.0.9 (weight 1)"),
        ("bl.example", Answer(Meaning.CLEAR), "bl.example does not list it"),
        ("bl.example", Answer(Meaning.REFUSED, why="you may not ask"), "bl.example unknown: you may not ask"),
        ("bl.example", Answer(Meaning.PARKED, why="parked"), "bl.example unknown: parked"),
        ("bl.example", Answer(Meaning.FAILED, why="SERVFAIL"), "bl.example unknown: SERVFAIL"),
        ("bl.example", Answer(Meaning.SILENT, why="no answer in time"), "bl.example unknown: no answer in time"),
        ("bl.example", Answer(Meaning.SET_ASIDE, why="it is ill"), "bl.example not queried: it is ill"),
        ("bl.example", Answer(Meaning.NOT_SERVED, why="no IPv6"), "bl.example not queried: no IPv6"),
        (f"{KEY}.zen.dq.spamhaus.net", Answer(Meaning.CLEAR), "********.zen.dq.spamhaus.net does not list it"),
    ],
)
def test_words(text: str, answer: Answer, words: str) -> None:
    """What `bley explain` and the log say of an answer."""
    assert str(ListAnswer(_list(text), answer)) == words


def test_words_say_what_the_codes_mean_and_what_they_count() -> None:
    answer = ListAnswer(_list("zen.spamhaus.org=127.0.0.3*2"), _listed("127.0.0.3", "127.0.0.77"), "the list's words")
    words = str(answer)
    assert words.startswith("zen.spamhaus.org lists it: 127.0.0.3 = CSS: sends mail of low reputation, found")
    assert words.endswith(" 127.0.0.77 (weight 2)")
    assert (answer.weight, answer.text) == (2, "the list's words")
