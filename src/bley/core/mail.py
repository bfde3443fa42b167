"""Policy requests and actions, under Postfix's own names (SMTPD_POLICY_README, access(5))."""

import re
from functools import lru_cache
from hashlib import blake2b
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
    summarize_address_range,
)
from typing import NamedTuple

__all__ = [
    "LONGEST_VALUE",
    "NAME_ENDING",
    "Action",
    "Address",
    "Network",
    "RawRequest",
    "Request",
    "Triplet",
    "parse_address",
    "parse_network",
    "parse_networks",
    "unmapped",
]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_VALUE = 512
"""The most characters of an attribute's value that bley uses. RFC 5321 4.5.3.1 allows 320 in an address, the DNS 253 in
a name. Whatever is cached, logged, stored or matched is built from these, so no client controls its size.
"""

_DIGEST_BYTES = 16
_KEPT_END = 254
"""Characters preserved at the end of a longer value: an at sign and a domain."""

_IPV4_MAPPED = IPv6Network("::ffff:0:0/96")
"""RFC 4291 2.5.5.2."""

_BRACKETED = re.compile(r"\[([^\[\]]*:[^\[\]]*)\](/[0-9]+)?")
"""An IPv6 address or network in brackets."""

_OCTETS = {str(number): number for number in range(256)}
"""An address by these takes a third of the time that `ip_address` takes, and a host name, which is none, a tenth."""

NAME_ENDING = (
    ".\u3002\uff0e\uff61 \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0"
    "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Dots and white space, which end no name. A label that ends in white space has no A-label."""


class Request(NamedTuple):
    """A policy request, which Postfix sends for each RCPT TO. Attributes that were not sent are empty."""

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
        """The client's name if Postfix verified it (forward and reverse DNS agree), else empty."""
        return _verified_name(self.client_name)


@lru_cache(maxsize=1024)
def _verified_name(client_name: str) -> str:
    name = client_name.rstrip(NAME_ENDING).lower()
    return "" if name == "unknown" else name


_OF_POSTFIX = re.compile(
    "protocol_state=(.*)\nclient_address=(.*)\nclient_name=(.*)\n"
    "helo_name=(.*)\nsender=(.*)\nrecipient=(.*)\n(?:sasl_username=(.*)\n)?"
)
"""The order of Postfix, and of contrib/exim-acl.conf. It is parsed in a third of the time that another order takes."""


class RawRequest(NamedTuple):
    """A request of which only the attributes that identify the mail are parsed.

    The attributes that the decision depends on stay one text. It is equal whenever the same question comes again, so
    that a lookup by it costs less than parsing it.
    """

    deciding: str
    """Lines `name=value`, each ending in LF, in the order received."""
    instance: str = ""
    queue_id: str = ""

    def parse(self) -> Request:
        """Parse the request."""
        if usual := _OF_POSTFIX.fullmatch(self.deciding):
            protocol_state, client_address, client_name, helo_name, sender, recipient, sasl_username = usual.groups()
            return Request(
                protocol_state,
                sasl_username or "",
                client_address,
                client_name,
                helo_name,
                sender,
                recipient,
                self.instance,
                self.queue_id,
            )
        attributes = dict([line.split("=", 1) for line in self.deciding.split("\n")[:-1]])
        return Request(**attributes, instance=self.instance, queue_id=self.queue_id)

    def parse_bounded(self) -> Request:
        """Parse the request and shorten each value to at most `LONGEST_VALUE` characters."""
        request = self.parse()
        if len(self.deciding) + len(self.instance) + len(self.queue_id) <= LONGEST_VALUE:
            return request  # true of almost every request, and costs nothing
        return Request._make(map(_shortened, request))


def _shortened(value: str) -> str:
    """Replace the excess in the middle by a hash of the value, so that different values stay different."""
    if len(value) <= LONGEST_VALUE:
        return value
    digest = f"#{blake2b(value.encode(errors='surrogatepass'), digest_size=_DIGEST_BYTES).hexdigest()}#"
    return value[: LONGEST_VALUE - _KEPT_END - len(digest)] + digest + value[-_KEPT_END:]


class Triplet(NamedTuple):
    """(client, sender, recipient), normalised: the key of a record."""

    client: str
    sender: str
    recipient: str


class Action(NamedTuple):
    """An access(5) action: the verb, and the text after it, without line breaks."""

    verb: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.text}" if self.text else self.verb


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Parse a client address; return None if it is invalid.

    An IPv4-mapped address becomes IPv4. An IPv6 zone is dropped.
    """
    text, _, zone = text.partition("%")
    if "/" in zone:  # a zone has no slash (RFC 6874 2): this is a network, or invalid
        return None
    if ":" not in text:
        octets = [_OCTETS.get(octet, 256) for octet in text.split(".", 4)]
        is_ipv4 = len(octets) == 4 and 256 not in octets
        return IPv4Address(int.from_bytes(bytes(octets))) if is_ipv4 else None
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    return unmapped(address)


def unmapped(address: Address) -> Address:
    """Return the address, as IPv4 if it is IPv4-mapped."""
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> Network:
    """Parse a network, or an address as a network of one; bits after the prefix are ignored.

    Brackets around an IPv6 address, as in Postfix's `[::1]/128`, are dropped. An IPv4-mapped network becomes IPv4 and
    an IPv6 zone is dropped, as in `parse_address`. Raises ValueError.
    """
    if bracketed := _BRACKETED.fullmatch(text):
        text = bracketed[1] + (bracketed[2] or "")
    address, slash, prefix = text.partition("/")
    network = ip_network(address.partition("%")[0] + slash + prefix, strict=False)
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        mapped_bits = _IPV4_MAPPED.prefixlen
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - mapped_bits))
    return network


def parse_networks(text: str) -> list[Network]:
    """Parse a network as `parse_network`, or a range of addresses `first-last` as its networks. Raises ValueError."""
    start, dash, end = text.partition("-")
    if not dash:
        return [parse_network(text)]
    first, last = parse_network(start)[0], parse_network(end)[0]
    if first.version != last.version or "/" in text:
        raise ValueError(f"{text!r} is not a range of addresses")
    return list(summarize_address_range(first, last))
