"""DNS blocklists and allowlists (RFC 5782): how one is written in the settings, asked, and understood.

    zen.spamhaus.org=127.0.0.[2..11]*3
    ^zone            ^return codes   ^weight

Without return codes any answer in 127.0.0.0/8 counts, except those that mean "you may not ask": 127.0.0.1,
127.255.255.0/24, and what a list is known to use for it. These never count, whatever the return codes say.

Source: RFC 5782; postconf(5), postscreen_dnsbl_sites.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from bley.core.mail import Address

__all__ = ["Answer", "DnsList", "parse_dns_lists", "question"]

_SYNTAX = re.compile(r"(?P<zone>[^=*]+)(?:=(?P<codes>[^*]*))?(?:\*(?P<weight>.*))?")
_ZONE = re.compile(r"(?:[\w-]{1,63}\.)+[\w-]{1,63}\.?")
_OCTET = re.compile(r"\d{1,3}|\[\d{1,3}(?:\.\.\d{1,3})?(?:;\d{1,3}(?:\.\.\d{1,3})?)*\]")

_LISTED = IPv4Network("127.0.0.0/8")
_REFUSED = (IPv4Network("127.0.0.1"), IPv4Network("127.255.255.0/24"))
_REFUSED_BY_LIST = {
    # dnswl.org: 127.0.0.255 over the limit; 127.0.10.x was given to everybody who was throttled.
    "list.dnswl.org": (IPv4Network("127.0.0.255"), IPv4Network("127.0.10.0/24")),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a list says of a client: listed or not, or that it may not be asked (`refused`)."""

    listed: bool
    refused: bool
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DnsList:
    """One configured list: its zone, the return codes that count (each octet's values; empty: all), its weight."""

    zone: str
    codes: tuple[frozenset[int], ...] = ()
    weight: int = 1
    text: str = ""

    def understand(self, codes: Iterable[str]) -> Answer:
        """What the A records of an answer mean; none at all means not listed."""
        codes = tuple(codes)
        addresses = [IPv4Address(code) for code in codes]
        refused = any(self._is_refusal(address) for address in addresses)
        listed = any(self._counts(address) for address in addresses)
        return Answer(listed, refused and not listed, codes)

    def _is_refusal(self, address: IPv4Address) -> bool:
        networks = (*_REFUSED, *_REFUSED_BY_LIST.get(self.zone, ()))
        return address not in _LISTED or any(address in network for network in networks)

    def _counts(self, address: IPv4Address) -> bool:
        if self._is_refusal(address):
            return False
        return all(octet in wanted for octet, wanted in zip(address.packed, self.codes, strict=False))

    def __str__(self) -> str:
        return self.text or self.zone


def question(address: Address, zone: str) -> str:
    """The name to ask for: reversed octets (IPv4) or nibbles (IPv6) before the zone (RFC 5782 2.1, 2.4)."""
    return address.reverse_pointer.rpartition(".")[0].rpartition(".")[0] + "." + zone


def parse_dns_lists(text: str) -> tuple[DnsList, ...]:
    """Read the setting `dnsbls` or `dnswls`: lists, separated by commas or white space.

    Raises ValueError that names the list and what would be right.
    """
    return tuple(_parse(part) for part in re.split(r"[,\s]+", text) if part)


def _parse(text: str) -> DnsList:
    match = _SYNTAX.fullmatch(text)
    if not match or not _ZONE.fullmatch(match["zone"]):
        raise ValueError(f"{text!r} is no DNS list: write it as zone, zone=127.0.0.[2..11] or zone=127.0.0.2*3")
    codes = () if match["codes"] is None else _parse_codes(text, match["codes"])
    weight = match["weight"]
    if weight is not None and not re.fullmatch(r"-?\d{1,2}", weight):
        raise ValueError(f"{text!r}: the weight {weight!r} is no whole number from -99 to 99")
    return DnsList(match["zone"].rstrip(".").lower(), codes, 1 if weight is None else int(weight), text)


def _parse_codes(text: str, codes: str) -> tuple[frozenset[int], ...]:
    octets = _OCTET.findall(codes)
    if len(octets) != 4 or ".".join(octets) != codes:
        raise ValueError(f"{text!r}: the return codes {codes!r} are no four octets like 127.0.0.2 or 127.0.[0..255].3")
    return tuple(_parse_octet(text, octet.strip("[]")) for octet in octets)


def _parse_octet(text: str, octet: str) -> frozenset[int]:
    values: set[int] = set()
    for part in octet.split(";"):
        first, _, last = part.partition("..")
        low, high = int(first), int(last or first)
        if not low <= high <= 255:
            raise ValueError(f"{text!r}: {part!r} is no octet or range of octets from 0 to 255")
        values.update(range(low, high + 1))
    return frozenset(values)
