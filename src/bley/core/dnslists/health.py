"""The health of a DNS list, from its self-tests (RFC 5782 5) and from its answers between two tests.

Lists die in a few ways, and each has happened: a list is emptied, lists every address, has its domain parked, refuses
queries, fails, or is silent. An ill list is set aside until a self-test finds it well again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address
from typing import NamedTuple

from bley.core.address_scope import local_scope
from bley.core.dnslists.known import DOMAINS, KnownList
from bley.core.dnslists.lists import Answer, DnsList, Meaning
from bley.core.mail import parse_address

__all__ = [
    "NOT_TESTED",
    "UNREACHABLE",
    "WELL",
    "Diagnosis",
    "HealthNews",
    "ListFault",
    "ListHealth",
    "ListState",
    "VersionHealth",
    "diagnose",
    "diagnose_answer",
]

_FAILURES = 3
"""The surplus of inconclusive over conclusive answers from which a list is not queried until it is tested: a circuit
breaker. Each query was repeated within check_timeout, so three failures are no lost packets."""

_LISTINGS_IN_A_ROW = 30
"""Consecutive listed clients that raise the doubt whether the list lists every address. Where nine of ten clients send
spam, this happens by chance once in a few hundred answers, and costs a test."""


class ListState(StrEnum):
    """The state of a list. Only answers of a list that is well count."""

    UNTESTED = "untested"
    WELL = "well"
    ILL = "ill"
    NOT_SERVED = "not served"
    """The list has no addresses of this IP version."""
    DEAD = "dead"
    """The list is known to be dead, and is never queried."""


class ListFault(StrEnum):
    """The ways in which a list can be ill."""

    EMPTIED = "emptied"
    LISTS_ALL = "lists-all"
    PARKED = "parked"
    REFUSED = "refused"
    FAILED = "failed"
    SILENT = "silent"
    REWRITTEN = "rewritten"
    """Its answers come from a resolver that rewrites NXDOMAIN."""


UNREACHABLE = (ListFault.FAILED, ListFault.SILENT)
"""Faults without an answer of the list. The DNS may be at fault, and a dead list alternates between the two."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of a self-test: the fault, its description and the remedy for the operator; all empty if well."""

    fault: ListFault | None = None
    what: str = ""
    remedy: str = ""
    codes: tuple[IPv4Address, ...] = ()
    """The addresses of the answer that is at fault."""

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.what, self.remedy)))


WELL = Diagnosis()

NOT_TESTED = Answer(Meaning.SET_ASIDE, why="not tested yet")

TestedEntry = tuple[str, Answer] | None
"""An entry of the self-test with the list's answer; None if the list has no such entry."""


def diagnose(facts: KnownList, entry: TestedEntry, clear: TestedEntry, random: TestedEntry) -> Diagnosis:
    """Judge a self-test: the entry that must be listed, the one that must not be, and one that may be either."""
    tests = [test for test in (entry, clear, random) if test]
    for fault in (ListFault.PARKED, ListFault.REFUSED, ListFault.FAILED, ListFault.SILENT):
        for _, answer in tests:
            if answer.meaning == Meaning[fault.name]:
                return diagnose_answer(facts, answer)
    if clear and clear[1].meaning is Meaning.LISTED:
        every = "every address" if parse_address(clear[0]) else "every domain"
        what = f"it lists {clear[0]}, which must not be listed (RFC 5782 5): it lists {every}"
        return Diagnosis(ListFault.LISTS_ALL, what, _remove(facts), clear[1].codes)
    if entry and entry[1].meaning is Meaning.CLEAR:
        what = f"it does not list its test entry {entry[0]} (RFC 5782 5): it is empty, or no list any more"
        return Diagnosis(ListFault.EMPTIED, what, _fill(facts))
    return WELL


def diagnose_answer(facts: KnownList, answer: Answer) -> Diagnosis:
    """Diagnose the list from one inconclusive answer."""
    match answer.meaning:
        case Meaning.PARKED:
            is_local = any(map(local_scope, answer.codes))
            remedy = f"use a resolver of your own; if that lasts, {_remove(facts)}" if is_local else _remove(facts)
            return Diagnosis(ListFault.PARKED, f"it answers {answer.why}", remedy, answer.codes)
        case Meaning.REFUSED:
            remedy = facts.remedy or "use a resolver of your own"
            return Diagnosis(ListFault.REFUSED, f"it refuses our queries ({answer.why})", remedy, answer.codes)
        case Meaning.FAILED:
            return Diagnosis(ListFault.FAILED, f"it answers {answer.why}", f"if that lasts, {_remove(facts)}")
        case _:
            return Diagnosis(ListFault.SILENT, "it does not answer in time", f"if that lasts, {_remove(facts)}")


def _fill(facts: KnownList) -> str:
    if facts.status == "alive" and facts.title:
        return "use a resolver of your own, as lists often hide from public ones; if that lasts, remove it"
    return _remove(facts) + "; if it is your own list, add this entry to it"


def _remove(facts: KnownList) -> str:
    return "remove it from the settings" + (f" and use {facts.instead}" if facts.instead else "")


class VersionHealth:
    """The health of one list for the clients of one IP version, and the instant since which its state lasts."""

    def __init__(self, state: ListState, now: datetime) -> None:
        self.state, self.since, self.diagnosis = state, now, WELL
        self._failures = self._listings = 0

    def take(self, diagnosis: Diagnosis, now: datetime) -> bool:
        """Apply a diagnosis. Return whether it is news for the operator."""
        state = ListState.ILL if diagnosis.fault else ListState.WELL
        is_unreachable = diagnosis.fault in UNREACHABLE and self.diagnosis.fault in UNREACHABLE
        is_news = state is not self.state or not (is_unreachable or diagnosis.fault is self.diagnosis.fault)
        if state is not self.state:
            self.since = now
        self.state, self.diagnosis = state, diagnosis
        self._failures = self._listings = 0
        return is_news

    def not_served(self, now: datetime) -> None:
        """Record that the list has no addresses of this version."""
        if self.state is not ListState.NOT_SERVED:
            self.state, self.since, self.diagnosis = ListState.NOT_SERVED, now, WELL

    def doubts(self, answer: Answer) -> bool:
        """Count an answer about a client. Return whether the list should be tested now."""
        self._failures = max(self._failures - 1, 0) if answer.is_conclusive else self._failures + 1
        self._listings = self._listings + 1 if answer.meaning is Meaning.LISTED else 0
        is_doubtful = self._failures >= _FAILURES or self._listings >= _LISTINGS_IN_A_ROW
        if is_doubtful:
            self._failures = self._listings = 0
        return is_doubtful or answer.meaning in (Meaning.REFUSED, Meaning.PARKED)


class HealthNews(NamedTuple):
    """A change of health that the operator should know, as a sentence of the log."""

    text: str
    is_recovery: bool


class ListHealth:
    """The health of one list for IPv4 and for IPv6 clients, by its self-tests and by its answers about clients.

    A list that is ill for IPv4 clients is set aside for IPv6 clients as well. A domain list has one health, DOMAINS.
    """

    def __init__(self, dns_list: DnsList, now: datetime) -> None:
        self.dns_list = dns_list
        versions = (DOMAINS,) if dns_list.is_of_domains else (4, 6)
        self.versions = {version: VersionHealth(self._first_state(version), now) for version in versions}
        self._first = self.versions[versions[0]]
        self.last_error: tuple[datetime, str] | None = None
        self.shared: Diagnosis | None = None
        """The fault of the resolver, if that makes the list look ill."""
        self._failure: Answer | None = None
        """The last failure of those for which the list is not queried until its next self-test."""

    def _first_state(self, version: int) -> ListState:
        if self.is_dead:
            return ListState.DEAD
        return ListState.UNTESTED if version in self.dns_list.versions else ListState.NOT_SERVED

    @property
    def is_dead(self) -> bool:
        """Whether the list is known to be dead: it is never queried or tested."""
        return self.dns_list.facts.status == "dead"

    @property
    def is_ill(self) -> bool:
        """Whether the list is ill for the clients of at least one IP version."""
        return any(health.state is ListState.ILL for health in self.versions.values())

    @property
    def own_diagnosis(self) -> Diagnosis | None:
        """The fault that its self-test found, for the first IP version, or DOMAINS, that has one."""
        return next((health.diagnosis for health in self.versions.values() if health.state is ListState.ILL), None)

    @property
    def warning(self) -> str:
        """The fault with its remedy, for the log; empty if there is none."""
        version = next((version for version, health in self.versions.items() if health.state is ListState.ILL), None)
        return "" if version is None else self._warning(version, self.versions[version].diagnosis)

    def _warning(self, version: int, diagnosis: Diagnosis) -> str:
        return f"{self._name(version)} is set aside: {diagnosis}: see docs/lists.md"

    def _name(self, version: int) -> str:
        return self.dns_list.name + (" for IPv6 clients" if version == 6 else "")

    @property
    def without_ipv6(self) -> str:
        """The reason why IPv6 clients are not looked up, if its self-test has found that; else empty."""
        is_found = 6 in self.dns_list.versions and self.versions[6].state is ListState.NOT_SERVED
        return f"IPv6 clients are not looked up: {self.dns_list.facts.why_not_served(6)}" if is_found else ""

    def diagnosis(self, version: int) -> Diagnosis:
        """Return the fault for clients of this IP version as it is shown: that of the resolver, if it is to blame."""
        health = self.versions[version]
        return self.shared if self.shared and health.state is ListState.ILL else health.diagnosis

    def unasked_answer(self, version: int) -> Answer | None:
        """Return the answer for clients of this IP version while the list is not queried, None if it is queried."""
        health = self._first if self._first.state is ListState.ILL else self.versions[version]
        match health.state:
            case ListState.WELL if self._failure:
                return Answer(Meaning.SET_ASIDE, why=f"until it is tested: {self._failure.why}")
            case ListState.WELL:
                return None
            case ListState.NOT_SERVED:
                return Answer(Meaning.NOT_SERVED, why=self.dns_list.facts.why_not_served(version))
            case ListState.DEAD:
                facts = self.dns_list.facts
                return Answer(Meaning.SET_ASIDE, why=f"dead since {facts.since}: it {facts.how}")
            case ListState.UNTESTED:
                return NOT_TESTED
        what = (self.shared or health.diagnosis).what
        return Answer(Meaning.SET_ASIDE, why=f"since {health.since:%Y-%m-%d %H:%M} UTC: {what}")

    def doubts(self, version: int, answer: Answer) -> bool:
        """Count an answer about a client. Return whether the list should be tested now."""
        health = self.versions[version]
        is_doubtful = health.state is ListState.WELL and health.doubts(answer)
        if is_doubtful:
            self._failure = answer if answer.meaning in (Meaning.FAILED, Meaning.SILENT) else None
        return is_doubtful

    def take(self, version: int, diagnosis: Diagnosis, now: datetime) -> HealthNews | None:
        """Apply a diagnosis for one IP version. Return the news for the operator, if there is any."""
        health = self.versions[version]
        before, since = health.state, health.since
        if diagnosis.fault:
            self.last_error = now, diagnosis.what
        if not health.take(diagnosis, now):
            return None
        if diagnosis.fault:
            return HealthNews(self._warning(version, diagnosis), is_recovery=False)
        if before is ListState.ILL:
            duration = str(max(now - since, timedelta(0))).partition(".")[0]
            return HealthNews(f"{self._name(version)} is well again, after {duration}", is_recovery=True)
        return None

    def end_test(self, found: Mapping[int, Diagnosis] | None, now: datetime) -> list[HealthNews]:
        """Apply the diagnoses of a self-test by IP version; None: the DNS was silent. Return the news."""
        failure, self._failure = self._failure, None
        if not found:
            return []
        first = next(iter(found))
        if failure and not found[first].fault:
            # The resolver may have the test entries in its cache, although the list answered no client.
            found = {first: diagnose_answer(self.dns_list.facts, failure)}
        news = [self.take(version, diagnosis, now) for version, diagnosis in found.items()]
        if not found[first].fault:
            for version in self.versions.keys() - found.keys():
                if self.versions[version].state is not ListState.WELL:  # one bad test does not end a version
                    self.versions[version].not_served(now)
        return [each for each in news if each]
