"""The facts about public DNS lists in `data/lists.toml`, which has the source of each. See docs/lists.md."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Literal

from bley.core.dnslists.syntax import Filter, hide_keys, parse_filter
from bley.data.files import read_known_lists

__all__ = ["DOMAINS", "KnownList", "find_known_list", "load_known_lists", "shown_zone"]

DOMAINS = 0
"""The subjects of a domain list (RFC 5782 2.2), in the place of an IP version."""

Meanings = Mapping[Filter, str]
"""The meanings of return codes."""

_MEANS_REFUSED: Meanings = {
    parse_filter("127.0.0.1"): "127.0.0.1 is no listing but an error",
    parse_filter("127.255.255.[0..255]"): "you may not ask",
}
"""Refusals of every list, unless its facts differ: RFC 5782 2.3 excludes the first, Spamhaus introduced the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownList:
    """The facts about one list. The defaults are assumed for an unknown one."""

    zone: str
    title: str = ""
    operator: str = ""
    site: str = ""
    lists: Literal["blocklist", "allowlist", "both"] = "blocklist"
    status: Literal["alive", "doubtful", "dead"] = "alive"
    since: str = ""
    """The date since which it is doubtful or dead."""
    how: str = ""
    """The event of that date, as the end of a sentence that begins with "it"."""
    instead: str = ""
    """A living replacement for a dead list."""
    ipv4: bool = True
    ipv6: bool | None = None
    """Whether it has IPv6 addresses; None: its self-test finds out."""
    domains: bool = False
    """Whether it is known to list domains."""
    fresh: bool = False
    """Whether it lists every domain that is new, not those of spam."""
    filter: str = ""
    """The filter without which codes count that are no listing of spam; empty if every code is one."""
    codes: Meanings = field(default_factory=dict)
    refusals: Meanings = field(default_factory=dict)
    """Return codes that refuse the query."""
    remedy: str = ""
    """The remedy when it refuses queries."""
    limits: str = ""
    test_listed: str = "127.0.0.2"
    test_clear: str = "127.0.0.1"
    test_listed_ipv6: str = "::ffff:7f00:2"
    test_clear_ipv6: str = "::ffff:7f00:1"
    test_listed_domain: str = "test"
    test_clear_domain: str = "invalid"
    """The entries of the self-test (RFC 5782 5); empty if the list has none."""
    test_answer: Filter | None = None
    """The answer for a test entry, if it would be an error otherwise."""
    source: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions of which the list has, or may have, addresses."""
        return tuple(version for version, has in ((4, self.ipv4), (6, self.ipv6 is not False)) if has)

    def why_not_served(self, version: int) -> str:
        """Return the reason why the list is not queried about clients of this IP version."""
        if version in self.versions:  # only its self-test could find out
            return f"it has no IPv{version} test entry, {self.test_listed_ipv6} (RFC 5782 5)"
        return f"it has no IPv{version} addresses"

    def test_entries(self, version: int) -> tuple[str, str]:
        """Return the entries of the self-test for an IP version, or for DOMAINS: one listed, and one not."""
        if version == DOMAINS:
            return self.test_listed_domain, self.test_clear_domain
        return (self.test_listed_ipv6, self.test_clear_ipv6) if version == 6 else (self.test_listed, self.test_clear)

    def refusal(self, code: IPv4Address) -> str | None:
        """Return the meaning of a code that refuses the query, None for other codes."""
        if (meaning := _meaning(self.refusals, code)) is not None:
            return meaning
        return None if self.meaning(code) else _meaning(_MEANS_REFUSED, code)

    def meaning(self, code: IPv4Address) -> str:
        """Return the meaning of a listing code; empty if it is not known."""
        return _meaning(self.codes, code) or ""


def _meaning(meanings: Meanings, code: IPv4Address) -> str | None:
    return next((meaning for codes, meaning in meanings.items() if code in codes), None)


def find_known_list(zone: str) -> KnownList:
    """Return the facts about a list. `KEY.zen.dq.spamhaus.net` is `*.zen.dq.spamhaus.net` for any key."""
    known = load_known_lists()
    return known.get(zone) or known.get("*." + zone.partition(".")[2]) or KnownList(zone=zone)


def shown_zone(zone: str) -> str:
    """Return the zone as it may be shown: asterisks hide a customer's key."""
    keyed = zone not in load_known_lists() and "*." + zone.partition(".")[2] in load_known_lists()
    return "********." + zone.partition(".")[2] if keyed else hide_keys(zone)


@functools.cache
def load_known_lists() -> Mapping[str, KnownList]:
    """Return the facts of all known lists, by zone. The first call parses `lists.toml`."""
    return _parse_known_lists(read_known_lists())


def _parse_known_lists(text: str) -> Mapping[str, KnownList]:
    tables: dict[str, dict[str, Any]] = {}
    for zone, table in tomllib.loads(text).items():
        tables[zone] = tables[table.pop("like")] | table if "like" in table else table
    return {zone: _known_list(zone, table) for zone, table in tables.items()}


def _known_list(zone: str, table: Mapping[str, Any]) -> KnownList:
    read = {
        name: {parse_filter(codes): meaning for codes, meaning in table.get(name, {}).items()}
        for name in ("codes", "refusals")
    }
    test_answer = parse_filter(table["test_answer"]) if "test_answer" in table else None
    return KnownList(**{**table, **read, "zone": zone, "test_answer": test_answer, "source": tuple(table["source"])})
