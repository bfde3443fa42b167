"""Whether the resolver is one's own. DNS lists refuse public ones, which send the queries of millions of users."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

from bley.commands.doctor.finding import Finding, note, warning, well
from bley.core.endpoint import split_endpoint
from bley.dns.resolv_conf import read_system_servers
from bley.settings.settings import Settings

__all__ = ["examine_resolver", "judge_servers"]

# Source: each operator's own documentation of its service.
_PUBLIC: Mapping[str, Sequence[str]] = {
    "Google": ("8.8.8.8", "8.8.4.4", "2001:4860:4860::/48"),
    "Cloudflare": ("1.1.1.0/24", "1.0.0.0/24", "2606:4700:4700::/48"),
    "Quad9": ("9.9.9.0/24", "149.112.112.0/24", "2620:fe::/48"),
    "OpenDNS": ("208.67.222.0/24", "208.67.220.0/24", "2620:119:35::/48", "2620:119:53::/48"),
    "AdGuard": ("94.140.14.0/24", "94.140.15.0/24", "2a10:50c0::/32"),
    "CleanBrowsing": ("185.228.168.0/24", "185.228.169.0/24", "2a0d:2a00::/32"),
    "Control D": ("76.76.2.0/24", "76.76.10.0/24"),
    "DNS4EU": ("86.54.11.0/24",),
    "DNS.WATCH": ("84.200.69.80", "84.200.70.40"),
    "Level 3": ("4.2.2.0/29",),
    "Mullvad": ("194.242.2.0/24",),
    "Verisign": ("64.6.64.0/24", "64.6.65.0/24"),
    "Yandex": ("77.88.8.0/24",),
    "AliDNS": ("223.5.5.5", "223.6.6.6"),
    "114DNS": ("114.114.114.114", "114.114.115.115"),
    "Hetzner": ("185.12.64.0/24", "213.133.98.98", "213.133.99.99", "213.133.100.100"),
    "OVH": ("213.186.33.99",),
}
_NETWORKS = {ip_network(each): owner for owner, networks in _PUBLIC.items() for each in networks}

_STUBS = ("127.0.0.53", "127.0.0.54")
_BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")
"""The servers to which systemd-resolved forwards (systemd-resolved.service(8))."""

_DNS_PORT = 53
_REMEDY = "apt install unbound, and in bley.conf: resolver = 127.0.0.1"


def examine_resolver(settings: Settings, behind_stub: Path = _BEHIND_STUB) -> Iterator[Finding]:
    """Judge the servers of the setting `resolver` or of the system, and those behind systemd's stub."""
    servers, source = list(settings.resolver), "the setting resolver"
    if not servers:
        servers, source = list(read_system_servers().servers), "/etc/resolv.conf"
    if any(split_endpoint(server, _DNS_PORT)[0] in _STUBS for server in servers) and behind_stub.exists():
        servers, source = list(read_system_servers(behind_stub).servers), f"systemd-resolved, {behind_stub}"
    has_lists = any(settings.dns_lists.values())
    yield from judge_servers(servers, source, has_lists=has_lists)


def judge_servers(servers: Sequence[str], source: str, *, has_lists: bool) -> Iterator[Finding]:
    """Yield what these servers mean for DNS lists."""
    for server in servers:
        address = ip_address(split_endpoint(server, _DNS_PORT)[0].partition("%")[0])
        owner = next((owner for network, owner in _NETWORKS.items() if address in network), "")
        what = f"{server} ({source}) is "
        if owner and has_lists:
            why = "most DNS lists refuse the queries of public resolvers, and then count 0"
            yield warning("resolver", f"{what}a public resolver of {owner}", why, _REMEDY)
        elif owner or address.is_global:
            says = f"{what}a resolver of others" + (f", {owner}" if owner else "")
            yield note("resolver", says, "its other users may use up what a DNS list permits", _REMEDY)
        else:
            yield well("resolver", f"{what}no public one")
