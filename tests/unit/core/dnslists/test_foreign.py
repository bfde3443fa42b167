"""Lists as other programs write them: what is taken, and what each other form is told instead."""

import pytest

from bley.core.dnslists.foreign import find_foreign_form
from bley.core.dnslists.lists import parse_dns_lists, parse_domain_lists

_CODES = "list the return codes that count, as in =127.0.0.[2..11]"
_ADDRESS = "no zone is an address: write several return codes of a list as =127.0.0.[2;3]"
_ALONE = "bley looks up the client's address: write the zone alone"
_VARIABLE = "bley has no variables, and looks up the client's address: write the zone alone"
_ELSEWHERE = "bley looks up domains in domain_lists: write the zone alone there"
_SEPARATOR = "a comma or white space separates entries, and a comment needs a line of its own"
_RANGE = "write a range of return codes as 127.0.0.[0..255]"
_PLAIN = "write entries without quotes and backslashes"


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        pytest.param("a.example : b.example", ["a.example", "b.example"], id="Exim's colons"),
        pytest.param("a.example=127.0.0.2:b.example*2", ["a.example=127.0.0.2", "b.example*2"], id="without a space"),
        pytest.param("a.example = 127.0.0.2 * 3", ["a.example=127.0.0.2*3"], id="spaces around a mark"),
        pytest.param(
            "a.example=127.0.0.[2..11]*3\n  B.example.*-2",
            ["a.example=127.0.0.[2..11]*3", "b.example*-2"],
            id="postscreen",
        ),
    ],
)
def test_what_is_plain_is_taken(text: str, lists: list[str]) -> None:
    assert list(map(str, parse_dns_lists(text))) == lists


@pytest.mark.parametrize(
    ("text", "part", "place", "what"),
    [
        ("zen.spamhaus.org=127.0.0.2,127.0.0.3", "127.0.0.3", 0, _ADDRESS),
        ("192.0.2.1*2", "192.0.2.1*2", 0, _ADDRESS),
        ("192.0.2.1.", "192.0.2.1.", 0, _ADDRESS),
        ("bl.example:127.0.0.2", "127.0.0.2", 0, _ADDRESS),
        ("2001:db8::1", "2001", 0, _ADDRESS),
        ("bl.example!=127.0.0.3", "bl.example!=127.0.0.3", 10, f"bley has no negation: {_CODES}"),
        ("!bl.example", "!bl.example", 0, f"bley has no negation: {_CODES}"),
        ("bl.example&0.0.0.6", "bl.example&0.0.0.6", 10, f"bley has no bit mask: {_CODES}"),
        ("bl.example=&0.0.0.6", "bl.example=&0.0.0.6", 10, f"write one =, and {_CODES}"),
        ("bl.example==127.0.0.2", "bl.example==127.0.0.2", 10, f"write one =, and {_CODES}"),
        ("bl.example/$sender_address_domain", "bl.example/$sender_address_domain", 11, _ELSEWHERE),
        ("bl.example/${sender_helo_name}", "bl.example/${sender_helo_name}", 11, _ELSEWHERE),
        ("bl.example/$acl_m_key", "bl.example/$acl_m_key", 11, _VARIABLE),
        ("bl.example/key", "bl.example/key", 10, _ALONE),
        ("<; bl.example", "<;", 0, _SEPARATOR),
        ("a.example;b.example", "a.example;b.example", 9, _SEPARATOR),
        ("a.example=127.0.0.[2;3]; b.example", "a.example=127.0.0.[2;3];", 23, _SEPARATOR),
        ("a.example # ours", "#", 0, _SEPARATOR),
        ("reject_rbl_client bl.example", "reject_rbl_client", 0, "write only the zone of this restriction of Postfix"),
        (
            "permit_dnswl_client bl.example",
            "permit_dnswl_client",
            0,
            "write only the zone of this restriction of Postfix",
        ),
        ("'bl.example', 3.25, 0, 'BL'", "'bl.example'", 0, _PLAIN),
        ('rbl = "bl.example";', 'rbl="bl.example";', 4, _PLAIN),
        ("a.example, \\\n b.example", "\\", 0, _PLAIN),
        ("none", "none", 0, "write nothing after = for no list"),
        ("[]", "[]", 0, "write nothing after = for no list"),
        ("https://bl.example/", "https://bl.example/", 0, "write the zone alone, without http://"),
        ("bl.example=127.0.0.0/24", "bl.example=127.0.0.0/24", 20, _RANGE),
        ("bl.example=127.0.0.2-11", "bl.example=127.0.0.2-11", 20, _RANGE),
        ("bl.example=127.0.0.2..11", "bl.example=127.0.0.2..11", 20, _RANGE),
        ("bl.example=*", "bl.example=*", 11, _RANGE),
        (
            "bl.example=127.0.0.2|127.0.0.3",
            "bl.example=127.0.0.2|127.0.0.3",
            20,
            "write several return codes as 127.0.0.[2;3]",
        ),
        ("bl.example=127.0.*", "bl.example=127.0.*", 17, _RANGE),
        ("bl.example*1.5", "bl.example*1.5", 12, "a weight is a whole number from -99 to 99"),
        (
            "bl.bücher.example",
            "bl.bücher.example",
            4,
            "a zone has ASCII characters only: write A-labels, as in xn--bcher-kva.example",
        ),
    ],
)
def test_other_form_is_named_with_the_right_one(text: str, part: str, place: int, what: str) -> None:
    """The caret is under the form, in the entry that has it."""
    with pytest.raises(ValueError, match=r"\^$") as caught:
        parse_dns_lists(text)
    assert str(caught.value) == f"{what}\n    {part}\n    {' ' * place}^"


@pytest.mark.parametrize("entry", ["dbl.example/$sender_address_domain", "dbl.example/%d"])
def test_variables_in_domain_lists_are_named_by_what_is_looked_up(entry: str) -> None:
    what = "bley has no variables, and looks up the domains of sender, HELO and client: write the zone alone"
    with pytest.raises(ValueError, match=what):
        parse_domain_lists(entry)


@pytest.mark.parametrize(
    "entry",
    ["bl.example", "127.0.0.2.bl.example", "1.bl.example*2", "bl.example.*-2", "bl.example=127.0.0.[2;4..5]*+3"],
)
def test_own_form_is_not_foreign(entry: str) -> None:
    assert find_foreign_form(entry) is None
