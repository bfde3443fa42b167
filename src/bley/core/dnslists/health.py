"""Whether a DNS list can be believed: its self-test (RFC 5782 5), and what its answers tell between two tests.

A list dies in one of a few ways, and each has happened: it is emptied, it lists every address, its domain is parked, it
refuses to answer, it fails, or it is silent. An ill list is set aside until a self-test finds it well again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bley.core.dnslists.known import KnownList
from bley.core.dnslists.lists import Answer, Meaning

__all__ = ["UNHEARD", "WELL", "Diagnosis", "ListFault", "ListHealth", "ListState", "diagnose", "diagnose_answer"]

_FAILURES = 3
"""So many answers more that tell nothing than that tell something: then the list is not asked until it is tested. Each
was asked several times over within check_timeout: three are no lost packets."""

_LISTINGS_IN_A_ROW = 30
"""So many clients listed in a row: does it list everybody? Where nine clients of ten are spammers, this happens by
itself once in a few hundred answers, and costs a test."""


class ListState(StrEnum):
    """How a list stands; only a list that is well is believed."""

    UNTESTED = "untested"
    WELL = "well"
    ILL = "ill"
    NOT_SERVED = "not served"
    """It has no addresses of this IP version."""
    DEAD = "dead"
    """Known to be dead: never asked."""


class ListFault(StrEnum):
    """In what way a list is ill."""

    EMPTIED = "emptied"
    LISTS_ALL = "lists-all"
    PARKED = "parked"
    REFUSED = "refused"
    FAILED = "failed"
    SILENT = "silent"


UNHEARD = (ListFault.FAILED, ListFault.SILENT)
"""No answer of the list's: the fault may be the DNS's, and of a dead list it is now the one, now the other."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a self-test found: what is wrong, in words for the operator, and what to do; without a fault, nothing."""

    fault: ListFault | None = None
    what: str = ""
    remedy: str = ""


WELL = Diagnosis()


Test = tuple[str, Answer] | None
"""An address with the list's answer; None: the list has no such address."""


def diagnose(facts: KnownList, entry: Test, clear: Test, unforeseen: Test) -> Diagnosis:
    """Judge a self-test: the address that must be listed, the one that must not, and one that may be either."""
    tests = [test for test in (entry, clear, unforeseen) if test]
    for fault in (ListFault.PARKED, ListFault.REFUSED, ListFault.FAILED, ListFault.SILENT):
        for _, answer in tests:
            if answer.meaning == Meaning[fault.name]:
                return diagnose_answer(facts, answer)
    if clear and clear[1].meaning is Meaning.LISTED:
        what = f"it lists {clear[0]}, which no list has (RFC 5782 5): it lists every address"
        return Diagnosis(ListFault.LISTS_ALL, what, _remove(facts))
    if entry and entry[1].meaning is Meaning.CLEAR:
        what = f"it does not list its test entry {entry[0]} (RFC 5782 5): it is empty, or is no list any more"
        return Diagnosis(ListFault.EMPTIED, what, _fill(facts))
    return WELL


def diagnose_answer(facts: KnownList, answer: Answer) -> Diagnosis:
    """What one answer that tells nothing says of the list itself."""
    match answer.meaning:
        case Meaning.PARKED:
            return Diagnosis(ListFault.PARKED, f"it answers {answer.why}", _remove(facts))
        case Meaning.REFUSED:
            remedy = facts.remedy or "ask through a resolver of your own"
            return Diagnosis(ListFault.REFUSED, f"it refuses our questions ({answer.why})", remedy)
        case Meaning.FAILED:
            return Diagnosis(ListFault.FAILED, f"it answers {answer.why}", f"if that lasts, {_remove(facts)}")
        case _:
            return Diagnosis(ListFault.SILENT, "it does not answer in time", f"if that lasts, {_remove(facts)}")


def _fill(facts: KnownList) -> str:
    if facts.status == "alive" and facts.title:
        return "ask through a resolver of your own, public ones are often told nothing; if that lasts, remove it"
    return _remove(facts) + "; give it this entry if it is your own"


def _remove(facts: KnownList) -> str:
    return "remove it from the settings" + (f" and take {facts.instead}" if facts.instead else "")


class ListHealth:
    """How one list stands for the clients of one IP version, and since when."""

    def __init__(self, state: ListState, now: datetime) -> None:
        self.state, self.since, self.diagnosis = state, now, WELL
        self._failures = self._listings = 0

    def take(self, diagnosis: Diagnosis, now: datetime) -> bool:
        """Take a diagnosis; whether that changes what the operator should know."""
        state = ListState.ILL if diagnosis.fault else ListState.WELL
        is_unheard = diagnosis.fault in UNHEARD and self.diagnosis.fault in UNHEARD
        is_news = state is not self.state or not (is_unheard or diagnosis.fault is self.diagnosis.fault)
        if state is not self.state:
            self.since = now
        self.state, self.diagnosis = state, diagnosis
        self._failures = self._listings = 0
        return is_news

    def not_served(self, now: datetime) -> None:
        """Take note that it has no addresses of this version."""
        if self.state is not ListState.NOT_SERVED:
            self.state, self.since, self.diagnosis = ListState.NOT_SERVED, now, WELL

    def doubts(self, answer: Answer) -> bool:
        """Count an answer about a client; whether the list should be tested now."""
        self._failures = max(self._failures - 1, 0) if answer.tells else self._failures + 1
        self._listings = self._listings + 1 if answer.meaning is Meaning.LISTED else 0
        is_doubtful = self._failures >= _FAILURES or self._listings >= _LISTINGS_IN_A_ROW
        if is_doubtful:
            self._failures = self._listings = 0
        return is_doubtful or answer.meaning in (Meaning.REFUSED, Meaning.PARKED)
