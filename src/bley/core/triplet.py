"""From a request's addresses to the triplet that its record is kept under.

Two requests that a person would call "the same mail again" get the same triplet, although the sender was
rewritten for each message (VERP, BATV, SRS) or the retry comes from another host of the same pool.
"""

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Network
from typing import Literal

from bley.core.mail import Address

__all__ = ["ANY", "LONGEST_PART", "GreylistBy", "TripletRules", "any_sender_like", "bounded"]

ANY = "ANY"
"""Stands for every sender or recipient, `ANY@example.com` for every sender of the domain: other greylisters know such.
No normalised address is the same, since they are case-folded.
"""

LONGEST_PART = 255
"""Bytes of UTF-8 in one part of a triplet: what fits three times into a primary key of InnoDB (3072 bytes, 4 for each
character) and of PostgreSQL (2704 bytes). RFC 5321 4.5.3.1 allows 320 in an address.
"""

GreylistBy = Literal["smart", "network", "address"]

_HASH_BYTES = 16
_LONGEST_CHARACTER = 4
"""Bytes of UTF-8."""

_LONGEST_UNDONE = 4 * LONGEST_PART
"""Characters of a sender whose tags are undone. Some 200 tags fit into it, which cost less than a millisecond. RFC 5321
4.5.3.1 allows 320; of a longer one only the hash at its end tells it apart."""

_BATV = re.compile(
    r"prvs=(?!\d{4}[0-9a-f]{6}=)([^=]+)=\d{4}[0-9a-f]{6}"  # the tag behind the user
    r"|(?:ms)?prvs1?=[^=]*=(.+)"
    r"|btv1==[^=]*==(.+)"
)
# A hash is base64 and a time is base32: what has a dot is a domain, so that the address is undone already.
_SRS0 = re.compile(r"(srs0)[=+-][^=.]+=(?!srs[01]=)[^=.]*=(.+)")
_SRS1 = re.compile(r"(srs1)[=+-][^=.]+=([^=]*)=[=+-][^=]*=[^=]*=(.+)")
_SRS = re.compile(r"srs[01]=")
_WHOLE_NUMBER = re.compile(r"(?<![^\W_])\d+(?![^\W_])")
_CUT = re.compile(r"#[0-9a-f]{32}(?:@[^@]*)?\Z")


@dataclass(frozen=True, slots=True)
class TripletRules:
    """How client, sender and recipient are normalised: the settings of the same names."""

    greylist_by: GreylistBy = "smart"
    ipv4_prefix: int = 24
    ipv6_prefix: int = 64
    recipient_delimiter: str = "+"
    privacy_key: bytes = field(default=b"", repr=False)
    """Not empty: local parts are kept as their keyed hash only."""

    def client(self, address: Address, registered_domain: str) -> str:
        """The client as one of a pool.

        `registered_domain` is that of its verified name, empty where the name is unknown or looks dynamic.
        """
        if self.greylist_by == "smart" and registered_domain:
            return bounded(registered_domain)
        if self.greylist_by == "address":
            return str(address)
        return self.network(address)

    def network(self, address: Address) -> str:
        """The network that clients without a name are told apart by."""
        if isinstance(address, IPv4Address):
            # What str(IPv4Network) gives, at a tenth of the cost.
            number = int(address) >> (32 - self.ipv4_prefix) << (32 - self.ipv4_prefix)
            return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/{self.ipv4_prefix}"
        return str(IPv6Network((address, self.ipv6_prefix), strict=False))

    def recipient(self, address: str) -> str:
        """The recipient, case-folded, without extension: `Jane+news@example.org` is `jane@example.org`.

        Normalising it again changes nothing, but for `privacy_key`, which hashes a hash.
        """
        address = address.strip().casefold()
        if not _is_cut(address):
            local, at, domain = _split(address)
            address = self._without_extension(local) + at + domain
        return self.kept(address)

    def sender(self, address: str) -> str:
        """The sender as the recipient, and without what its server put in for this one message, one in another too.

        `prvs=4711a=jane@d` (BATV) is `jane@d`; `SRS0=hash=time=d1=jane@d2` keeps neither hash nor time;
        `list-123-bounce@d` (VERP) is `list-#-bounce@d`. The null sender stays empty.
        """
        address = address.strip().casefold()
        if len(address) <= _LONGEST_UNDONE and not _is_cut(address):
            while (undone := self._undone(address)) != address:
                address = undone
        return self.kept(address)

    def _undone(self, address: str) -> str:
        local, at, domain = _split(address)
        if "=" in local:
            local = _without_tags(local)
        if not _SRS.match(local):
            local = self._without_extension(local)
        return (_WHOLE_NUMBER.sub("#", local) + at + domain).strip()

    def kept(self, normalised: str) -> str:
        """What is kept of a normalised address: as far as every engine can, and its local part hashed if wanted."""
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
        end = min((end for mark in self.recipient_delimiter if (end := local.find(mark)) >= 0), default=0)
        return local[:end] if end else local


def _split(address: str) -> tuple[str, str, str]:
    local, at, domain = address.rpartition("@")
    return (local, at, domain) if at else (domain, "", "")


def _without_tags(local: str) -> str:
    """Undo BATV, and SRS, of which the domains stay; both as often as one is within the other."""
    if batv := _BATV.fullmatch(local):
        return _without_tags(batv[batv.lastindex or 0])
    srs = _SRS0.fullmatch(local) or _SRS1.fullmatch(local)
    if not srs:
        return local
    *kept, original = srs.groups()
    domain, equals, user = original.partition("=")
    rest = "=".join([*kept[1:], domain + equals + _without_tags(user)])
    undone = f"{kept[0]}={rest}"
    # Without a dot in its domain it may look tagged: an empty hash says that it is not.
    return f"{kept[0]}=={rest}" if _SRS0.fullmatch(undone) or _SRS1.fullmatch(undone) else undone


def _is_cut(address: str) -> bool:
    """Whether it was made by `bounded`, and so is normal already: its end is a hash."""
    if len(address) <= LONGEST_PART // 4 or not _CUT.search(address):
        return False
    return LONGEST_PART - _LONGEST_CHARACTER < len(address.encode()) <= LONGEST_PART


def any_sender_like(sender: str) -> str:
    """What stands for every sender of the domain of this one."""
    return bounded(f"{ANY}@{sender.rpartition('@')[2]}")


def bounded(part: str) -> str:
    """A part of a triplet as every engine can keep it: in one that is too long a hash stands for the end.

    Of a mail address it is the end of its local part, if only that is too long.
    """
    part = part.strip()  # MySQL takes `jane ` for `jane`
    if len(part) <= LONGEST_PART // 4 or len(part.encode()) <= LONGEST_PART:
        return part
    digest = f"#{blake2b(part.encode(), digest_size=_HASH_BYTES).hexdigest()}"
    local, at, domain = part.rpartition("@")
    end = digest + at + domain
    if not at or len(end.encode()) > LONGEST_PART:
        local, end = part, digest
    return local.encode()[: LONGEST_PART - len(end.encode())].decode(errors="ignore") + end
