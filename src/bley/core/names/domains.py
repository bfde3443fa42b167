"""Domain names: their form for comparisons, and their registered domain by the public suffix list.

Sources: RFC 5890 2.3.2.1, UTS 46; publicsuffix.org, in the copy of the package publicsuffixlist.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple

import idna

from bley.core.mail import NAME_ENDING
from bley.data.files import read_public_suffixes

__all__ = [
    "Domains",
    "Suffix",
    "a_labels",
    "domains_of",
    "load_suffixes",
    "owner_domain",
    "registered_domain",
    "with_a_labels",
]

_DOTS = re.compile("[.\u3002\uff0e\uff61]")
"""The characters that separate labels (RFC 3490 3.1)."""

_LONGEST_NAME = 253
"""Characters of a name (RFC 1035 2.3.4). A longer one is no domain, and would take 8 us a character."""

_LONGEST_LABEL = 63
"""Octets of a label (RFC 1035 2.3.4). A longer one has no A-label, and takes no time."""


@lru_cache(maxsize=4096)
def a_labels(name: str) -> str:
    """Return the name as the DNS compares it: in lower case, non-ASCII labels as A-labels, without a NAME_ENDING.

    A label without an A-label is case-folded. ASCII is converted to lower case only, so that SQL can do the same.
    """
    name = name.rstrip(NAME_ENDING)
    if name.isascii():
        return name.lower()
    if len(folded := name.casefold()) > _LONGEST_NAME:
        return folded
    return ".".join(map(_a_label, _DOTS.split(name)))


def _a_label(label: str) -> str:
    if label.isascii() or len(label) > _LONGEST_LABEL:
        return label.casefold()
    try:
        return idna.encode(label, uts46=True).decode()
    except idna.IDNAError:
        return label.casefold()


def with_a_labels(address: str) -> str:
    """Return the mail address with its domain as the DNS compares it. The local part is unchanged."""
    local, at, domain = address.rpartition("@")
    return local + at + a_labels(domain) if at else address


class Suffix(NamedTuple):
    """The number of labels of the public suffix that names below a suffix have, by each section of the list; 0: none.

    `com` has one label. `*.ck` gives the names below `ck` a public suffix of two labels, and `!www.ck` one of one.
    """

    icann: int = 0
    """By a rule of a registry."""
    private: int = 0
    """By a rule of the owner of a domain."""


_NO_RULE = Suffix()
_suffix = cache(Suffix)
"""The 11,000 suffixes of the list share a dozen of these."""


@cache
def load_suffixes() -> Mapping[str, Suffix]:
    """Return the public suffix list. The first call parses it in some 50 ms: make it before the first request.

    It has every name that ends a rule, so that a search from the right may stop at the first name without one.
    """
    suffixes: dict[str, Suffix] = {}
    is_private = False
    for line in read_public_suffixes():
        is_private |= b"BEGIN PRIVATE DOMAINS" in line
        if line.strip() and not line.startswith(b"//"):
            rule = line.decode().split()[0]
            _add_rule(suffixes, rule, is_private=is_private)
            if not rule.isascii():
                _add_rule(suffixes, rule.encode("idna").decode(), is_private=is_private)
    return suffixes


def _add_rule(suffixes: dict[str, Suffix], rule: str, *, is_private: bool) -> None:
    labels = rule.count(".") + (not rule.startswith("!"))
    name = rule.lstrip("!*.")
    icann, private = suffixes.get(name, _NO_RULE)
    suffixes[name] = _suffix(icann, max(private, labels)) if is_private else _suffix(max(icann, labels), private)
    while name := name.partition(".")[2]:
        suffixes.setdefault(name, _NO_RULE)


class Domains(NamedTuple):
    """The domains that a name is in, by the public suffix list; empty if there is none."""

    registered: str = ""
    """The domain of one owner: `example.co.uk` for `mx.example.co.uk`.

    Private suffixes count: neighbors below `compute.amazonaws.com` or `dyndns.org` have different owners.
    """
    delegated: str = ""
    """The domain that a registry delegated: as `registered`, but `dyndns.org` for `home.dyndns.org`."""
    is_known: bool = False
    """The list has the name's top-level domain. Names of private networks have others."""


_NO_DOMAINS = Domains()


@lru_cache(maxsize=4096)
def domains_of(name: str) -> Domains:
    """Return the domains that the name is in."""
    labels = name.rstrip(".").lower().split(".")
    if "" in labels:
        return _NO_DOMAINS
    suffixes, suffix, icann, private = load_suffixes(), "", 0, 0
    for label in reversed(labels):
        suffix = f"{label}.{suffix}" if suffix else label
        rule = suffixes.get(suffix)
        if rule is None:
            break
        icann, private = rule.icann or icann, rule.private or private
    public = icann or 1
    delegated = ".".join(labels[-public - 1 :]) if len(labels) > public else ""
    registered = delegated
    if private:
        registered = ".".join(labels[-private - 1 :]) if len(labels) > private else ""
    return Domains(registered, delegated, icann > 0)


def registered_domain(name: str) -> str:
    """Return the registered domain of a name; empty if there is none."""
    return domains_of(name).registered


def owner_domain(name: str) -> str:
    """Return the registered domain of a name in any form; the name itself if it has none, as `localhost`."""
    name = a_labels(name)
    return domains_of(name).registered or name
