"""DNS blocklists and allowlists (RFC 5782): query names, and the meaning of answers.

An address list is queried about the client's address, a domain list about domains.

An answer is a listing only if it is within 127.0.0.0/8 and does not refuse the query: 127.0.0.1, 127.255.255.0/24 and
the refusals in `lists.toml` never count, whatever the operator's filter is.
An answer outside 127.0.0.0/8 comes from no list, but from a parked domain.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from bley.core.address_scope import local_scope
from bley.core.dnslists.foreign import find_foreign_form
from bley.core.dnslists.known import DOMAINS, KnownList, find_known_list, shown_zone
from bley.core.dnslists.syntax import Entry, fault_at, parse_entry
from bley.core.mail import Address

__all__ = [
    "Answer",
    "DnsList",
    "ListAnswer",
    "Meaning",
    "Subject",
    "interpret",
    "parse_dns_lists",
    "parse_domain_lists",
    "query_labels",
    "query_name",
    "version_of",
]

Subject = Address | str
"""The client's address or a domain: a list is queried about it."""

_CODES = IPv4Network("127.0.0.0/8")
_SEPARATORS = re.compile(r"(?:[,\s]|:(?!/))+")
_SPACED_MARK = re.compile(r"(?<!\s)\s*([=*])\s*")
"""White space around a mark that belongs to the entry: `bl.example = 127.0.0.2 * 3`."""


class Meaning(StrEnum):
    """The meaning of a list's answer to one query. Only the first two are about the subject."""

    LISTED = "listed"
    CLEAR = "clear"
    REFUSED = "refused"
    PARKED = "parked"
    FAILED = "failed"
    SILENT = "silent"
    SET_ASIDE = "set aside"
    """Not queried, because the list is ill or dead."""
    NOT_SERVED = "not served"
    """Not queried, because the list has no such subject: no address of this IP version, or none that is local."""


class Answer(NamedTuple):
    """The answer of a list: its return codes, or the reason why there are none."""

    meaning: Meaning
    codes: tuple[IPv4Address, ...] = ()
    why: str = ""

    @property
    def is_conclusive(self) -> bool:
        """Whether the subject is known to be listed, or known not to be."""
        return self.meaning is Meaning.CLEAR or self.meaning is Meaning.LISTED


@dataclass(frozen=True)
class DnsList:
    """One list of a setting, with all entries of the setting for its zone. One query serves them all."""

    zone: str
    entries: tuple[Entry, ...]
    is_of_domains: bool = False

    @cached_property
    def key(self) -> str:
        """The zone, marked if it is queried about domains: a zone may have addresses too."""
        return f"{self.zone} (domains)" if self.is_of_domains else self.zone

    @cached_property
    def versions(self) -> tuple[int, ...]:
        """The IP versions of its addresses, or DOMAINS: each is tested by itself."""
        return (DOMAINS,) if self.is_of_domains else self.facts.versions

    @cached_property
    def name(self) -> str:
        """The zone as it may be shown, without a customer's key."""
        return shown_zone(self.zone)

    @cached_property
    def facts(self) -> KnownList:
        """The facts about the list."""
        return find_known_list(self.zone)

    @cached_property
    def least(self) -> int:
        """The least that an answer can count."""
        return sum(min(entry.weight, 0) for entry in self.entries)

    @cached_property
    def most(self) -> int:
        """The most that an answer can count."""
        return sum(max(entry.weight, 0) for entry in self.entries)

    def matching_entries(self, answer: Answer) -> list[Entry]:
        """Return the entries whose filter matches a code of the answer."""
        if answer.meaning is not Meaning.LISTED:
            return []
        codes = [code for code in answer.codes if self.facts.refusal(code) is None]
        return [entry for entry in self.entries if entry.filter is None or any(code in entry.filter for code in codes)]

    def weight(self, answer: Answer) -> int:
        """Return the weight of the answer: the sum of the weights of all matching entries."""
        if answer.meaning is not Meaning.LISTED:
            return 0
        return sum(entry.weight for entry in self.matching_entries(answer))

    def __str__(self) -> str:
        return ", ".join(f"{self.name}{entry.rest}" for entry in self.entries)


class ListAnswer(NamedTuple):
    """The answer of one list of a setting about a client; `text` is the list's own explanation (TXT)."""

    dns_list: DnsList
    answer: Answer
    text: str = ""
    domains: tuple[str, ...] = ()
    """The domains that a domain list lists; if it lists none, those that it was queried about."""

    @property
    def weight(self) -> int:
        """The weight of the answer."""
        return self.dns_list.weight(self.answer)

    def __str__(self) -> str:
        name, answer, about = self.dns_list.name, self.answer, " and ".join(self.domains) or "it"
        match answer.meaning:
            case Meaning.LISTED:
                codes = ", ".join(self._code(code) for code in answer.codes)
                counts = f"weight {self.weight}" if self.dns_list.matching_entries(answer) else "fits no filter"
                return f"{name} lists {about}: {codes} ({counts})"
            case Meaning.CLEAR:
                return f"{name} does not list {' or '.join(self.domains) or 'it'}"
            case Meaning.NOT_SERVED | Meaning.SET_ASIDE:
                return f"{name} not queried: {answer.why}"
        return f"{name} unknown: {answer.why}"

    def _code(self, code: IPv4Address) -> str:
        meaning = self.dns_list.facts.meaning(code)
        return f"{code} = {meaning}" if meaning else str(code)


_CLEAR = Answer(Meaning.CLEAR)


def interpret(facts: KnownList, codes: Sequence[str]) -> Answer:
    """Return the meaning of the A records of an answer. No record means that the client is not listed."""
    if not codes:
        return _CLEAR
    addresses = tuple(map(IPv4Address, codes))
    if outside := [address for address in addresses if address not in _CODES]:
        cause = (
            "the resolver filters it, or its domain is parked" if local_scope(outside[0]) else "its domain is parked"
        )
        return Answer(Meaning.PARKED, addresses, f"{outside[0]}, which is no return code: {cause}")
    refusals = [facts.refusal(address) for address in addresses]
    if None in refusals:
        return Answer(Meaning.LISTED, addresses)
    return Answer(Meaning.REFUSED, addresses, f"{addresses[0]}: {refusals[0]}")


def query_name(subject: Subject, zone: str) -> str:
    """Return the name to query: the labels of the subject before the zone."""
    return f"{query_labels(subject)}.{zone}"


def query_labels(subject: Subject) -> str:
    """Return the labels before the zone: reversed octets or nibbles, or a domain (RFC 5782 2.1, 2.2, 2.4)."""
    if isinstance(subject, str):
        return subject
    if isinstance(subject, IPv4Address):
        first, second, third, fourth = subject.packed
        return f"{fourth}.{third}.{second}.{first}"
    return subject.reverse_pointer.removesuffix(".ip6.arpa")


def version_of(subject: Subject) -> int:
    """Return the IP version of an address, DOMAINS for a domain."""
    return DOMAINS if isinstance(subject, str) else subject.version


def parse_domain_lists(text: str) -> tuple[DnsList, ...]:
    """Parse the setting `domain_lists`, as `parse_dns_lists`."""
    return parse_dns_lists(text, of_domains=True)


def parse_dns_lists(text: str, *, of_domains: bool = False) -> tuple[DnsList, ...]:
    """Parse the setting `dnsbls` or `dnswls`: one list for each zone.

    Commas or white space separate the entries; so do colons, as in Exim. Raises ValueError, with the place of the error
    and what is expected there.
    """
    entries: dict[str, list[Entry]] = {}
    for part in _SEPARATORS.split(_SPACED_MARK.sub(r"\1", text)):
        if not part:
            continue
        if foreign := find_foreign_form(part, of_domains=of_domains):
            raise fault_at(foreign[0], part, foreign[1])
        entry = parse_entry(part)
        same = entries.setdefault(entry.zone, [])
        if any(entry.filter == other.filter for other in same):
            raise fault_at(0, part, f"{shown_zone(entry.zone)} is here twice with the same filter: remove one")
        same.append(entry)
    return tuple(DnsList(zone, tuple(of_zone), of_domains) for zone, of_zone in entries.items())
