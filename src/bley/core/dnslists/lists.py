"""DNS blocklists and allowlists (RFC 5782): what is asked of one, and what an answer means.

An answer is a listing only within 127.0.0.0/8 and when it does not mean "you may not ask": 127.0.0.1, 127.255.255.0/24,
and what the list is known to use for it (`lists.toml`). These never count, whatever the operator's filter says.
An answer outside 127.0.0.0/8 is not a list's at all, but that of somebody who parks its domain.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from bley.core.dnslists.known import KnownList, find_known_list, shown_zone
from bley.core.dnslists.syntax import Entry, hide_keys, parse_entry
from bley.core.mail import Address

__all__ = ["Answer", "DnsList", "ListAnswer", "Meaning", "interpret", "parse_dns_lists", "query_name"]

_CODES = IPv4Network("127.0.0.0/8")


class Meaning(StrEnum):
    """What a list's answer to one question means; only the first two tell of the client."""

    LISTED = "listed"
    CLEAR = "clear"
    REFUSED = "refused"
    PARKED = "parked"
    FAILED = "failed"
    SILENT = "silent"
    SET_ASIDE = "set aside"
    """Not asked: it is ill, or dead."""
    NOT_SERVED = "not served"
    """Not asked: it has no addresses of this IP version."""


class Answer(NamedTuple):
    """What a list said: its return codes, or why there are none."""

    meaning: Meaning
    codes: tuple[IPv4Address, ...] = ()
    why: str = ""

    @property
    def is_conclusive(self) -> bool:
        """Whether this says of the client that it is listed, or that it is not."""
        return self.meaning in (Meaning.LISTED, Meaning.CLEAR)


@dataclass(frozen=True)
class DnsList:
    """One list of a setting, with all entries that the setting has for its zone: one question serves them all."""

    zone: str
    entries: tuple[Entry, ...]

    @cached_property
    def name(self) -> str:
        """The zone as it may be shown: without a customer's key."""
        return shown_zone(self.zone)

    @cached_property
    def facts(self) -> KnownList:
        """What is known of it."""
        return find_known_list(self.zone)

    @cached_property
    def least(self) -> int:
        """What an answer can count at the least."""
        return sum(min(entry.weight, 0) for entry in self.entries)

    @cached_property
    def most(self) -> int:
        """What an answer can count at the most."""
        return sum(max(entry.weight, 0) for entry in self.entries)

    def matching_entries(self, answer: Answer) -> list[Entry]:
        """The entries of which the answer has a code."""
        if answer.meaning is not Meaning.LISTED:
            return []
        codes = [code for code in answer.codes if self.facts.refusal(code) is None]
        return [entry for entry in self.entries if entry.filter is None or any(code in entry.filter for code in codes)]

    def weight(self, answer: Answer) -> int:
        """What the answer counts: the weights of all fitting entries."""
        if answer.meaning is not Meaning.LISTED:
            return 0
        return sum(entry.weight for entry in self.matching_entries(answer))

    def __str__(self) -> str:
        return ", ".join(f"{self.name}{entry.rest}" for entry in self.entries)


class ListAnswer(NamedTuple):
    """What one list of a setting said of a client, and what that counts; `text` is the list's own explanation (TXT)."""

    dns_list: DnsList
    answer: Answer
    text: str = ""

    @property
    def weight(self) -> int:
        """What it counts."""
        return self.dns_list.weight(self.answer)

    def __str__(self) -> str:
        name, answer = self.dns_list.name, self.answer
        match answer.meaning:
            case Meaning.LISTED:
                codes = ", ".join(self._code(code) for code in answer.codes)
                counts = f"weight {self.weight}" if self.dns_list.matching_entries(answer) else "fits no filter"
                return f"{name} lists it: {codes} ({counts})"
            case Meaning.CLEAR:
                return f"{name} does not list it"
            case Meaning.NOT_SERVED | Meaning.SET_ASIDE:
                return f"{name} not asked, {answer.why}"
        return f"{name} unknown: {answer.why}"

    def _code(self, code: IPv4Address) -> str:
        meaning = self.dns_list.facts.meaning(code)
        return f"{code} = {meaning}" if meaning else str(code)


_CLEAR = Answer(Meaning.CLEAR)


def interpret(facts: KnownList, codes: Iterable[str]) -> Answer:
    """What the A records of a list's answer mean; none at all means that the client is not listed."""
    addresses = tuple(IPv4Address(code) for code in codes)
    if not addresses:
        return _CLEAR
    if outside := [address for address in addresses if address not in _CODES]:
        return Answer(Meaning.PARKED, addresses, f"{outside[0]}, which is no return code: its domain is parked")
    refusals = [facts.refusal(address) for address in addresses]
    if None in refusals:
        return Answer(Meaning.LISTED, addresses)
    return Answer(Meaning.REFUSED, addresses, f"{addresses[0]}: {refusals[0]}")


def query_name(address: Address, zone: str) -> str:
    """The name to ask for: reversed octets (IPv4) or nibbles (IPv6) before the zone (RFC 5782 2.1, 2.4)."""
    return f"{_backwards(address)}.{zone}"


@lru_cache(maxsize=256)
def _backwards(address: Address) -> str:
    return address.reverse_pointer.rsplit(".", 2)[0]  # without in-addr.arpa, ip6.arpa


def parse_dns_lists(text: str) -> tuple[DnsList, ...]:
    """Read the setting `dnsbls` or `dnswls`: entries with commas or white space between; those of a zone are one list.

    Raises ValueError that shows the place and says what would be right.
    """
    entries: dict[str, list[Entry]] = {}
    for part in re.split(r"[,\s]+", text):
        if not part:
            continue
        entry = parse_entry(part)
        same = entries.setdefault(entry.zone, [])
        if any(entry.filter == other.filter for other in same):
            what = f"{shown_zone(entry.zone)} stands here twice with the same filter: keep one"
            raise ValueError(f"{what}\n    {hide_keys(part)}\n    ^")
        same.append(entry)
    return tuple(DnsList(zone, tuple(of_zone)) for zone, of_zone in entries.items())
