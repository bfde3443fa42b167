"""Which records a person means who names a client, a sender or a recipient."""

from dataclasses import dataclass

from bley.core.mail import Network, Triplet, parse_network
from bley.core.triplet import TripletRules

__all__ = ["Wanted", "is_in_domain"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """All records that fit each text which is not empty.

    `client`: an address or network, for all that overlap it, or a domain and what is below it. `sender`, `recipient`: a
    mail address, by the same rules as its triplets', or a domain and what is below it.
    """

    client: str = ""
    sender: str = ""
    recipient: str = ""

    @property
    def folded(self) -> "Wanted":
        """The same, as it may be copied from a list of triplets."""
        return Wanted(self.client.casefold(), self.sender.casefold(), self.recipient.casefold())

    def normalised(self, rules: TripletRules) -> "Wanted":
        """The same, in the words of triplets that are kept by these rules."""
        is_address = "@" in self.sender.strip("@"), "@" in self.recipient.strip("@")
        return Wanted(
            self.client.casefold(),
            rules.sender(self.sender) if is_address[0] else self.sender.strip("@").casefold(),
            rules.recipient(self.recipient) if is_address[1] else self.recipient.strip("@").casefold(),
        )

    def fits(self, triplet: Triplet) -> bool:
        """Whether the triplet is meant; the texts are `normalised`."""
        return (
            _fits_client(triplet.client, self.client)
            and _fits_mail(triplet.sender, self.sender)
            and _fits_mail(triplet.recipient, self.recipient)
        )


def _fits_client(client: str, wanted: str) -> bool:
    if not wanted:
        return True
    networks = _network(client), _network(wanted)
    if networks[0] and networks[1]:
        return networks[0].version == networks[1].version and networks[0].overlaps(networks[1])
    return not any(networks) and is_in_domain(client, wanted)


def _network(text: str) -> Network | None:
    try:
        return parse_network(text)
    except ValueError:
        return None


def _fits_mail(address: str, wanted: str) -> bool:
    return not wanted or address == wanted or is_in_domain(address.rpartition("@")[2], wanted)


def is_in_domain(name: str, wanted: str) -> bool:
    """Whether the name is this domain or below it; both case-folded."""
    return name == wanted or name.endswith(f".{wanted}")
