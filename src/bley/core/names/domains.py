"""Domain names, as the DNS compares them, and as the public suffix list divides them.

Sources: RFC 5890 2.3.2.1, UTS 46; publicsuffix.org, the copy that the package publicsuffixlist brings.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import takewhile
from typing import NamedTuple

import idna
from publicsuffixlist import PublicSuffixList

from bley.data.files import read_public_suffixes

__all__ = ["a_labels", "delegated_domain", "load_suffixes", "registered_domain", "with_a_labels"]

_DOTS = re.compile("[.\u3002\uff0e\uff61]")
"""What separates labels: RFC 3490 3.1."""

_LONGEST_NAME = 253
"""Characters of a name (RFC 1035 2.3.4); a longer one is no domain, and would cost 8 us a character."""

_LONGEST_LABEL = 63
"""Octets, RFC 1035 2.3.4; a label with more characters is no A-label, and costs no time."""


@lru_cache(maxsize=4096)
def a_labels(name: str) -> str:
    """The name as the DNS compares it: lower case, without a final dot, each label beyond ASCII as its A-label.

    A label that has no A-label is only case-folded. What is ASCII is only lowered, so that SQL can do the same.
    """
    if name.isascii():
        return name.lower().rstrip(".")
    if len(folded := name.rstrip(".").casefold()) > _LONGEST_NAME:
        return folded
    return ".".join(map(_a_label, _DOTS.split(name))).rstrip(".")


def _a_label(label: str) -> str:
    if label.isascii() or len(label) > _LONGEST_LABEL:
        return label.casefold()
    try:
        return idna.encode(label, uts46=True).decode()
    except idna.IDNAError:
        return label.casefold()


def with_a_labels(address: str) -> str:
    """The mail address with its domain as the DNS compares it; the local part stays as it is."""
    local, at, domain = address.rpartition("@")
    return local + at + a_labels(domain) if at else address


class _Suffixes(NamedTuple):
    """What registries delegate below, and what owners of such domains let others have names below."""

    icann: PublicSuffixList
    private: PublicSuffixList
    shared: frozenset[str]
    """The delegated domains that have private suffixes, or are some."""


@cache
def load_suffixes() -> _Suffixes:
    """Return the public suffix list. The first call parses it, some 50 ms: make it before the first answer."""
    return _parse_suffixes(read_public_suffixes())


def _parse_suffixes(lines: Iterator[bytes]) -> _Suffixes:
    """Parse the list's two sections. Each rule is stored once."""
    icann = PublicSuffixList(takewhile(lambda line: b"BEGIN PRIVATE DOMAINS" not in line, lines))
    rules = [line.decode().strip() for line in lines if line.strip() and not line.startswith(b"//")]
    owned = [rule.lstrip("!*.") for rule in rules]
    owned += [name.encode("idna").decode() for name in owned if not name.isascii()]
    owners = map(icann.privatesuffix, owned)
    return _Suffixes(icann, PublicSuffixList(rules, accept_unknown=False), frozenset(filter(None, owners)))


@lru_cache(maxsize=4096)
def registered_domain(name: str) -> str:
    """The domain that one owner holds: `example.co.uk` for `mx.example.co.uk`; empty where there is none.

    Private suffixes count: below `compute.amazonaws.com` or `dyndns.org` neighbours are strangers to each other.
    """
    domain = delegated_domain(name)
    if domain not in load_suffixes().shared:
        return domain
    name, private = name.rstrip(".").lower(), load_suffixes().private
    return (private.privatesuffix(name) or "") if private.publicsuffix(name) else domain


@lru_cache(maxsize=4096)
def delegated_domain(name: str) -> str:
    """The domain that a registry delegated: as `registered_domain`, but `dyndns.org` for `home.dyndns.org`."""
    return load_suffixes().icann.privatesuffix(name.rstrip(".").lower()) or ""
