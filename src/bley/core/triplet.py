"""From a request's addresses to the triplet, the key of its record.

Two requests that a person would call "the same mail again" get the same triplet, even if the sender is rewritten for
each message (VERP, BATV, SRS) or the retry comes from another host of the same pool.
"""

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from bley.core.mail import Address
from bley.core.names.domains import a_labels
from bley.core.sender_tags import is_rewritten, without_numbers, without_signatures

__all__ = ["ANY", "LONGEST_PART", "GreylistBy", "TripletRules", "any_sender_of_domain", "bounded", "is_network"]

ANY = "ANY"
"""A wildcard for every sender or recipient; `ANY@example.com` is every sender of that domain. Imported records of other
greylisters have such. No normalised address equals it, since those are case-folded.
"""

LONGEST_PART = 255
"""The most bytes of UTF-8 in one part of a triplet. Three fit into a primary key of InnoDB (3072 bytes, 4 for each
character) and of PostgreSQL (2704 bytes). RFC 5321 4.5.3.1 allows 320 in an address.
"""

GreylistBy = Literal["smart", "network", "address"]

_HASH_BYTES = 16
_LONGEST_CHARACTER = 4
"""Bytes of UTF-8."""

_LONGEST_UNDONE = 4 * LONGEST_PART
"""The most characters of a sender whose tags are removed. Some 200 tags fit, which cost less than a millisecond.
RFC 5321 4.5.3.1 allows 320; a longer sender keeps its tags, and the hash that replaces its end identifies it."""

_CUT = re.compile(r"#[0-9a-f]{32}(?:@[^@]*)?\Z")


@dataclass(frozen=True, slots=True)
class TripletRules:
    """The settings by which client, sender and recipient are normalised, under their own names."""

    greylist_by: GreylistBy = "smart"
    ipv4_prefix: int = 24
    ipv6_prefix: int = 64
    recipient_delimiter: str = "+"
    privacy_key: bytes = field(default=b"", repr=False)
    """If not empty, local parts are stored as a keyed hash only."""

    def client(self, address: Address, registered_domain: str) -> str:
        """Return the client's part of the triplet, which hosts of one pool share.

        `registered_domain` belongs to the client's verified name. It is empty if the name is unknown or looks dynamic.
        """
        if self.greylist_by == "smart" and registered_domain:
            return bounded(registered_domain)
        if self.greylist_by == "address":
            return str(address)
        return self.network(address)

    def network(self, address: Address) -> str:
        """Return the network that identifies a client without a name."""
        if isinstance(address, IPv4Address):
            # Equal to str(IPv4Network), at a tenth of the cost; below, to str(IPv6Network) at half of it.
            number = int(address) >> (32 - self.ipv4_prefix) << (32 - self.ipv4_prefix)
            return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/{self.ipv4_prefix}"
        number = int(address) >> (128 - self.ipv6_prefix) << (128 - self.ipv6_prefix)
        return f"{IPv6Address(number)}/{self.ipv6_prefix}"

    def recipient(self, address: str) -> str:
        """Case-fold the recipient and remove its extension: `Jane+news@example.org` becomes `jane@example.org`.

        The domain gets A-labels, since it is the same domain in both forms (RFC 5890 2.3.2.1). Idempotent, except with
        a `privacy_key`, which would hash the hash.
        """
        address = _folded(address)
        if not _is_cut(address):
            local, at, domain = _split(address)
            address = self._without_extension(local) + at + domain
        return self.as_stored(address)

    def sender(self, address: str) -> str:
        """Normalise the sender as the recipient, and remove tags that a server adds for one message, nested ones too.

        `prvs=4711a=jane@d` (BATV) becomes `jane@d`; `SRS0=hash=time=d1=jane@d2` loses hash and time;
        `list-123-bounce@d` (VERP) becomes `list-#-bounce@d`. Two users of a domain stay two. `core.sender_tags` has
        the exact rules. The null sender stays empty.
        """
        address = _folded(address)
        if len(address) <= _LONGEST_UNDONE and not _is_cut(address):
            while (undone := self._undone(address)) != address:
                address = undone
        return self.as_stored(address)

    def _undone(self, address: str) -> str:
        local, at, domain = _split(address)
        if "=" in local:
            local = without_signatures(local)
        if "=" not in local or not is_rewritten(local):
            local = self._without_extension(local)
        return (without_numbers(local, domain) + at + domain).strip()

    def as_stored(self, normalised: str) -> str:
        """Return a normalised address as it is stored: within LONGEST_PART, with a privacy key as a hash."""
        address = bounded(normalised)
        if not self.privacy_key:
            return address
        local, at, domain = _split(address)
        if not local:
            return address
        return bounded(
            blake2b(address.encode(), key=self.privacy_key, digest_size=_HASH_BYTES).hexdigest() + at + domain
        )

    def _without_extension(self, local: str) -> str:
        ends = [local.index(mark) for mark in self.recipient_delimiter if mark in local]
        return local[: min(ends) or None] if ends else local


def is_network(client: str) -> bool:
    """Return whether the client of a triplet is a network; else it is a domain or an address."""
    return "/" in client


def _folded(address: str) -> str:
    """Return the address without regard to case, and with A-labels in its domain."""
    if address.isascii():
        return address.strip().lower()
    local, at, domain = address.strip().rpartition("@")
    folded = local.casefold() + at + domain.casefold()
    return folded if domain.isascii() or not at or _is_cut(folded) else local.casefold() + at + a_labels(domain)


def _split(address: str) -> tuple[str, str, str]:
    local, at, domain = address.rpartition("@")
    return (local, at, domain) if at else (domain, "", "")


def _is_cut(address: str) -> bool:
    """Return whether `bounded` made the address: it ends in a hash, and is normalised already."""
    if len(address) <= LONGEST_PART // 4 or not _CUT.search(address):
        return False
    return LONGEST_PART - _LONGEST_CHARACTER < len(address.encode()) <= LONGEST_PART


def any_sender_of_domain(sender: str) -> str:
    """Return the wildcard for all senders of this sender's domain."""
    return bounded(f"{ANY}@{a_labels(sender.rpartition('@')[2])}")


def bounded(part: str) -> str:
    """Limit a part of a triplet to LONGEST_PART bytes, which every engine can store: a hash replaces the end.

    If only the local part of a mail address is too long, the hash replaces the end of that.
    """
    part = part.strip()  # to MySQL `jane ` equals `jane`
    if len(part) <= LONGEST_PART // 4 or len(part.encode()) <= LONGEST_PART:
        return part
    digest = f"#{blake2b(part.encode(), digest_size=_HASH_BYTES).hexdigest()}"
    local, at, domain = part.rpartition("@")
    end = digest + at + domain
    if not at or len(end.encode()) > LONGEST_PART:
        local, end = part, digest
    return local.encode()[: LONGEST_PART - len(end.encode())].decode(errors="ignore") + end
