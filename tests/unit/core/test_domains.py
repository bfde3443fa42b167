"""Whose domain a name is in."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PSLFILE, PublicSuffixList

from bley.core.domains import delegated_domain, registered_domain


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
    assert delegated_domain(name) == delegated


@given(st.text() | st.text(alphabet="ab.-[]:1ü\u3002\u200d "))
def test_any_text_has_a_domain_or_none(name: str) -> None:
    """HELO names come from the wire: a domain is the end of its name, and nothing is raised."""
    for domain in (registered_domain(name), delegated_domain(name)):
        assert name.rstrip(".").lower().endswith(domain)


def test_the_two_parts_of_the_list_say_together_what_the_whole_says() -> None:
    """For a name at, below and far below each rule there is."""
    whole = PublicSuffixList()
    rules = {line.split()[0] for line in Path(PSLFILE).read_text().splitlines() if line and not line.startswith("//")}
    names = [below + rule.lstrip("!").replace("*", "x") for rule in rules for below in ("", "a.", "b.a.", "c.b.a.")]
    assert len(names) > 30_000
    wrong = [name for name in names if registered_domain(name) != (whole.privatesuffix(name.lower()) or "")]
    assert wrong == []
