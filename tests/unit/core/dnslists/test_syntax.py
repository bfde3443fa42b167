"""How a DNS list is written: postscreen's syntax, faults with a caret under the place, and keys that stay hidden."""

from ipaddress import IPv4Address

import pytest

from bley.core.dnslists.syntax import Entry, Filter, hide_keys, parse_entry, parse_filter

KEY = "abcdefghij0123456789klmnop"  # as long as Spamhaus's


@pytest.mark.parametrize(
    ("text", "zone", "codes", "weight"),
    [
        ("zen.spamhaus.org", "zen.spamhaus.org", None, 1),
        ("bl.example=127.0.0.2", "bl.example", "127.0.0.2", 1),
        ("bl.example*3", "bl.example", None, 3),
        ("bl.example=127.0.0.[2..11]*3", "bl.example", "127.0.0.[2..11]", 3),
        ("list.dnswl.org=127.0.[0..255].[1;2..3]*-2", "list.dnswl.org", "127.0.[0..255].[1..3]", -2),
        ("bl.example*+7", "bl.example", None, 7),
        ("bl.example*-99", "bl.example", None, -99),
        ("bl.example*99", "bl.example", None, 99),
        ("bl.example*0", "bl.example", None, 0),
        pytest.param("Zen.Spamhaus.ORG", "zen.spamhaus.org", None, 1, id="case does not matter (RFC 4343)"),
        pytest.param("bl.example.", "bl.example", None, 1, id="the final dot"),
        pytest.param("bl.example.=127.0.0.2", "bl.example", "127.0.0.2", 1, id="the final dot before a filter"),
        pytest.param("bl.example.*2", "bl.example", None, 2, id="the final dot before a weight"),
        pytest.param("key-123_x.bl.example", "key-123_x.bl.example", None, 1, id="what a key may be made of"),
        pytest.param(f"{'x' * 63}.example", f"{'x' * 63}.example", None, 1, id="a label as long as can be"),
    ],
)
def test_entry(text: str, zone: str, codes: str | None, weight: int) -> None:
    """An entry keeps what stands behind its zone, so that it can be shown as it was written."""
    rest = text[len(zone) :].removeprefix(".")
    assert parse_entry(text) == Entry(zone, parse_filter(codes) if codes else None, weight, rest)


@pytest.mark.parametrize(
    ("codes", "counted", "not_counted"),
    [
        ("127.0.0.2", ["127.0.0.2"], ["127.0.0.3", "127.0.1.2", "127.1.0.2", "128.0.0.2"]),
        ("127.0.0.[2..11]", ["127.0.0.2", "127.0.0.11"], ["127.0.0.1", "127.0.0.12", "127.0.1.2"]),
        (
            "127.0.0.[2;4..6;9]",
            ["127.0.0.2", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.9"],
            ["127.0.0.3", "127.0.0.7"],
        ),
        ("127.0.[0..255].[1..3]", ["127.0.0.1", "127.0.255.3"], ["127.0.5.4", "127.1.5.3"]),
        ("127.[0;2].[1..3].[4;5]", ["127.0.1.4", "127.2.3.5"], ["127.1.1.4", "127.0.4.4", "127.0.1.6"]),
        ("[126..127].0.0.2", ["126.0.0.2", "127.0.0.2"], ["125.0.0.2"]),
        ("127.0.0.[7]", ["127.0.0.7"], ["127.0.0.6", "127.0.0.8"]),
        ("127.0.0.[7..7]", ["127.0.0.7"], ["127.0.0.6", "127.0.0.8"]),
        ("127.0.0.[9;2]", ["127.0.0.2", "127.0.0.9"], ["127.0.0.5"]),
        ("127.0.0.[2..5;4..6]", ["127.0.0.2", "127.0.0.6"], ["127.0.0.7"]),
        ("127.000.0.02", ["127.0.0.2"], ["127.0.0.3"]),
    ],
)
def test_filter(codes: str, counted: list[str], not_counted: list[str]) -> None:
    """Numbers, ranges and alternatives, in every octet."""
    read = parse_filter(codes)
    assert [code for code in counted if IPv4Address(code) not in read] == []
    assert [code for code in not_counted if IPv4Address(code) in read] == []


def test_filters_that_mean_the_same_are_equal() -> None:
    same = {parse_filter(text) for text in ("127.0.0.[2..4]", "127.0.0.[4;3;2]", "127.0.0.[2..3;3..4]")}
    assert same == {Filter((frozenset({127}), frozenset({0}), frozenset({0}), frozenset({2, 3, 4})))}


_LABEL = "a label of letters, digits, hyphens and underscores belongs here"
_ENTRY_FAULTS = f"""
localhost
         ^ a zone has at least two labels, as in zen.spamhaus.org
localhost.
          ^ a zone has at least two labels, as in zen.spamhaus.org
zen..spamhaus.org
    ^ {_LABEL}
.zen.spamhaus.org
^ {_LABEL}
bl.example..
           ^ {_LABEL}
=127.0.0.2
^ {_LABEL}
bl.example..=127.0.0.2
           ^ {_LABEL}
bl.bücher.example
    ^ =filter, *weight or the end belongs here
zen/spamhaus.org
   ^ a zone has at least two labels, as in zen.spamhaus.org
zen.spamhaus/org
            ^ =filter, *weight or the end belongs here
bl.example:127.0.0.2
          ^ =filter, *weight or the end belongs here
bl.example=
           ^ a number from 0 to 255 belongs here
bl.example=127.0.0
                  ^ . belongs here, of four octets, as in 127.0.0.2 or 127.0.[0..255].3
bl.example=127.0.*
                 ^ a number from 0 to 255 belongs here
bl.example=127.0.0*2
                  ^ . belongs here, of four octets, as in 127.0.0.2 or 127.0.[0..255].3
bl.example=127.0.0.
                   ^ a number from 0 to 255 belongs here
bl.example=127.0.0.2.3
                    ^ *weight or the end belongs here
bl.example=127.0.0.2=127.0.0.3
                    ^ *weight or the end belongs here
bl.example=127.0.0.256
                   ^ a number from 0 to 255 belongs here
bl.example=127.0.0.1000
                   ^ a number from 0 to 255 belongs here
bl.example=127.0.0.0002
                   ^ a number from 0 to 255 belongs here
bl.example=127.0.0.-2
                   ^ a number from 0 to 255 belongs here
bl.example=127.0.0.[]
                    ^ a number from 0 to 255 belongs here
bl.example=127.0.0.[2
                     ^ ] belongs here, ; or .., as in [2..11] or [2;4;6..8]
bl.example=127.0.0.[2-4]
                     ^ ] belongs here, ; or .., as in [2..11] or [2;4;6..8]
bl.example=127.0.0.[2..]
                       ^ a number from 0 to 255 belongs here
bl.example=127.0.0.[2..4..6]
                        ^ ] belongs here, ; or .., as in [2..11] or [2;4;6..8]
bl.example=127.0.0.[2;]
                      ^ a number from 0 to 255 belongs here
bl.example=127.0.0.[2;1..300]
                         ^ a number from 0 to 255 belongs here
bl.example=127.0.0.[11..2]
                        ^ 11..2 is empty: write the smaller number first
bl.example=127.0.0.[11..02]
                        ^ 11..2 is empty: write the smaller number first
bl.example=127.0.0.[255..254]
                         ^ 255..254 is empty: write the smaller number first
bl.example=127.0.0.[2..4]]
                         ^ *weight or the end belongs here
bl.example*
           ^ a weight from -99 to 99 belongs here
bl.example*x
           ^ a weight from -99 to 99 belongs here
bl.example*100
           ^ a weight from -99 to 99 belongs here
bl.example*-100
           ^ a weight from -99 to 99 belongs here
bl.example*--1
           ^ a weight from -99 to 99 belongs here
bl.example=127.0.0.2*
                     ^ a weight from -99 to 99 belongs here
bl.example*1.5
            ^ the end belongs here
bl.example*1*2
            ^ the end belongs here
bl.example*2=127.0.0.2
            ^ the end belongs here
bl.example=127.0.0.2*3*4
                      ^ the end belongs here
"""


_CASES = dict(zip(_ENTRY_FAULTS.strip().splitlines()[::2], _ENTRY_FAULTS.strip().splitlines()[1::2], strict=True))


@pytest.mark.parametrize("text", _CASES)
def test_fault_is_shown_with_a_caret_under_the_place(text: str) -> None:
    """Three lines: what would be right, the entry, the caret."""
    blanks, _, what = _CASES[text].partition("^ ")
    with pytest.raises(ValueError, match=r"\^$") as caught:
        parse_entry(text)
    assert str(caught.value) == f"{what}\n    {text}\n    {blanks}^"


def test_nothing_is_no_entry() -> None:
    with pytest.raises(ValueError, match=r"\^$") as caught:
        parse_entry("")
    assert str(caught.value) == f"{_LABEL}\n    \n    ^"


def test_filter_of_its_own_has_no_weight() -> None:
    with pytest.raises(ValueError, match=r"\^$") as caught:
        parse_filter("127.0.0.2*3")
    assert str(caught.value) == "the end belongs here\n    127.0.0.2*3\n             ^"


def test_label_that_is_too_long() -> None:
    """RFC 1035 2.3.4; hidden, since nothing but a key is as long."""
    with pytest.raises(ValueError, match=r"\^$") as caught:
        parse_entry(f"bl.{'x' * 64}.example")
    assert str(caught.value) == "a label has at most 63 characters\n    bl.********.example\n       ^"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{KEY}.zen.dq.spamhaus.net", "********.zen.dq.spamhaus.net"),
        (f"{KEY.upper()}.zen.dq.spamhaus.net", "********.zen.dq.spamhaus.net"),
        (f"{KEY}.a.example, {KEY}.b.example", "********.a.example, ********.b.example"),
        ("x" * 20, "********"),
        (f"{'x' * 19}.{'y' * 19}", f"{'x' * 19}.{'y' * 19}"),
        ("backscatter.spameatingmonkey.net=127.0.0.2*3", "backscatter.spameatingmonkey.net=127.0.0.2*3"),
    ],
)
def test_hide_keys(text: str, shown: str) -> None:
    """What has twenty letters and digits in a row is a key; no list's own name has."""
    assert hide_keys(text) == shown


@pytest.mark.parametrize(
    ("rest", "shown"),
    [
        pytest.param("", "********\n            ^", id="behind it"),
        pytest.param("..dq.example", "********..dq.example\n             ^", id="just behind it"),
        pytest.param(".dq.example=127.0.0", "********.dq.example=127.0.0\n                               ^", id="far"),
        pytest.param(".dq.example*100", "********.dq.example*100\n                        ^", id="to the left again"),
    ],
)
def test_key_is_no_part_of_a_fault(rest: str, shown: str) -> None:
    """And the caret stands under the place in what is shown, not in what was written."""
    with pytest.raises(ValueError, match=r"\^$") as caught:
        parse_entry(KEY + rest)
    assert str(caught.value).partition("\n    ")[2] == shown


@pytest.mark.parametrize(
    "text", [f"bl.example={KEY}", f"bl.example*{KEY}", f"bl.example=127.0.0.[{KEY}]", f"bl.example*5{KEY}", f"={KEY}"]
)
def test_key_in_the_wrong_place_is_hidden_too(text: str) -> None:
    with pytest.raises(ValueError, match=r"\*{8}") as caught:
        parse_entry(text)
    assert KEY not in str(caught.value)
