"""The syntax of the whole record comes first (RFC 7208 4.6), and only syntax errors are errors."""

import pytest
import spf

from bley.checks.spf_syntax import split_record


def split(record: str) -> tuple[list[str], str]:
    return split_record(record, lambda _length: None)


@pytest.mark.parametrize(
    "record",
    [
        *(f"v=spf1 ip4:192.0.2.1{character} -all" for character in "\n\r\t\0\x7f\x1f\x80\xfcü"),
        *(f"v=spf1 -all x={character}" for character in "\n\r\t\0\x7fü"),
        "v=spf1 -all\n",
        "v=spf1\n -all",
        "v=spf1 redirect=a.example redirect=a.example",
        "v=spf1 redirect=a.example -all Redirect=b.example",
        "v=spf1 exp=a.example -all EXP=a.example",
        "v=spf1 redirect=",
        "v=spf1 exp= -all",
        "v=spf1 redirect=example",
        "v=spf1 -all redirect=a.example/24",
        "v=spf1 redirect=a.1",
        "v=spf1 exp=a.example- -all",
        "v=spf1 redirect=%{d",
        "v=spf1 -all exp=%{x}.example",
        "v=spf1 redirect=%{r}.example",
        "v=spf1 -all x=%",
        "v=spf1 -all x=%{d0}",
        "v=spf1 default=%{ -all",
        "v=spf1 op=%x -all",
    ],
    ids=ascii,
)
def test_a_syntax_error_is_one_wherever_it_is(record: str) -> None:
    """RFC 7208 4.6: a record is ASCII; 6: redirect and exp appear once at most; 7.1: the syntax of macros."""
    with pytest.raises(spf.PermError):
        split(record)


@pytest.mark.parametrize(
    ("record", "directives", "redirect"),
    [
        ("v=spf1", [], ""),
        ("v=spf1   a  -all ", ["a", "-all"], ""),
        ("v=spf1 redirect=a.example mx", ["mx"], "a.example"),
        ("v=spf1 REDIRECT=%{d}", [], "%{d}"),
        ("v=spf1 redirect=a.example ?ALL", ["?ALL"], ""),
        ("v=spf1 x=1 x=1 X=%{l} y.z-1=%%~! -all", ["-all"], ""),
        ("v=spf1 exp=a.example mx", ["mx"], ""),
        ("v=spf1 exists:x=y.example 1x=a -x=a", ["exists:x=y.example", "1x=a", "-x=a"], ""),
    ],
)
def test_only_directives_and_redirect_decide(record: str, directives: list[str], redirect: str) -> None:
    """RFC 7208 6: unknown modifiers are ignored, however often they appear; 6.1: so is redirect where `all` is."""
    assert split(record) == (directives, redirect)
