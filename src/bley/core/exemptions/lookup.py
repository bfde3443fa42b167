"""The exempt clients, senders and recipients, and their lookup for each request.

Domains compare by their A-labels (RFC 5890 2.3.2.1), which the entries have too. Expressions are searched in the text
as received, and in its form with A-labels if that differs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bley.core.expressions import Expression
from bley.core.mail import Address, Network
from bley.core.names.domains import a_labels

__all__ = ["LONGEST_NAME", "ClientExemptions", "MailExemptions", "Names", "Origin", "SenderExemptions"]

Origin = str
"""The file, line and text of an entry, for the log: `whitelist_clients:12:example.com`."""

LONGEST_NAME = 253
"""Characters of a name in the DNS (RFC 1035 2.3.4). A longer one is cut, since each of its labels would cost a copy."""


@dataclass(slots=True)
class Names:
    """Names, which match subdomains too, and expressions: the entries that both kinds of file have."""

    names: dict[str, Origin] = field(default_factory=dict)
    """By the name with A-labels, in lower case."""
    expressions: list[tuple[Expression, Origin]] = field(default_factory=list)

    def find_name(self, name: str) -> Origin | None:
        """Return the entry for `name`, with A-labels, or for a domain above it."""
        if not self.names:
            return None
        if len(name) > LONGEST_NAME:
            name = name[-LONGEST_NAME - 1 :].partition(".")[2]
        while name:
            if origin := self.names.get(name):
                return origin
            name = name.partition(".")[2]
        return None

    def find_expression(self, text: str, with_a_labels: str) -> Origin | None:
        """Return the first entry whose expression matches in the text, or in its form with A-labels."""
        for expression, origin in self.expressions:
            if expression.search(text) or (with_a_labels != text and expression.search(with_a_labels)):
                return origin
        return None

    @property
    def disabled(self) -> list[Origin]:
        """The entries that are disabled, since a search with their expression took too long."""
        return [origin for expression, origin in self.expressions if expression.is_disabled]


@dataclass(slots=True)
class ClientExemptions(Names):
    """The exempt clients."""

    networks: dict[tuple[int, int], dict[int, Origin]] = field(default_factory=dict)
    """By version and host bits: the network's leading bits as a number."""
    nameless: Origin | None = None
    """The entry that exempts every client without a verified name."""
    followed: dict[str, Origin] = field(default_factory=dict)
    """The names whose addresses are exempt, with A-labels: entries `dyn:home.example.org`."""
    resolved: dict[tuple[int, int], Origin] = field(default_factory=dict)
    """Those addresses, by version and number: `exempt_resolved` replaces them while bley runs."""

    def find(self, address: Address, name: str) -> Origin | None:
        """Return the entry that exempts the client, or None; `name` is its verified name or empty."""
        if origin := self.find_network(address):
            return origin
        if not name:
            return self.nameless
        if not (self.names or self.expressions):
            return None
        folded = name.casefold()
        with_a_labels = a_labels(name)
        return self.find_name(with_a_labels) or self.find_expression(folded, with_a_labels)

    def find_network(self, address: Address) -> Origin | None:
        """Return the entry of a network, or of a followed name, that exempts the address; None if there is none."""
        number = int(address)
        for (version, host_bits), networks in self.networks.items():
            if version == address.version and (origin := networks.get(number >> host_bits)):
                return origin
        return self.resolved.get((address.version, number)) if self.resolved else None

    def exempt_resolved(self, addresses: Mapping[str, Iterable[Address]]) -> None:
        """Exempt these addresses of the followed names, and no others."""
        resolved: dict[tuple[int, int], Origin] = {}
        for name, origin in self.followed.items():
            for address in addresses.get(name, ()):
                resolved.setdefault((address.version, int(address)), origin)
        self.resolved = resolved

    def add_network(self, network: Network, origin: Origin) -> None:
        """Exempt all addresses in `network`."""
        host_bits = network.max_prefixlen - network.prefixlen
        numbers = self.networks.setdefault((network.version, host_bits), {})
        numbers.setdefault(int(network.network_address) >> host_bits, origin)


@dataclass(slots=True)
class MailExemptions(Names):
    """The exempt senders or recipients."""

    addresses: dict[str, Origin] = field(default_factory=dict)
    """`user@domain`, `user@` for every domain, `@domain` without the domains below it, or the null sender, empty."""

    def find(self, address: str) -> Origin | None:
        """Return the entry that exempts the mail address, or None. The null sender is empty."""
        if not (self.addresses or self.names or self.expressions):
            return None
        if not address:
            return self.addresses.get("") or self.find_expression("", "")
        folded = address.casefold()
        local, at, _ = folded.rpartition("@")
        if not at:
            return self.addresses.get(folded + "@") or self.find_expression(folded, folded)
        domain = a_labels(address.rpartition("@")[2])
        with_a_labels = f"{local}@{domain}"
        return (
            self.addresses.get(with_a_labels)
            or self.addresses.get(local + at)
            or self.addresses.get(at + domain)
            or self.find_name(domain)
            or self.find_expression(folded, with_a_labels)
        )


@dataclass(slots=True)
class SenderExemptions(MailExemptions):
    """The exempt senders."""

    if_spf_passes: MailExemptions = field(default_factory=MailExemptions)
    """The senders that are exempt only if SPF passes: entries `spf:example.org`."""
