"""Which records a person means by the name of a client, a sender or a recipient."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from bley.core.mail import Network, Triplet, parse_network
from bley.core.names.domains import a_labels, with_a_labels
from bley.core.triplet import ANY, TripletRules

__all__ = ["NULL_SENDER", "RecordFilter", "is_in_domain", "mail_domain", "named_domain", "named_network", "overlaps"]

NULL_SENDER = "<>"
"""The null sender, as RFC 5321 4.5.5 writes it; in a triplet it is the empty text."""


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """All records that fit each text that is given; None is not given.

    `client`: an address or network, for all that overlap it, or a domain and what is below it. `sender`, `recipient`: a
    mail address, by the same rules as its triplets', or a domain and what is below it; `<>` is the null sender.
    """

    client: str | None = None
    sender: str | None = None
    recipient: str | None = None

    @property
    def folded(self) -> "RecordFilter":
        """The same, as it may be copied from a list of triplets."""
        return RecordFilter(*(text and text.casefold() for text in (self.client, self.sender, self.recipient)))

    def normalised(self, rules: TripletRules) -> "RecordFilter":
        """The same, in the words of triplets that are kept by these rules.

        Raises ValueError where nothing is left of a text: as a condition it would mean every record.
        """
        return RecordFilter(
            self.client and _client(self.client),
            self.sender and _sender(self.sender, rules),
            self.recipient and _mail(self.recipient, rules.recipient),
        )._checked(self)

    def _checked(self, given: "RecordFilter") -> "RecordFilter":
        for name in self.__slots__:
            if getattr(self, name) == "":
                hint = ", and the null sender is <>" if name == "sender" else ""
                kinds = "address, network or domain" if name == "client" else f"mail address or domain{hint}"
                raise ValueError(f"{name}: {getattr(given, name)!r} is no {kinds}")
        return self

    def fits(self, triplet: Triplet) -> bool:
        """Whether the triplet is meant; the texts are `normalised` or `folded`."""
        return (
            (self.client is None or _fits_client(triplet.client, self.client))
            and (self.sender is None or _fits_mail(triplet.sender, self.sender))
            and (self.recipient is None or _fits_mail(triplet.recipient, self.recipient))
        )


def _client(text: str) -> str:
    word = text.strip().strip("[]")
    return word if named_network(word) else named_domain(word)


def _sender(text: str, rules: TripletRules) -> str:
    return NULL_SENDER if text.strip() == NULL_SENDER else _mail(text, rules.sender)


def _mail(text: str, normalise: Callable[[str], str]) -> str:
    """A mail address as it is kept; a domain otherwise. Empty where it is neither."""
    word = text.strip().removeprefix("<").removesuffix(">").strip()
    if word == ANY or word.startswith(f"{ANY}@"):
        return with_a_labels(word)
    return with_a_labels(normalise(word)) if word.rpartition("@")[0].strip("@") else named_domain(word)


@lru_cache(maxsize=1024)
def named_network(text: str) -> Network | None:
    """An IP address as a network of one, or a network; None where it is neither."""
    try:
        return parse_network(text)
    except ValueError:
        return None


def named_domain(text: str) -> str:
    """The domain that a person may write as `.example.com` or `@example.com`, as domains are compared, or nothing."""
    return a_labels(text.strip().strip("@").strip().strip("."))


def mail_domain(address: str) -> str:
    """The domain of a mail address, as domains are compared; empty where it has none."""
    return a_labels(address.rpartition("@")[2])


def _fits_client(client: str, wanted: str) -> bool:
    if network := named_network(wanted):
        return overlaps(client, network)
    return named_network(client) is None and is_in_domain(a_labels(client), wanted)


def overlaps(client: str, network: Network) -> bool:
    """Whether a triplet's client is a network or an address that shares addresses with this network."""
    own = named_network(client)
    return own is not None and own.version == network.version and own.overlaps(network)


def _fits_mail(address: str, wanted: str) -> bool:
    if wanted == NULL_SENDER:
        return not address
    return with_a_labels(address) == wanted or is_in_domain(mail_domain(address), wanted)


def is_in_domain(name: str, wanted: str) -> bool:
    """Whether the name is this domain or below it, both as domains are compared. No name is in the empty domain."""
    return bool(wanted) and (name == wanted or name.endswith(f".{wanted}"))
