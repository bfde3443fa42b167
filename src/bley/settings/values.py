"""The types of settings: parsers from the text in `bley.conf` to a value.

Each is the type of a field of Settings. A parser raises ValueError, whose message continues `key = text: `.
"""

import grp
import os
import re
import socket
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Address, ip_address
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from bley.core.dnslists.lists import DnsList, parse_dns_lists, parse_domain_lists
from bley.core.endpoint import split_endpoint, without_brackets
from bley.core.mail import Address, Network, parse_networks, unmapped
from bley.core.scores import MOST, Scores, parse_scores
from bley.operator_files import check_name

__all__ = [
    "LONGEST_NODE_NAME",
    "Boolean",
    "Days",
    "DnsLists",
    "DomainLists",
    "FileMode",
    "FileName",
    "FileNames",
    "Group",
    "Hosts",
    "Listeners",
    "Minutes",
    "Networks",
    "NodeName",
    "Prefix",
    "Proxies",
    "ScoresByFact",
    "Seconds",
    "Servers",
    "Threshold",
    "Words",
    "Workers",
    "group_id",
    "host_name",
    "parse_duration",
    "parse_endpoint",
    "parse_server",
    "shown_duration",
]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_UNITS = {
    word: words[0]
    for words in ("s sec secs second seconds", "m min mins minute minutes", "h hr hrs hour hours", "d day days")
    for word in words.split()
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_BOOLEANS = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}
_LONGEST = timedelta(days=36500)  # keeps every computed instant within datetime's range
_MOST_WORKERS = 64
_HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?", re.ASCII)
_DNS_PORT = 53
_SPACED_DASH = re.compile(r"(?<!\s)\s+-\s+")
_OF_POSTFIX = re.compile(r"[$!/]|[a-z_]*[g-z_][a-z_]*:")
"""Words of Postfix's mynetworks that need Postfix: `!192.0.2.1`, `/file`, `hash:/file`, `$mynetworks`."""
_LONGEST_SOCKET = 107
"""Bytes of a unix socket's path: sun_path of unix(7), less the final NUL."""
LONGEST_NODE_NAME = 64
"""As many bytes as Linux's host names have (HOST_NAME_MAX)."""
_HIGHEST_GROUP = 2**32 - 2
"""The next number means "no change": chown(2)."""


def _from_text(parse: Callable[[str], object]) -> BeforeValidator:
    """Parse texts; other values, such as defaults, are passed through."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _duration_in(unit: str) -> BeforeValidator:
    return _from_text(lambda text: parse_duration(text, unit))


def parse_duration(text: str, unit: str = "") -> timedelta:
    """Parse a duration such as `90s`; `unit` is the unit of a bare number. Raises ValueError with the correct form."""
    match = _DURATION.fullmatch(text.strip().lower())
    written = _UNITS.get(match[2]) if match and match[2] else unit
    if not match or not written:
        raise ValueError("is not a duration: write it as 90s, 5m, 12h or 40d")
    seconds = float(match[1]) * _SECONDS[written]
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"is longer than {_LONGEST.days}d")
    return timedelta(seconds=seconds)


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError("is neither 1 nor 0 (yes, no, true, false, on, off)")
    return _BOOLEANS[text.lower()]


def _split(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,\s]+", text) if word)


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(network for word in _split(_SPACED_DASH.sub("-", text)) for network in _networks_of(word))


def _networks_of(word: str) -> list[Network]:
    """Parse one word of Postfix's mynetworks. Raises ValueError."""
    try:
        return parse_networks(word)
    except ValueError as error:
        if word.lower().startswith("dyn:"):
            raise ValueError(f"{word!r} is followed only in the list of clients, whitelist_clients_file") from error
        kind = "an exception, table or variable, as only Postfix has" if _OF_POSTFIX.match(word) else "not a network"
        what = "write networks as 192.0.2.0/24, [2001:db8::]/32 or 192.0.2.1-192.0.2.9"
        raise ValueError(f"{word!r} is {kind}: {what}") from error


def _prefix(text: str) -> int:
    """Parse a prefix length, or a netmask as bley 2 allowed: 255.255.255.0 is 24."""
    try:
        return IPv4Network(f"0.0.0.0/{text}").prefixlen if "." in text else int(text)
    except ValueError as error:
        raise ValueError("is not a prefix length: write it as 24") from error


def _servers(text: str) -> tuple[str, ...]:
    words = _split(text)
    for word in words:
        parse_server(word)
    return words


def parse_server(text: str) -> tuple[str, int]:
    """Return the address and port of a DNS server, in the form of the setting `resolver`; the default port is 53.

    A link-local address needs its interface, as in `fe80::1%eth0`. Raises ValueError for a server that c-ares or
    dnspython cannot query. c-ares accepts a link-local server without an interface, and then queries no server at all.
    """
    try:
        address, port = parse_endpoint(text, _DNS_PORT)
    except ValueError:
        address, port = "", 0
    if port == 0:
        raise ValueError(f"{text!r} is not a server: write 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53")
    _check_interface(address)
    return address, port


def _check_interface(text: str) -> None:
    address = ip_address(text)
    if not isinstance(address, IPv6Address):
        return
    if address.is_site_local:
        raise ValueError(f"has the site-local address {text}, which RFC 3879 abolished")
    if address.is_link_local != bool(address.scope_id):
        raise ValueError(f"has {text}: write a link-local address, and no other, with its interface: fe80::1%eth0")
    if address.scope_id and address.scope_id not in (name for _, name in socket.if_nameindex()):
        raise ValueError(f"has {text}: there is no network interface {address.scope_id!r}")


def parse_endpoint(text: str, default_port: int) -> tuple[str, int]:
    """Return an IP address and a port. Raises ValueError."""
    host, port = split_endpoint(text, default_port)
    return str(unmapped(ip_address(host))), port


def _address(word: str) -> Address:
    """Parse an address with or without brackets. Raises ValueError."""
    return unmapped(ip_address(without_brackets(word)))


def _listeners(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_listener, _split(text))))


def _listener(word: str) -> str:
    """Parse `unix:PATH`, a host name or an address; an IPv4-mapped address becomes IPv4, since bind(2) refuses it."""
    if word.startswith("unix:"):
        return f"unix:{_socket_path(word.removeprefix('unix:'))}"
    try:
        return str(_address(word))
    except ValueError:
        check_name(word)
    if not _HOST_NAME.fullmatch(word):
        raise ValueError(f"{word!r} is not an address: write 127.0.0.1, ::1 or unix:/PATH, and the port as listen_port")
    return word


def _socket_path(path: str) -> str:
    if not path or path.startswith("@"):
        raise ValueError("does not name the socket's file: write unix:/PATH; Postfix connects to no abstract socket")
    if len(os.fsencode(check_name(path))) > _LONGEST_SOCKET:
        raise ValueError(f"has a path that is too long for a unix socket: {_LONGEST_SOCKET} bytes at most")
    return path


def group_id(group: str) -> int:
    """Return the number of a group, which may be a name or already a number. Raises ValueError."""
    if group.isdecimal() and int(group) <= _HIGHEST_GROUP:
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError) as error:  # ValueError: a name with NUL
        raise ValueError("is not a group of this machine: `getent group` lists them") from error


def _group(text: str) -> str:
    if text:
        group_id(text)
    return text


def _file_names(text: str) -> tuple[str, ...]:
    words = _split(text)
    if any(word.startswith(("#", ";")) for word in words):
        raise ValueError("is not a list of files")
    return tuple(map(check_name, words))


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(_host(word) for word in _split(text))


def _host(word: str) -> str:
    """Parse a host name or address, in the form of the Host header without a port."""
    try:
        return str(_address(word))
    except ValueError:
        if not _HOST_NAME.fullmatch(word):
            raise ValueError(f"{word!r} is not a host name: write bley.example.org, without http:// and port") from None
    return word.lower().rstrip(".")


def _proxies(text: str) -> tuple[Network, ...]:
    networks = _networks(text)
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("includes every address: write the address of the reverse proxy")
    return networks


def host_name() -> str:
    """Return this machine's name as a node name; other characters than a node name may have become hyphens."""
    return re.sub(r"[^!-~]", "-", socket.gethostname())[:LONGEST_NODE_NAME] or "localhost"


def _node_name(text: str) -> str:
    if not re.fullmatch(f"[!-~]{{1,{LONGEST_NODE_NAME}}}", text):
        raise ValueError(
            f"is not a node's name: write 1 to {LONGEST_NODE_NAME} printable ASCII characters without blanks, such as "
            "mx1.example.org"
        )
    return text


def _mode(text: str) -> int:
    if not re.fullmatch("0?[0-7]{3}", text):
        raise ValueError("is not a file mode: write it as 0660")
    return int(text, 8)


def _workers(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= _MOST_WORKERS):
        raise ValueError(
            f"is not a number of processes: write 1, or the number of cores to use, at most {_MOST_WORKERS}"
        )
    return int(text)


Seconds = Annotated[timedelta, _duration_in("s")]
Minutes = Annotated[timedelta, _duration_in("m")]
Days = Annotated[timedelta, _duration_in("d")]
Boolean = Annotated[bool, _from_text(_boolean)]
FileName = Annotated[str, AfterValidator(check_name)]
FileNames = Annotated[tuple[str, ...], _from_text(_file_names)]
Listeners = Annotated[tuple[str, ...], _from_text(_listeners)]
Words = Annotated[tuple[str, ...], _from_text(_split)]
Networks = Annotated[tuple[Network, ...], _from_text(_networks)]
DnsLists = Annotated[tuple[DnsList, ...], _from_text(parse_dns_lists)]
DomainLists = Annotated[tuple[DnsList, ...], _from_text(parse_domain_lists)]
Threshold = Annotated[int, Field(ge=1, le=MOST)]
"""At least 1, so that a client without findings reaches no threshold."""
Group = Annotated[str, AfterValidator(_group)]
FileMode = Annotated[int, _from_text(_mode)]
Workers = Annotated[int, _from_text(_workers)]
Servers = Annotated[tuple[str, ...], _from_text(_servers)]
NodeName = Annotated[str, AfterValidator(_node_name)]
Prefix = Annotated[int, _from_text(_prefix)]
ScoresByFact = Annotated[Scores, _from_text(parse_scores)]
Hosts = Annotated[tuple[str, ...], _from_text(_hosts)]
Proxies = Annotated[tuple[Network, ...], _from_text(_proxies)]


def shown_duration(duration: timedelta) -> str:
    """Format a duration as a setting, in its largest whole unit."""
    seconds = duration.total_seconds()
    unit = next((unit for unit in "dhm" if seconds and seconds % _SECONDS[unit] == 0), "s")
    return f"{seconds / _SECONDS[unit]:f}".rstrip("0").rstrip(".") + unit
