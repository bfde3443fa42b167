"""Domain names: their form for comparisons, and their registered domain by the public suffix list.

Sources: RFC 5890 2.3.2.1, UTS 46; publicsuffix.org, in the copy of the package publicsuffixlist.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import takewhile
from typing import NamedTuple

import idna
from publicsuffixlist import PublicSuffixList

from bley.core.mail import NAME_ENDING
from bley.data.files import read_public_suffixes

__all__ = [
    "a_labels",
    "delegated_domain",
    "is_under_known_suffix",
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


class _Suffixes(NamedTuple):
    """The two sections of the public suffix list: suffixes of registries, and private ones of domain owners."""

    icann: PublicSuffixList
    private: PublicSuffixList
    shared: frozenset[str]
    """The delegated domains that are private suffixes, or have some below them."""


@cache
def load_suffixes() -> _Suffixes:
    """Return the public suffix list. The first call parses it in some 50 ms: make it before the first request."""
    return _parse_suffixes(read_public_suffixes())


def _parse_suffixes(lines: Iterator[bytes]) -> _Suffixes:
    """Parse the two sections of the list. Each rule is stored once."""
    icann = PublicSuffixList(takewhile(lambda line: b"BEGIN PRIVATE DOMAINS" not in line, lines))
    rules = [line.decode().strip() for line in lines if line.strip() and not line.startswith(b"//")]
    owned = [rule.lstrip("!*.") for rule in rules]
    owned += [name.encode("idna").decode() for name in owned if not name.isascii()]
    owners = map(icann.privatesuffix, owned)
    return _Suffixes(icann, PublicSuffixList(rules, accept_unknown=False), frozenset(filter(None, owners)))


@lru_cache(maxsize=4096)
def registered_domain(name: str) -> str:
    """Return the domain of one owner: `example.co.uk` for `mx.example.co.uk`; empty if there is none.

    Private suffixes count: neighbors below `compute.amazonaws.com` or `dyndns.org` have different owners.
    """
    domain = delegated_domain(name)
    if domain not in load_suffixes().shared:
        return domain
    name, private = name.rstrip(".").lower(), load_suffixes().private
    return (private.privatesuffix(name) or "") if private.publicsuffix(name) else domain


def owner_domain(name: str) -> str:
    """Return the registered domain of a name in any form; the name itself if it has none, as `localhost`."""
    name = a_labels(name)
    return registered_domain(name) or name


def is_under_known_suffix(name: str) -> bool:
    """Return whether the list has the name's top-level domain. Names of private networks have others."""
    return load_suffixes().icann.publicsuffix(name, accept_unknown=False) is not None


@lru_cache(maxsize=4096)
def delegated_domain(name: str) -> str:
    """Return the domain that a registry delegated: as `registered_domain`, but `dyndns.org` for `home.dyndns.org`."""
    return load_suffixes().icann.privatesuffix(name.rstrip(".").lower()) or ""
