"""The records that an operator selects by the name of a client, a sender or a recipient."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from bley.core.history.conditions import (
    Clause,
    Condition,
    MailForms,
    fits_all,
    is_host_in,
    is_mail,
    is_mail_in,
    named_domain,
    named_network,
    overlaps,
)
from bley.core.mail import Triplet, parse_address
from bley.core.names.domains import with_a_labels
from bley.core.triplet import ANY, TripletRules

__all__ = ["NULL_SENDER", "RecordFilter"]

NULL_SENDER = "<>"
"""The null sender, as RFC 5321 4.5.5 writes it; in a triplet it is the empty text."""


@dataclass(frozen=True)
class RecordFilter:
    """Selects the records that match each given text; None is not given.

    `client`: an address or network, which selects all that overlap it, or a domain with its subdomains. `sender`,
    `recipient`: a mail address, which is normalised like those of triplets, or a domain with its subdomains; `<>` is
    the null sender.
    """

    client: str | None = None
    sender: str | None = None
    recipient: str | None = None

    @property
    def folded(self) -> "RecordFilter":
        """Return the filter with case-folded texts, which may be copied from a list of triplets."""
        return RecordFilter(*(text and text.casefold() for text in (self.client, self.sender, self.recipient)))

    def normalised(self, rules: TripletRules) -> "RecordFilter":
        """Return the filter with its texts normalised by the rules of the stored triplets.

        Raises ValueError if nothing is left of a text: it would select every record.
        """
        normalised = RecordFilter(
            self.client and _client(self.client),
            self.sender and _sender(self.sender, rules),
            self.recipient and _mail(self.recipient, rules.recipient),
        )
        for name, text in (("client", self.client), ("sender", self.sender), ("recipient", self.recipient)):
            if getattr(normalised, name) == "":
                hint = ", and the null sender is <>" if name == "sender" else ""
                kinds = "address, network or domain" if name == "client" else f"mail address or domain{hint}"
                raise ValueError(f"{name}: {text!r} is no {kinds}")
        return normalised

    def triplet(self, rules: TripletRules) -> Triplet | None:
        """Return the triplet of a mail without a record, if the texts are an IP address and two whole mail addresses.

        The client is its network: the domain of its verified name, if it has one, is not known here.
        """
        address = parse_address((self.client or "").strip().strip("[]"))
        is_bounce = (self.sender or "").strip() == NULL_SENDER
        sender, recipient = "" if is_bounce else _word(self.sender or ""), _word(self.recipient or "")
        if address is None or not (is_bounce or _is_whole(sender)) or not _is_whole(recipient):
            return None
        return Triplet(rules.client(address, ""), rules.sender(sender), rules.recipient(recipient))

    def fits(self, triplet: Triplet) -> bool:
        """Return whether the triplet is selected; the texts must be `normalised` or `folded`."""
        return fits_all(triplet, self.clauses)

    @cached_property
    def clauses(self) -> list[Clause]:
        """Return the clauses that a triplet must meet: one for each given text."""
        clauses: list[Clause] = []
        if self.client is not None:
            network = named_network(self.client)
            by_network, by_name = (overlaps, network), (is_host_in, self.client)
            clauses.append([Condition("client", *(by_network if network else by_name))])
        for column, text in (("sender", self.sender), ("recipient", self.recipient)):
            if text == NULL_SENDER:
                clauses.append([Condition(column, operator.eq, "")])
            elif text is not None:
                mail = Condition(column, is_mail, MailForms(frozenset([text])))
                clauses.append([mail, Condition(column, is_mail_in, text)])
        return clauses


def _client(text: str) -> str:
    word = text.strip().strip("[]")
    return word if named_network(word) else named_domain(word)


def _sender(text: str, rules: TripletRules) -> str:
    return NULL_SENDER if text.strip() == NULL_SENDER else _mail(text, rules.sender)


def _mail(text: str, normalise: Callable[[str], str]) -> str:
    """Return the mail address as it is stored, or else the domain; empty if the text is neither."""
    word = _word(text)
    if word == ANY or word.startswith(f"{ANY}@"):
        return with_a_labels(word)
    return with_a_labels(normalise(word)) if word.rpartition("@")[0].strip("@") else named_domain(word)


def _word(text: str) -> str:
    return text.strip().removeprefix("<").removesuffix(">").strip()


def _is_whole(address: str) -> bool:
    local, _, domain = address.rpartition("@")
    return bool(local.strip("@") and domain) and local != ANY
