"""A record of another greylister, in bley's terms."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from bley.core.greylist import Record
from bley.core.mail import Triplet
from bley.core.triplet import ANY, TripletRules, bounded

__all__ = ["ImportedRecord", "is_any"]


@dataclass(frozen=True, slots=True)
class ImportedRecord:
    """A record for a client's network; a single address is a /32 or /128.

    `sender` may be ANY or ANY@domain, `recipient` may be ANY; the empty sender is the null sender.
    """

    network: IPv4Network | IPv6Network
    sender: str
    recipient: str
    record: Record

    def triplet(self, rules: TripletRules) -> Triplet | None:
        """Return the triplet by these rules; None if they give addresses of the network different triplets."""
        client = rules.client(self.network.network_address, "")
        if rules.client(self.network.broadcast_address, "") != client:
            return None
        sender = self.sender if is_any(self.sender) else rules.sender(self.sender)
        recipient = self.recipient if is_any(self.recipient) else rules.recipient(self.recipient)
        return Triplet(client, bounded(sender), bounded(recipient))


def is_any(address: str) -> bool:
    """Return whether the address is ANY or ANY@domain."""
    return address == ANY or address.startswith(f"{ANY}@")
