"""The operator's exemption lists: mail that is never delayed. The syntax is postgrey's.

    example.com         the name, and all names below it; of a mail address, its domain
    192.0.2.1           an address
    192.0.2.0/24        a network; bits after the prefix are ignored
    192.168.1           a network by its first octets
    2001:db8::/32       the same for IPv6
    postmaster@         a local part, at any domain
    jane@example.org    a mail address
    /^mx\\d+\\.example\\.net$/   a regular expression (Python's), found anywhere in the name or address

A comment starts with `#` or `;`. Case is ignored. A client file takes names, networks and expressions; a sender or
recipient file takes names, mail addresses and expressions.

Source: postgrey(8), the whitelist files.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from bley.core.errors import Fault, SettingsError
from bley.core.expressions import Expression
from bley.core.mail import Address, Network, parse_network

__all__ = [
    "ClientExemptions",
    "MailExemptions",
    "Origin",
    "is_mail_address",
    "is_name",
    "read_clients",
    "read_mail_addresses",
]

Origin = str
"""The file, line and text of an entry, for the log: `whitelist_clients:12:example.com`."""

_LONGEST_NAME = 253
"""Characters of a name in the DNS (RFC 1035 2.3.4). A longer one is cut, since each of its labels would cost a copy."""

_PART_OF_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){1,2}\.?")
_LOOKS_LIKE_ADDRESS = re.compile(r"[\d./]+|.*:.*|.*/.*")
_NAME = re.compile(r"\.?(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?")
_MAIL_ADDRESS = re.compile(r"[^@\s]+@(?:[\w-]{1,63}\.)*[\w-]{0,63}")


@dataclass(slots=True)
class _Names:
    """Names, which match subdomains too, and expressions: the entries that both kinds of file have."""

    names: dict[str, Origin] = field(default_factory=dict)
    expressions: list[tuple[Expression, Origin]] = field(default_factory=list)

    def find_name(self, name: str) -> Origin | None:
        """Return the entry for `name` or for a domain above it."""
        if len(name) > _LONGEST_NAME:
            name = name[-_LONGEST_NAME - 1 :].partition(".")[2]
        while name and self.names:
            if origin := self.names.get(name):
                return origin
            name = name.partition(".")[2]
        return None

    def find_expression(self, text: str) -> Origin | None:
        return next((origin for expression, origin in self.expressions if expression.search(text)), None)

    @property
    def disabled(self) -> list[Origin]:
        """The entries that are disabled, since a search with their expression took too long."""
        return [origin for expression, origin in self.expressions if expression.is_disabled]


@dataclass(slots=True)
class ClientExemptions(_Names):
    """The exempt clients."""

    networks: dict[tuple[int, int], dict[int, Origin]] = field(default_factory=dict)
    """By version and host bits: the network's leading bits as a number."""

    def find(self, address: Address, name: str) -> Origin | None:
        """Return the entry that exempts the client, or None; `name` is its verified name or empty."""
        name = name.casefold()
        return self._find_network(address) or self.find_name(name) or (self.find_expression(name) if name else None)

    def _find_network(self, address: Address) -> Origin | None:
        number = int(address)
        for (version, host_bits), networks in self.networks.items():
            if version == address.version and (origin := networks.get(number >> host_bits)):
                return origin
        return None

    def add_network(self, network: Network, origin: Origin) -> None:
        """Exempt all addresses in `network`."""
        host_bits = network.max_prefixlen - network.prefixlen
        numbers = self.networks.setdefault((network.version, host_bits), {})
        numbers.setdefault(int(network.network_address) >> host_bits, origin)


@dataclass(slots=True)
class MailExemptions(_Names):
    """The exempt senders or recipients."""

    addresses: dict[str, Origin] = field(default_factory=dict)
    """`user@domain`, or `user@` for every domain."""

    def find(self, address: str) -> Origin | None:
        """Return the entry that exempts the mail address, or None."""
        address = address.casefold()
        local, at, domain = address.rpartition("@")
        return (
            self.addresses.get(address)
            or self.addresses.get((local or domain) + "@")
            or (self.find_name(domain) if at else None)
            or (self.find_expression(address) if address else None)
        )


def read_clients(files: Iterable[tuple[str, str]]) -> ClientExemptions:
    """Parse client list files, given as (file name, text).

    Raises SettingsError with every invalid line, its file and the expected form.
    """
    clients = ClientExemptions()
    _read(files, clients, lambda entry, origin: _add_client(clients, entry, origin))
    return clients


def read_mail_addresses(files: Iterable[tuple[str, str]]) -> MailExemptions:
    """Parse sender or recipient list files, given as (file name, text); raises as `read_clients`."""
    addresses = MailExemptions()
    _read(files, addresses, lambda entry, origin: _add_mail_address(addresses, entry, origin))
    return addresses


def is_name(text: str) -> bool:
    """Return whether the text is valid in a list file as the name of a host or domain."""
    return bool(_NAME.fullmatch(text)) and not _LOOKS_LIKE_ADDRESS.fullmatch(text)


def is_mail_address(text: str) -> bool:
    """Return whether the text is valid in a list file as one mail address, and no character starts a comment."""
    local, _, domain = text.rpartition("@")
    return (
        bool(local and domain and _MAIL_ADDRESS.fullmatch(text))
        and text.isprintable()
        and not re.search("[#;]|^/", text)
    )


def _read(files: Iterable[tuple[str, str]], names: _Names, add: Callable[[str, Origin], None]) -> None:
    faults = []
    for file, text in files:
        for number, line in enumerate(text.split("\n"), start=1):
            if not (entry := re.split("[#;]", line, maxsplit=1)[0].strip()):
                continue
            origin = f"{file}:{number}:{entry}"
            try:
                if len(entry) > 2 and entry.startswith("/") and entry.endswith("/"):
                    names.expressions.append((_expression(entry), origin))
                else:
                    add(entry.casefold(), origin)
            except ValueError as error:
                faults.append(Fault(file, number, str(error)))
    if faults:
        raise SettingsError(faults)


def _expression(entry: str) -> Expression:
    try:
        return Expression(entry[1:-1])
    except ValueError as error:
        raise ValueError(f"{entry!r} {error}") from error


def _add_client(clients: ClientExemptions, entry: str, origin: Origin) -> None:
    if "@" in entry:
        raise ValueError(f"{entry!r} is a mail address; a client file takes host names, addresses and networks")
    if _PART_OF_IPV4.fullmatch(entry):
        clients.add_network(_network_of_octets(entry), origin)
    elif _LOOKS_LIKE_ADDRESS.fullmatch(entry):
        clients.add_network(_network(entry), origin)
    else:
        _add_name(clients, entry, origin)


def _network_of_octets(entry: str) -> IPv4Network:
    octets = entry.rstrip(".").split(".")
    prefix = 8 * len(octets)
    try:
        return IPv4Network((".".join(octets + ["0"] * (4 - len(octets))), prefix))
    except ValueError as error:
        raise ValueError(f"{entry!r} is not a network: write it as 192.168.1 or 192.168.1.0/24") from error


def _network(entry: str) -> Network:
    try:
        return parse_network(entry)
    except ValueError as error:
        raise ValueError(
            f"{entry!r} is not an address or network: write it as 192.0.2.1, 192.0.2.0/24, 192.168.1 or 2001:db8::/32"
        ) from error


def _add_mail_address(addresses: MailExemptions, entry: str, origin: Origin) -> None:
    if "@" not in entry:
        if _LOOKS_LIKE_ADDRESS.fullmatch(entry):
            raise ValueError(f"{entry!r} is not a mail address or domain; networks belong in whitelist_clients_file")
        _add_name(addresses, entry, origin)
    elif _MAIL_ADDRESS.fullmatch(entry):
        addresses.addresses.setdefault(entry, origin)
    else:
        raise ValueError(f"{entry!r} is not a mail address: write it as user@, user@domain or domain")


def _add_name(names: _Names, entry: str, origin: Origin) -> None:
    if not _NAME.fullmatch(entry):
        raise ValueError(f"{entry!r} is not a name: write one entry per line, and comments after '#'")
    names.names.setdefault(entry.strip("."), origin)
