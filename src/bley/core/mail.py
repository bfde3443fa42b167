"""What comes in and goes out, under Postfix's own names (SMTPD_POLICY_README, access(5))."""

from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

__all__ = [
    "LONGEST_VALUE",
    "Action",
    "Address",
    "Network",
    "RawRequest",
    "Request",
    "Triplet",
    "parse_address",
    "parse_network",
    "unmapped",
]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_VALUE = 512
"""Characters of an attribute's value that are judged; RFC 5321 4.5.3.1 allows 320 in an address, the DNS 253 in a name.
All that is remembered, logged, stored or matched is made of these, so that no stranger chooses how long it is.
"""

_DIGEST_BYTES = 16
_KEPT_END = 254
"""Characters of the end that is kept of a longer value: an at sign and a domain."""

_IPV4_MAPPED = IPv6Network("::ffff:0:0/96")
"""RFC 4291 2.5.5.2."""


class Request(NamedTuple):
    """A policy request: what Postfix asks for one RCPT TO. An attribute not sent is empty."""

    protocol_state: str = ""
    sasl_username: str = ""
    client_address: str = ""
    client_name: str = ""
    helo_name: str = ""
    sender: str = ""
    recipient: str = ""
    instance: str = ""
    queue_id: str = ""

    @property
    def verified_name(self) -> str:
        """The client's name where Postfix could verify it (forward and reverse agree), else empty."""
        name = self.client_name.rstrip(".").lower()
        return "" if name == "unknown" else name


class RawRequest(NamedTuple):
    """A request as it came: which mail it is about is read, what decides about it is one text.

    That is the same whenever a peer has the same question again, so that to know it again costs less than to read it.
    """

    deciding: str
    """Lines `name=value`, each ended by LF, in the order in which they came."""
    instance: str = ""
    queue_id: str = ""

    def read(self) -> Request:
        """The request."""
        attributes = dict([line.split("=", 1) for line in self.deciding.split("\n")[:-1]])
        return Request(**attributes, instance=self.instance, queue_id=self.queue_id)

    def read_bounded(self) -> Request:
        """Return the request, with `LONGEST_VALUE` characters of each value at most."""
        request = self.read()
        if len(self.deciding) + len(self.instance) + len(self.queue_id) <= LONGEST_VALUE:
            return request  # as almost every request, at no cost
        return Request._make(map(_shortened, request))


def _shortened(value: str) -> str:
    """The value, in whose middle a hash stands for what is too much, so that different ones stay different."""
    if len(value) <= LONGEST_VALUE:
        return value
    digest = f"#{blake2b(value.encode(errors='surrogatepass'), digest_size=_DIGEST_BYTES).hexdigest()}#"
    return value[: LONGEST_VALUE - _KEPT_END - len(digest)] + digest + value[-_KEPT_END:]


class Triplet(NamedTuple):
    """(client, sender, recipient), normalised: what a record is kept under."""

    client: str
    sender: str
    recipient: str


class Action(NamedTuple):
    """An access(5) action: the verb, and the text behind it, without line breaks."""

    verb: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.text}" if self.text else self.verb


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Read a client address; None when it is none. An IPv4-mapped address is IPv4, and an IPv6 zone is not kept."""
    text, _, zone = text.partition("%")
    if "/" in zone:  # no zone has one (RFC 6874 2): it is a network's, or nothing
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return unmapped(address)


def unmapped(address: Address) -> Address:
    """The address; an IPv4-mapped one is IPv4."""
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> Network:
    """Read a network, or an address as the network of it alone; bits behind the prefix are ignored.

    An IPv4-mapped network is IPv4, as `parse_address` has it, and an IPv6 zone is not kept. Raises ValueError.
    """
    address, slash, prefix = text.partition("/")
    network = ip_network(address.partition("%")[0] + slash + prefix, strict=False)
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        mapped_bits = _IPV4_MAPPED.prefixlen
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - mapped_bits))
    return network
