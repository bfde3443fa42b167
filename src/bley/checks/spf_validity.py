"""How long an SPF result holds, and for whom: what one evaluation looked at tells it.

A result holds for the client's whole network (/24, /64) unless something that was looked up tells its addresses apart.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from bley.core.mail import Address
from bley.ports import ResourceRecord

__all__ = ["LONGEST_RECORD", "SPF_RECORD", "SpfTrail", "SpfValidity", "network_of"]

SPF_RECORD = re.compile(rb"v=spf1( |$)", re.IGNORECASE)
"""RFC 7208 4.5."""

LONGEST_RECORD = 4096
"""Octets of an SPF record; RFC 7208 3.4 wants no more than 512. A longer one is a permerror."""

_LONGEST_SECONDS = 3600
_NEGATIVE_SECONDS = 300
"""How long the absence of a record is believed: c-ares does not tell the zone's own time."""

_NETWORK_BITS = {4: 24, 6: 64}
_MACRO = re.compile(rb"%\{([a-z])", re.IGNORECASE)
_SENDER_MACROS = frozenset(b"slh")  # RFC 7208 7.2: sender, local part, HELO name
_DOMAIN_MACROS = frozenset(b"do")
_PTR = re.compile(rb"\bptr\b", re.IGNORECASE)
_NETWORK = re.compile(rb"\bip[46]:([0-9a-f.:]+(?:/\d{1,3})?)", re.IGNORECASE)


class SpfValidity(IntEnum):
    """For whom a result holds that was found for one client."""

    NETWORK = 0
    """For its whole network."""
    ADDRESS = 1
    """For its address."""
    REQUEST = 2
    """For this sender and HELO name only: not to be kept."""


def network_of(address: Address) -> IPv4Network | IPv6Network:
    """The network of a client, within which results are shared."""
    return ip_network((address, _NETWORK_BITS[address.version]), strict=False)


class SpfTrail:
    """What one evaluation for this client has looked up."""

    def __init__(self, address: Address) -> None:
        self._network = network_of(address)
        self.scope, self.seconds = SpfValidity.NETWORK, _LONGEST_SECONDS

    def saw(self, rrtype: str, records: Sequence[ResourceRecord]) -> None:
        """Take note of one answer."""
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
        for text in policies or texts:  # without a policy it may be an explanation: RFC 7208 6.2
            self._saw_macros(text[:LONGEST_RECORD])
        if len(policies) == 1 and self._tells_addresses_apart(policies[0][:LONGEST_RECORD]):
            self.narrow(
                SpfValidity.ADDRESS
            )  # several are a permerror for all alike (RFC 7208 4.5), as is one that is too long

    def _tells_addresses_apart(self, policy: bytes) -> bool:
        return bool(_PTR.search(policy)) or any(map(self._splits, _NETWORK.finditer(policy)))

    def _saw_macros(self, text: bytes) -> None:
        letters = frozenset(match[1].lower()[0] for match in _MACRO.finditer(text))
        if letters & _SENDER_MACROS:
            self.narrow(SpfValidity.REQUEST)
        elif letters - _DOMAIN_MACROS:
            self.narrow(SpfValidity.ADDRESS)

    def _splits(self, match: re.Match[bytes]) -> bool:
        """Whether a mechanism's network is a part of the client's, so that it tells its addresses apart."""
        text, _, length = match[1].decode().partition("/")
        try:
            address = ip_address(text)
        except ValueError:
            return False  # permerror for all alike
        bits = int(length or address.max_prefixlen)
        return self._network.prefixlen < bits <= address.max_prefixlen and address in self._network

    def narrow(self, scope: SpfValidity) -> None:
        """The result holds for no more than this."""
        self.scope = max(self.scope, scope)
