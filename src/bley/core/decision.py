"""What was decided about one request, with everything that led to it: for answer, log, store and people."""

import math
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from bley.core.dnslists.lists import ListAnswer
from bley.core.evidence import NO_EVIDENCE, Check, Evidence, Finding, shortened
from bley.core.greylist import Record, Standing
from bley.core.mail import Request, Triplet
from bley.core.policy import Reason

__all__ = ["Decision", "KeptDecision", "Outcome"]

Outcome = Literal["pass", "greylist", "would-defer"]
"""What became of a request, in the log's and the store's words; `would-defer` is a deferral in `mode = observe`."""


class Decision(NamedTuple):
    """A verdict with its named reason; steps that were not reached left their fields empty."""

    request: Request
    reason: Reason
    defers: bool = False
    triplet: Triplet | None = None
    record: Record | None = None
    """What the store knew before."""
    standing: Standing | None = None
    evidence: Evidence = NO_EVIDENCE
    wait: timedelta | None = None
    """Of a deferral: how long until a retry passes."""
    delayed: timedelta | None = None
    """Of a triplet that waited: how long ago its first attempt was."""
    exempted_by: str = ""
    """The list entry that exempts, with its file and line."""

    @property
    def wait_seconds(self) -> int:
        """`wait` in whole seconds, after which a retry surely passes; 0 where there is none."""
        return math.ceil(self.wait.total_seconds()) if self.wait else 0

    def outcome(self, *, observes: bool) -> Outcome:
        """What becomes of the request; `observes` where a deferral is not carried out."""
        if not self.defers:
            return "pass"
        return "would-defer" if observes else "greylist"


class KeptDecision(NamedTuple):
    """A decision as the store keeps it, with all findings."""

    at: datetime
    outcome: Outcome
    decision: Decision
    sender: str
    recipient: str
    """As they came; if `is_private`, as the triplet has them."""
    is_private: bool = False
    """Nothing else of it may tell a local part either."""

    @property
    def details(self) -> dict[str, Any]:
        """All but what every decision has, as JSON can say it; what is empty is left out."""
        decision = self.decision
        details: dict[str, Any] = {
            "triplet": decision.triplet
            and [decision.triplet.client, decision.triplet.sender, decision.triplet.recipient],
            "standing": decision.standing and decision.standing.value,
            "first_seen": decision.record and decision.record.first_seen.isoformat(),
            "attempts": decision.record and decision.record.attempts,
            "findings": {check.value: self._finding(check, finding) for check, finding in decision.evidence.items()},
            "wait_seconds": decision.wait and decision.wait.total_seconds(),
            "delay_seconds": decision.delayed and decision.delayed.total_seconds(),
            "entry": ":".join(decision.exempted_by.split(":")[:2]) if self.is_private else decision.exempted_by,
        }
        return {name: value for name, value in details.items() if value}

    def _finding(self, check: Check, finding: Finding) -> dict[str, Any]:
        if finding.answers:
            return {"score": finding.score, "lists": [_told(each) for each in finding.answers]}
        # What pyspf says of a wrong record may hold the sender, which macros put there.
        is_told = check is Check.SPF and self.is_private
        return {"score": finding.score, "detail": finding.detail.partition(":")[0] if is_told else finding.detail}


def _told(answer: ListAnswer) -> dict[str, Any]:
    return {"list": answer.dns_list.name, "is": shortened(str(answer)), "says": answer.text, "weight": answer.weight}
