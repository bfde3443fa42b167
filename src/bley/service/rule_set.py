"""The rules of a request: a configuration and its checks as one immutable value."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, Self

from bley.checks.gather import Gathered
from bley.core.decision import Decision, DecisionEntry
from bley.core.evidence import Evidence, Finding
from bley.core.exemptions.first_list import FirstList
from bley.core.exemptions.lookup import ClientExemptions
from bley.core.greylist import Timing
from bley.core.mail import Address, Request
from bley.core.policy import Thresholds
from bley.core.relations import RelationRules
from bley.core.scores import Scores
from bley.core.triplet import TripletRules
from bley.log.decision_line import DecisionLog
from bley.service.actions import Actions
from bley.settings.file import Configuration
from bley.settings.settings import Settings

__all__ = ["ChecksOfRules", "RuleSet", "make_rule_set"]

_NO_SECTION = FirstList([])

_STORE_SECONDS = 0.9
"""The time limit of the store's read and write together, so that an answer takes at most check_timeout + 1 s."""


class ChecksOfRules(Protocol):
    """The interface of checks.gather.Checks, which queries the DNS about a request."""

    async def gather(self, request: Request, address: Address) -> Gathered:
        """Return the findings of all checks, and the request with the name that they verified."""

    async def check_spf(self, request: Request, address: Address) -> "tuple[Finding, ChecksOfRules]":
        """Return the result of SPF alone, and the checks for the rest of the request's time, which know it."""

    async def check_domains(self, request: Request, address: Address) -> "tuple[bool, ChecksOfRules]":
        """Return whether the domain lists alone would delay the mail, and the checks for the rest of its time."""

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        """Return the evidence with the lists' own explanations."""

    def judging_by(self, thresholds: Thresholds, scores: Scores) -> Self:
        """Return these checks with other thresholds and scores."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The settings and checks by which a request is decided, answered, logged and stored.

    A reload makes a new one for new requests. A request in flight keeps its own to the end.
    """

    configuration: Configuration
    checks: ChecksOfRules
    actions: Actions
    log: DecisionLog
    triplets: TripletRules
    settings: Settings
    timing: Timing
    thresholds: Thresholds
    relations: RelationRules
    observes: bool
    trusted: ClientExemptions
    """The trusted networks, each as its own entry."""
    has_spf_entries: bool
    """Some senders are exempt only if SPF passes."""
    longest_seconds: float
    """The time limit of a request."""
    section: str = ""
    """The name of the section for recipients that they are in force for; empty: for all others."""
    sections: tuple["RuleSet", ...] = ()
    """The rules of each section for recipients, in the order of the file."""
    section_of: FirstList = _NO_SECTION
    """The place of a recipient's section."""

    def entry(self, decision: Decision, now: datetime) -> DecisionEntry:
        """Return the decision as it is stored; with a privacy key, its addresses are hashed."""
        request, is_private = decision.request, bool(self.triplets.privacy_key)
        sender, recipient = request.sender, request.recipient
        if is_private:
            sender, recipient = self.triplets.sender(sender), self.triplets.recipient(recipient)
        outcome, node = decision.outcome(observes=self.observes), self.settings.node_name
        return DecisionEntry(now, outcome, decision, sender, recipient, is_private, node)


def make_rule_set(configuration: Configuration, checks: ChecksOfRules, actions: Actions) -> RuleSet:
    """Return the rules of this configuration. The new `Actions` share the message cache of `actions`."""
    rules = _rules(configuration, configuration.settings, checks, actions)
    sections = []
    for section in configuration.sections:
        settings = configuration.settings_of(section.name)
        own_checks = checks.judging_by(settings.thresholds, settings.scores)
        sections.append(replace(_rules(configuration, settings, own_checks, actions), section=section.name))
    section_of = FirstList([section.recipients for section in configuration.sections])
    return replace(rules, sections=tuple(sections), section_of=section_of)


def _rules(configuration: Configuration, settings: Settings, checks: ChecksOfRules, actions: Actions) -> RuleSet:
    observes = settings.mode == "observe"
    trusted = ClientExemptions()
    for network in settings.trusted_networks:
        trusted.add_network(network, str(network))
    return RuleSet(
        configuration=configuration,
        checks=checks,
        actions=actions.with_settings(settings),
        log=DecisionLog(is_json=settings.logs_json, observes=observes, node=settings.node_name),
        triplets=configuration.triplet_rules,
        settings=settings,
        timing=settings.timing,
        thresholds=settings.thresholds,
        relations=settings.relations,
        observes=observes,
        trusted=trusted,
        has_spf_entries=bool(
            configuration.senders.if_spf_passes.names or configuration.senders.if_spf_passes.addresses
        ),
        longest_seconds=settings.check_timeout.total_seconds() + _STORE_SECONDS,
    )
