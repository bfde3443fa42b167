"""What another greylister knew, in bley's terms."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from bley.core.greylist import Record
from bley.core.mail import Triplet
from bley.core.triplet import ANY, TripletRules, bounded

__all__ = ["ImportedRecord", "is_any"]


@dataclass(frozen=True, slots=True)
class ImportedRecord:
    """A record under the client's network; of one address it is a /32 or /128.

    `sender` may be ANY or ANY@domain, `recipient` may be ANY; the empty sender is the null sender.
    """

    network: IPv4Network | IPv6Network
    sender: str
    recipient: str
    record: Record

    def triplet(self, rules: TripletRules) -> Triplet | None:
        """What bley keeps this record under by its own rules; None where these tell the network's addresses apart."""
        client = rules.client(self.network.network_address, "")
        if rules.client(self.network.broadcast_address, "") != client:
            return None
        sender = self.sender if is_any(self.sender) else rules.sender(self.sender)
        recipient = self.recipient if is_any(self.recipient) else rules.recipient(self.recipient)
        return Triplet(client, bounded(sender), bounded(recipient))


def is_any(address: str) -> bool:
    """Whether it is ANY, or ANY@domain."""
    return address == ANY or address.startswith(f"{ANY}@")
