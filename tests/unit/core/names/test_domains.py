"""Whose domain a name is in."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PSLFILE, PublicSuffixList

from bley.core.names.domains import a_labels, domains_of, registered_domain, with_a_labels


@pytest.mark.parametrize(
    ("name", "registered", "delegated"),
    [
        ("mx.example.com", "example.com", "example.com"),
        ("example.com", "example.com", "example.com"),
        ("a.b.example.co.uk", "example.co.uk", "example.co.uk"),
        ("MX.Example.COM.", "example.com", "example.com"),
        ("www.jane.dyndns.org", "jane.dyndns.org", "dyndns.org"),
        (
            "ec2-192-0-2-1.eu-west-1.compute.amazonaws.com",
            "ec2-192-0-2-1.eu-west-1.compute.amazonaws.com",
            "amazonaws.com",
        ),
        ("dyndns.org", "", "dyndns.org"),
        ("co.uk", "", ""),
        ("com", "", ""),
        ("localhost", "", ""),
        ("", "", ""),
        (".", "", ""),
    ],
)
def test_domains(name: str, registered: str, delegated: str) -> None:
    """Below a private suffix neighbours are strangers to each other, though one registry entry holds them all."""
    assert registered_domain(name) == registered
    assert domains_of(name).delegated == delegated


@given(st.text() | st.text(alphabet="ab.-[]:1ü\u3002\u200d "))
def test_any_text_has_a_domain_or_none(name: str) -> None:
    """HELO names come from the wire: a domain is the end of its name, and nothing is raised."""
    for domain in (registered_domain(name), domains_of(name).delegated):
        assert name.rstrip(".").lower().endswith(domain)


def test_the_two_parts_of_the_list_say_together_what_the_whole_says() -> None:
    """For a name at, below and far below each rule there is."""
    whole = PublicSuffixList()
    rules = {line.split()[0] for line in Path(PSLFILE).read_text().splitlines() if line and not line.startswith("//")}
    names = [below + rule.lstrip("!").replace("*", "x") for rule in rules for below in ("", "a.", "b.a.", "c.b.a.")]
    assert len(names) > 30_000
    wrong = [name for name in names if registered_domain(name) != (whole.privatesuffix(name.lower()) or "")]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "as_compared"),
    [
        ("MX.Example.COM.", "mx.example.com"),
        ("MÜNCHEN.example.", "xn--mnchen-3ya.example"),
        ("XN--mnchen-3YA.example", "xn--mnchen-3ya.example"),
        ("Straße.example", "xn--strae-oqa.example"),
        ("ΟΔΥΣΣΕΥΣ.example", a_labels("οδυσσευσ.example")),
        ("a_b.über.example", "a_b.xn--ber-goa.example"),
        ("ｅｘａｍｐｌｅ。com", "example.com"),  # noqa: RUF001 (as somebody may type it)
        ("Ü_b.example", "ü_b.example"),
        ("Ü" * 64 + ".example", "ü" * 64 + ".example"),
        (".", ""),
        ("", ""),
    ],
)
def test_names_are_compared_by_their_a_labels(name: str, as_compared: str) -> None:
    """A label that has none, such as one too long or with an underscore, is case-folded."""
    assert a_labels(name) == as_compared


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20) | st.text(alphabet="aẞß.-_:1üΣς\u3002\u200d "))
def test_what_is_compared_stays_as_it_is(name: str) -> None:
    assert a_labels(a_labels(name)) == a_labels(name)


@given(st.text(alphabet=st.characters(min_codepoint=ord("!"), max_codepoint=127)))
def test_ascii_is_only_lowered(name: str) -> None:
    assert a_labels(name) == name.lower().rstrip(".")


@given(st.text(), st.text(alphabet=". \r\u2003\u3002"))
def test_neither_dots_nor_white_space_end_a_name(name: str, end: str) -> None:
    compared = a_labels(name + end)
    assert compared == a_labels(name) == a_labels(compared)
    assert compared == compared.rstrip().rstrip(".\u3002")


@pytest.mark.parametrize(
    ("address", "as_compared"),
    [
        ("JÜRGEN@München.example.", "JÜRGEN@xn--mnchen-3ya.example"),
        ("a@b@Example.com", "a@b@example.com"),
        ("jane", "jane"),
        ("", ""),
    ],
)
def test_only_the_domain_of_a_mail_address_has_a_labels(address: str, as_compared: str) -> None:
    assert with_a_labels(address) == as_compared
