"""What somebody looks for among decisions and records, in one text as it stands in the log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from bley.core.history.record_filter import (
    NULL_SENDER,
    is_in_domain,
    mail_domain,
    named_domain,
    named_network,
    overlaps,
)
from bley.core.mail import Network, Triplet, parse_address
from bley.core.names.domains import a_labels, with_a_labels
from bley.core.triplet import TripletRules

__all__ = ["DecisionQuery", "Search", "StoredDecision"]


class StoredDecision(NamedTuple):
    """A decision as the store gives it back. `details` are core.decision.KeptDecision's."""

    number: str
    """The store's own for it."""
    at: datetime
    outcome: str
    reason: str
    client_address: str
    client_name: str
    helo_name: str
    sender: str
    recipient: str
    instance: str
    queue_id: str
    details: Mapping[str, Any]

    @property
    def triplet(self) -> Triplet | None:
        """None where the decision was made before there was one."""
        triplet = self.details.get("triplet")
        return Triplet(*triplet) if triplet else None

    @property
    def defers(self) -> bool:
        """Whether it is a deferral, be it one that was not carried out."""
        return self.outcome != "pass"


@dataclass(frozen=True)
class Search:
    """A mail address, a domain or host name and what is below it, an IP address or network, an instance or queue id.

    `rules` are those by which the store's triplets are kept: a mail address is found however it was rewritten.
    """

    text: str
    rules: TripletRules

    @cached_property
    def word(self) -> str:
        """The text without blanks and angle brackets around it, with signs in place of what no database takes."""
        text = self.text.encode(errors="replace").decode().replace("\0", "\ufffd")  # surrogates, and NUL
        return text.strip().removeprefix("<").removesuffix(">").strip()

    @cached_property
    def network(self) -> Network | None:
        """The IP address, or the network; None where it is neither."""
        return named_network(self.word.strip("[]"))

    @cached_property
    def addresses(self) -> frozenset[str]:
        """The mail address in all its forms, the null sender as the empty one; none where it is no mail address."""
        if self.text.strip() in ("", NULL_SENDER):
            return frozenset([""])
        if not self.word.rpartition("@")[0]:
            return frozenset()
        return self._forms(self.word, self.rules.sender, self.rules.recipient)

    @cached_property
    def domain(self) -> str:
        """What may be a host name or domain, as these are compared; an empty one fits none."""
        return named_domain(self.word)

    def fits(self, decision: StoredDecision) -> bool:
        """Whether the decision is meant."""
        if self.network:
            return _is_in_network(decision.client_address, self.network)
        sender, recipient = decision.sender, decision.recipient
        if self.addresses:
            forms = self._forms(sender, self.rules.sender)
            if recipient.strip():
                forms |= self._forms(recipient, self.rules.recipient)
            return not self.addresses.isdisjoint(forms)
        domains = *map(a_labels, (decision.client_name, decision.helo_name)), *map(mail_domain, (sender, recipient))
        return bool(self.word) and (
            self.word in (decision.instance, decision.queue_id)
            or any(is_in_domain(domain, self.domain) for domain in domains)
        )

    def fits_triplet(self, triplet: Triplet) -> bool:
        """Whether the triplet's record is meant."""
        if self.network:
            return overlaps(triplet.client, self.network)
        if self.addresses:
            return not self.addresses.isdisjoint(map(with_a_labels, (triplet.sender, triplet.recipient)))
        domains = a_labels(triplet.client), mail_domain(triplet.sender), mail_domain(triplet.recipient)
        return any(is_in_domain(domain, self.domain) for domain in domains)

    def _forms(self, address: str, *rules: Callable[[str], str]) -> frozenset[str]:
        """The mail address as it came, and as each of these rules keeps it."""
        return frozenset(with_a_labels(form) for form in (address.casefold(), *(rule(address) for rule in rules)))


def _is_in_network(text: str, network: Network) -> bool:
    address = parse_address(text)
    return address is not None and address.version == network.version and address in network


@dataclass(frozen=True)
class DecisionQuery:
    """Which decisions; what is empty or None excludes none."""

    search: Search | None = None
    reason: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    recipients: frozenset[str] = frozenset()
    """One of these, in any case."""

    def fits(self, decision: StoredDecision) -> bool:
        """Whether the decision is meant."""
        return (
            (not self.reason or decision.reason == self.reason)
            and (not self.outcome or decision.outcome == self.outcome)
            and (self.since is None or decision.at >= self.since)
            and (self.until is None or decision.at < self.until)
            and (not self.recipients or decision.recipient.casefold() in self.recipients)
            and (self.search is None or self.search.fits(decision))
        )
