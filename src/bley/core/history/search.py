"""Searches for decisions and records, by one text from the log and by other filters."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from bley.core.history.conditions import (
    Clause,
    Condition,
    MailForms,
    fits_all,
    is_host_in,
    is_mail,
    is_mail_in,
    is_one_of,
    named_domain,
    named_network,
    overlaps,
)
from bley.core.history.record_filter import NULL_SENDER
from bley.core.mail import Network, Triplet
from bley.core.names.domains import with_a_labels
from bley.core.triplet import TripletRules

__all__ = ["DecisionQuery", "Search", "StoredDecision"]


class StoredDecision(NamedTuple):
    """A decision as the store returns it. `details` are those of core.decision.DecisionEntry."""

    number: str
    """The store's own identifier of the decision."""
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
    node: str = ""
    """The node that decided; empty in decisions of bley before 3.1."""

    @property
    def triplet(self) -> Triplet | None:
        """Return the triplet; None if the decision was made without one."""
        triplet = self.details.get("triplet")
        return Triplet(*triplet) if triplet else None

    @property
    def defers(self) -> bool:
        """Return whether this is a deferral, including one that `mode = observe` only logs."""
        return self.outcome != "pass"


_Normalisations = tuple[Callable[[str], str], ...]


@dataclass(frozen=True)
class Search:
    """A mail address, a domain or host name with its subdomains, an IP address or network, an instance or queue id.

    `rules`: those of the store's triplets. A mail address is found in each form that they produce.
    """

    text: str
    rules: TripletRules

    @cached_property
    def word(self) -> str:
        """Return the text without outer blanks and angle brackets; U+FFFD replaces what no database accepts."""
        text = self.text.encode(errors="replace").decode().replace("\0", "\ufffd")  # surrogates, and NUL
        return text.strip().removeprefix("<").removesuffix(">").strip()

    @cached_property
    def network(self) -> Network | None:
        """Return the IP address or network; None if the text is neither."""
        return named_network(self.word.strip("[]"))

    @cached_property
    def addresses(self) -> frozenset[str]:
        """Return the mail address in all its forms, the null sender as the empty one; none if it is no mail address."""
        if self.text.strip() in ("", NULL_SENDER):
            return frozenset([""])
        if not self.word.rpartition("@")[0]:
            return frozenset()
        forms = (self.word.casefold(), self.rules.sender(self.word), self.rules.recipient(self.word))
        return frozenset(map(with_a_labels, forms))

    @cached_property
    def domain(self) -> str:
        """Return what may be a host name or domain, as A-labels; an empty one matches nothing."""
        return named_domain(self.word)

    @cached_property
    def decision_clause(self) -> Clause:
        """Return the conditions of which a decision must meet one."""
        if self.network:
            return [Condition("client_address", overlaps, self.network)]  # that of `bley pass` is a network
        if self.addresses:
            return self._mail((str.casefold, self.rules.sender), (str.casefold, self.rules.recipient))
        words = [Condition(column, operator.eq, self.word) for column in ("instance", "queue_id") if self.word]
        return [*words, *self._in_domain("client_name", "helo_name")]

    @cached_property
    def record_clause(self) -> Clause:
        """Return the conditions of which a triplet must meet one; its addresses are normalised already."""
        if self.network:
            return [Condition("client", overlaps, self.network)]
        return self._mail((str,), (str,)) if self.addresses else self._in_domain("client")

    def _mail(self, sender: _Normalisations, recipient: _Normalisations) -> Clause:
        forms = {"sender": MailForms(self.addresses, sender)}
        if recipients := self.addresses - {""}:  # the null sender is no recipient
            forms["recipient"] = MailForms(recipients, recipient)
        return [Condition(column, is_mail, operand) for column, operand in forms.items()]

    def _in_domain(self, *hosts: str) -> Clause:
        if not self.domain:
            return []
        mails = [Condition(column, is_mail_in, self.domain) for column in ("sender", "recipient")]
        return [*(Condition(column, is_host_in, self.domain) for column in hosts), *mails]

    def fits(self, decision: StoredDecision) -> bool:
        """Return whether the decision matches."""
        return fits_all(decision, [self.decision_clause])

    def fits_triplet(self, triplet: Triplet) -> bool:
        """Return whether the record of the triplet matches."""
        return fits_all(triplet, [self.record_clause])


@dataclass(frozen=True)
class DecisionQuery:
    """Filters of decisions; an empty one, or None, excludes nothing."""

    search: Search | None = None
    reasons: frozenset[str] = frozenset()
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    recipients: frozenset[str] = frozenset()
    """Recipients, case-folded."""
    node: str = ""

    @cached_property
    def clauses(self) -> list[Clause]:
        """Return the clauses that a decision must meet."""
        conditions = [
            Condition("reason", is_one_of, self.reasons),
            Condition("outcome", operator.eq, self.outcome),
            Condition("at", operator.ge, self.since),
            Condition("at", operator.lt, self.until),
            Condition("recipient", is_one_of, self.recipients),
            Condition("node", operator.eq, self.node),
        ]
        clauses: list[Clause] = [[condition] for condition in conditions if condition.operand]
        return [*clauses, self.search.decision_clause] if self.search else clauses

    def fits(self, decision: StoredDecision) -> bool:
        """Return whether the decision matches."""
        return fits_all(decision, self.clauses)
