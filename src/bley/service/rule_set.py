"""The rules of a request: what a configuration and its checks mean, in one value that never changes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bley.core.decision import Decision, KeptDecision
from bley.core.evidence import Evidence
from bley.core.greylist import Timing
from bley.core.mail import Address, Request
from bley.core.policy import Thresholds
from bley.core.triplet import TripletRules
from bley.log.decision_line import DecisionLog
from bley.service.actions import Actions
from bley.settings.file import Configuration
from bley.settings.settings import Settings

__all__ = ["ChecksOfRules", "RuleSet", "make_rule_set"]

_STORE_SECONDS = 0.9
"""What the store may take in all, asked and told, so that no answer takes longer than check_timeout + 1 s."""


class ChecksOfRules(Protocol):
    """What asks the DNS about a request: checks.gather.Checks."""

    async def gather(self, request: Request, address: Address) -> Evidence:
        """All that the checks find."""

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        """The same, with the lists' own words."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The settings and checks by which a request is decided, answered, logged and stored, from first step to last.

    A reload makes another one for new requests; a request that is in flight then finishes by its own.
    """

    configuration: Configuration
    checks: ChecksOfRules
    actions: Actions
    log: DecisionLog
    triplets: TripletRules
    settings: Settings
    timing: Timing
    thresholds: Thresholds
    observes: bool
    longest_seconds: float
    """What a request may take in all."""

    def kept(self, decision: Decision, now: datetime) -> KeptDecision:
        """The decision as the store keeps it."""
        request, is_private = decision.request, bool(self.triplets.privacy_key)
        sender, recipient = request.sender, request.recipient
        if is_private:
            sender, recipient = self.triplets.sender(sender), self.triplets.recipient(recipient)
        return KeptDecision(now, decision.outcome(observes=self.observes), decision, sender, recipient, is_private)


def make_rule_set(configuration: Configuration, checks: ChecksOfRules, actions: Actions) -> RuleSet:
    """The rules by this configuration; `actions` knows which messages bear the header already."""
    settings = configuration.settings
    observes = settings.mode == "observe"
    return RuleSet(
        configuration=configuration,
        checks=checks,
        actions=actions.reconfigured(settings),
        log=DecisionLog(is_json=settings.logs_json, observes=observes),
        triplets=configuration.triplet_rules,
        settings=settings,
        timing=settings.timing,
        thresholds=settings.thresholds,
        observes=observes,
        longest_seconds=settings.check_timeout.total_seconds() + _STORE_SECONDS,
    )
