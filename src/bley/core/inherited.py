"""What another greylister knew, in bley's terms."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from bley.core.greylist import Record
from bley.core.mail import Triplet
from bley.core.triplet import ANY, TripletRules

__all__ = ["Inherited", "kept_recipient", "kept_sender"]


@dataclass(frozen=True, slots=True)
class Inherited:
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
        return Triplet(client, kept_sender(self.sender, rules), kept_recipient(self.recipient, rules))


def kept_sender(sender: str, rules: TripletRules) -> str:
    """A sender that may be ANY or ANY@domain, as a triplet has it."""
    return sender if sender == ANY or sender.startswith(f"{ANY}@") else rules.sender(sender)


def kept_recipient(recipient: str, rules: TripletRules) -> str:
    """A recipient that may be ANY, as a triplet has it."""
    return recipient if recipient == ANY else rules.recipient(recipient)
