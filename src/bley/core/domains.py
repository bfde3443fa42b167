"""Domain names, as the public suffix list divides them.

Source: publicsuffix.org, the copy that the package publicsuffixlist brings.
"""

from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

__all__ = ["delegated_domain", "load_suffixes", "registered_domain"]


@cache
def _suffixes(*, only_icann: bool) -> PublicSuffixList:
    return PublicSuffixList(only_icann=only_icann)


def load_suffixes() -> None:
    """Read the list now, some 50 ms, and not in the first answer."""
    for only_icann in (False, True):
        _suffixes(only_icann=only_icann)


@lru_cache(maxsize=4096)
def registered_domain(name: str) -> str:
    """The domain that one owner holds: `example.co.uk` for `mx.example.co.uk`; empty where there is none.

    Private suffixes count: below `compute.amazonaws.com` or `dyndns.org` neighbours are strangers to each other.
    """
    return _suffixes(only_icann=False).privatesuffix(name.rstrip(".").lower()) or ""


@lru_cache(maxsize=4096)
def delegated_domain(name: str) -> str:
    """The domain that a registry delegated: as `registered_domain`, but `dyndns.org` for `home.dyndns.org`."""
    return _suffixes(only_icann=True).privatesuffix(name.rstrip(".").lower()) or ""
