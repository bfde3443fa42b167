"""How long an SPF result is valid, and for which clients: derived from the lookups of its evaluation.

A result is valid for the client's whole network (/24, /64) unless a lookup distinguishes the addresses in it.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from bley.core.mail import Address
from bley.ports import ResourceRecord

__all__ = ["LONGEST_RECORD", "NETWORK_BITS", "SPF_RECORD", "SpfTrail", "SpfValidity", "network_of"]

SPF_RECORD = re.compile(rb"v=spf1(?: |\Z)", re.IGNORECASE)
"""RFC 7208 4.5."""

LONGEST_RECORD = 4096
"""Octets of an SPF record; RFC 7208 3.4 recommends at most 512. A longer one is a permerror."""

_LONGEST_SECONDS = 3600
_NEGATIVE_SECONDS = 300
"""The validity of an empty answer: c-ares does not return the negative TTL of the zone."""

NETWORK_BITS = {4: 24, 6: 64}
"""The length of the network within which results are shared, whole octets, by IP version."""

_MACRO = re.compile(rb"%\{([a-z])", re.IGNORECASE)
_SENDER_MACROS = frozenset(b"slh")  # RFC 7208 7.2: sender, local part, HELO name
_DOMAIN_MACROS = frozenset(b"do")
_PTR = re.compile(rb"\bptr\b", re.IGNORECASE)
_NETWORK = re.compile(rb"\bip[46]:([0-9a-f.:]+(?:/\d{1,3})?)", re.IGNORECASE)


class SpfValidity(IntEnum):
    """The clients and requests for which a result is valid."""

    NETWORK = 0
    """The client's whole network."""
    ADDRESS = 1
    """The client's address."""
    REQUEST = 2
    """This sender and HELO name only: it is not cached."""


def network_of(address: Address) -> IPv4Network | IPv6Network:
    """Return the client's network, within which results are shared."""
    return ip_network((address, NETWORK_BITS[address.version]), strict=False)


class SpfTrail:
    """The validity of one evaluation for this client, narrowed by each lookup."""

    def __init__(self, address: Address) -> None:
        self._network = network_of(address)
        self.validity, self.seconds = SpfValidity.NETWORK, _LONGEST_SECONDS

    def add_answer(self, rrtype: str, records: Sequence[ResourceRecord]) -> None:
        """Narrow the validity by one answer."""
        self.seconds = min([self.seconds, *(record.ttl_seconds for record in records)])
        if not records:
            self.seconds = min(self.seconds, _NEGATIVE_SECONDS)
        if rrtype == "PTR":
            self.narrow(SpfValidity.ADDRESS)
        for record in records:
            if record.rrtype in ("A", "AAAA") and ip_address(str(record.data)) in self._network:
                self.narrow(SpfValidity.ADDRESS)
        texts = [record.data for record in records if isinstance(record.data, bytes)]
        policies = [text for text in texts if SPF_RECORD.match(text)]
        for text in policies or texts:  # without a policy, it may be an explanation (RFC 7208 6.2)
            self._add_macros(text[:LONGEST_RECORD])
        if len(policies) == 1 and self._distinguishes_addresses(policies[0][:LONGEST_RECORD]):
            # Several policies are a permerror for all clients (RFC 7208 4.5), as is one that is too long.
            self.narrow(SpfValidity.ADDRESS)

    def _distinguishes_addresses(self, policy: bytes) -> bool:
        return bool(_PTR.search(policy)) or any(map(self._splits_network, _NETWORK.finditer(policy)))

    def _add_macros(self, text: bytes) -> None:
        letters = frozenset(match[1].lower()[0] for match in _MACRO.finditer(text))
        if letters & _SENDER_MACROS:
            self.narrow(SpfValidity.REQUEST)
        elif letters - _DOMAIN_MACROS:
            self.narrow(SpfValidity.ADDRESS)

    def _splits_network(self, match: re.Match[bytes]) -> bool:
        """Whether the network of a mechanism is a part of the client's, so that it distinguishes addresses."""
        text, _, length = match[1].decode().partition("/")
        try:
            address = ip_address(text)
        except ValueError:
            return False  # a permerror for all clients
        bits = int(length or address.max_prefixlen)
        return self._network.prefixlen < bits <= address.max_prefixlen and address in self._network

    def narrow(self, validity: SpfValidity) -> None:
        """Limit the validity to this."""
        self.validity = max(self.validity, validity)
