"""Addresses that no host of the Internet has: a client with one of them is near, or hidden behind a gateway.

Sources: RFC 1918, RFC 6598 (shared by the customers of a provider: CGNAT), RFC 3927, RFC 6890, RFC 4193, RFC 4291.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network

from bley.core.mail import Address

__all__ = ["GATEWAY_HELO_NAMES", "describe_local", "local_scope"]

GATEWAY_HELO_NAMES = 5
"""HELO names within an hour from which a client with such an address is a gateway: a host has one or two."""

_SCOPES = {
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
    "loopback": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "shared (CGNAT)": ("100.64.0.0/10",),
    "unspecified": ("0.0.0.0/8", "::/128"),
}

_NETWORKS: dict[int, list[tuple[IPv4Network | IPv6Network, str]]] = {4: [], 6: []}
for _scope, _networks in _SCOPES.items():
    for _network in map(ip_network, _networks):
        _NETWORKS[_network.version].append((_network, _scope))

_FIRST_OCTETS = frozenset({0, 10, 100, 127, 169, 172, 192})
"""The first octets of these IPv4 networks. Most clients are excluded by them alone."""


def describe_local(address: Address) -> str:
    """Return "192.168.0.1 is a private address" for an address that is not global; empty if it is global."""
    scope = local_scope(address)
    return f"{address} is {'an' if scope == 'unspecified' else 'a'} {scope} address" if scope else ""


def local_scope(address: Address) -> str:
    """Return the scope of an address that is not global, such as "private"; empty if it is global."""
    if address.__class__ is IPv4Address and int(address) >> 24 not in _FIRST_OCTETS:
        return ""
    return next((scope for network, scope in _NETWORKS[address.version] if address in network), "")
