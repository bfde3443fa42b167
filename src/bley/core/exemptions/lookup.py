"""The exempt clients, senders and recipients, and their lookup for each request."""

from dataclasses import dataclass, field

from bley.core.expressions import Expression
from bley.core.mail import Address, Network

__all__ = ["ClientExemptions", "MailExemptions", "Names", "Origin", "SenderExemptions"]

Origin = str
"""The file, line and text of an entry, for the log: `whitelist_clients:12:example.com`."""

_LONGEST_NAME = 253
"""Characters of a name in the DNS (RFC 1035 2.3.4). A longer one is cut, since each of its labels would cost a copy."""


@dataclass(slots=True)
class Names:
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
        """Return the first entry whose expression matches in the text."""
        return next((origin for expression, origin in self.expressions if expression.search(text)), None)

    @property
    def disabled(self) -> list[Origin]:
        """The entries that are disabled, since a search with their expression took too long."""
        return [origin for expression, origin in self.expressions if expression.is_disabled]


@dataclass(slots=True)
class ClientExemptions(Names):
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
class MailExemptions(Names):
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


@dataclass(slots=True)
class SenderExemptions(MailExemptions):
    """The exempt senders."""

    if_spf_passes: MailExemptions = field(default_factory=MailExemptions)
    """The senders that are exempt only if SPF passes: entries `spf:example.org`."""
