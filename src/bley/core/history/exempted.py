"""The deferred mail of the last days that an entry of a list file would have exempted."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from bley.core.exemptions.entries import is_name
from bley.core.history.search import StoredDecision
from bley.core.names.domains import a_labels
from bley.core.reasons import Reason

__all__ = ["COUNTED", "ExemptedCount", "ExemptedMail", "Exemption", "count_exempted", "is_counted", "spf_passes"]

COUNTED = timedelta(days=28)
"""The time in which mail is counted; less if decisions are stored for less."""

_IF_SPF_PASSES = "spf:"


class Exemption(NamedTuple):
    """An entry of a list file: a domain, an address of a client, or a mail address."""

    kind: str
    """`client`, `sender` or `recipient`."""
    entry: str

    @property
    def needs_spf(self) -> bool:
        """Whether it exempts only mail for which SPF passes."""
        return self.entry.startswith(_IF_SPF_PASSES)

    @property
    def word(self) -> str:
        """The domain or address, in the form in which it is compared."""
        word = self.entry.removeprefix(_IF_SPF_PASSES)
        return a_labels(word) if self.is_domain else word.casefold()

    @property
    def is_domain(self) -> bool:
        """Whether it exempts a domain and those below it."""
        return is_name(self.entry.removeprefix(_IF_SPF_PASSES))

    def exempts(self, decision: StoredDecision) -> bool | None:
        """Return whether this would have exempted the mail of a decision; None if its SPF is unknown."""
        if not self._has_mail(decision):
            return False
        return spf_passes(decision) if self.needs_spf else True

    def _has_mail(self, decision: StoredDecision) -> bool:
        own = decision.triplet._asdict().get(self.kind) if decision.triplet else None
        if self.kind == "client":
            name = a_labels(decision.client_name)
            is_own = self.is_domain and own == self.word
            return is_own or decision.client_address == self.word or self._is_above(name)
        address = getattr(decision, self.kind).casefold()
        return self.word in (own, address) or self._is_above(a_labels(address.rpartition("@")[2]))

    def _is_above(self, domain: str) -> bool:
        return self.is_domain and (domain == self.word or domain.endswith(f".{self.word}"))


def spf_passes(decision: StoredDecision) -> bool | None:
    """Return whether SPF passes by the record of the sender's domain; None if that was not checked."""
    detail = decision.details.get("findings", {}).get("spf", {}).get("detail")
    return None if detail is None else detail.startswith("pass") and "best guess" not in detail


def is_counted(decision: StoredDecision) -> bool:
    """Return whether this is the first deferral of a mail."""
    return decision.defers and decision.reason != Reason.EARLY


class ExemptedCount(NamedTuple):
    """The number of deferred mails that an entry would have exempted."""

    number: int
    is_at_least: bool
    """The time limit was reached, or SPF was not checked for some of these mails."""


class ExemptedMail(NamedTuple):
    """The deferred mail of the last days that an entry would have exempted."""

    counted: ExemptedCount
    days: int
    observes: bool = False
    """Mail is not deferred: `mode = observe` is in force."""

    def __str__(self) -> str:
        number, is_at_least = self.counted
        words = f"{'at least ' if is_at_least else ''}{number}"
        mails = "mail" if number == 1 else "mails"
        days = f"the last {self.days} days" if self.days != 1 else "the last day"
        if self.observes:
            return f"would have exempted {words} {mails} of {days} that would have been deferred"
        return f"would have exempted {words} deferred {mails} of {days}"


def count_exempted(
    exemptions: Sequence[Exemption], decisions: Iterable[StoredDecision], *, is_whole: bool = True
) -> list[ExemptedCount]:
    """Return for each entry how many of these mails it would have exempted. `is_whole`: these are all mails."""
    counted = [[0, 0] for _ in exemptions]
    for decision in filter(is_counted, decisions):
        for numbers, exemption in zip(counted, exemptions, strict=True):
            exempts = exemption.exempts(decision)
            numbers[0] += exempts is True
            numbers[1] += exempts is None
    return [ExemptedCount(known, bool(unknown) or not is_whole) for known, unknown in counted]
