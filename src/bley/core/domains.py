"""Domain names, as the public suffix list divides them.

Source: publicsuffix.org, the copy that the package publicsuffixlist brings.
"""

from functools import cache, lru_cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from publicsuffixlist import PSLFILE, PublicSuffixList

__all__ = ["delegated_domain", "load_suffixes", "registered_domain"]


class _Suffixes(NamedTuple):
    """What registries delegate below, and what owners of such domains let others have names below."""

    icann: PublicSuffixList
    private: PublicSuffixList
    shared: frozenset[str]
    """The delegated domains that have private suffixes, or are some."""


@cache
def load_suffixes() -> _Suffixes:
    """Read the list, some 80 ms: call it before the first answer. Each rule is kept once."""
    with Path(PSLFILE).open("rb") as lines:
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
