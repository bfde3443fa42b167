"""The decision about one request, with everything that led to it: for the answer, the log, the store and reports."""

import math
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from bley.core.dnslists.lists import ListAnswer
from bley.core.evidence import NO_EVIDENCE, Evidence, Finding, shortened
from bley.core.findings import CAUSES, AnyCheck, AnyReason, Check
from bley.core.greylist import Record, Standing
from bley.core.mail import RawRequest, Request, Triplet
from bley.core.reasons import Reason

__all__ = ["Decision", "DecisionEntry", "KnownRequest", "Outcome"]

Outcome = Literal["pass", "greylist", "would-defer"]
"""The outcome of a request, as the log and the store name it; `would-defer` is a deferral in `mode = observe`."""


class Decision(NamedTuple):
    """A verdict with its named reason. Fields of steps that were not reached are empty."""

    request: Request
    reason: AnyReason
    defers: bool = False
    triplet: Triplet | None = None
    record: Record | None = None
    """The triplet's record before this request."""
    standing: Standing | None = None
    evidence: Evidence = NO_EVIDENCE
    wait: timedelta | None = None
    """For a deferral: the time until a retry passes."""
    delayed: timedelta | None = None
    """For a triplet that waited: the time since its first attempt."""
    exempted_by: str = ""
    """The matching entry of an exemption list, with its file and line."""
    verified_name: str = ""
    """The client's name that bley verified, if the mail server found none."""
    places: tuple[str, ...] = ()
    """The clients under which records of the triplet stood: its own, or others of the same client (core.places)."""
    section: str = ""
    """The name of the section for recipients whose rules were in force; empty: those of [bley]."""
    cause: str = ""
    """Why the triplet was first deferred, now or before (greylist.Record.cause)."""
    relation: str = ""
    """The relation that let a suspicious stranger pass, in words (core.relations)."""

    @property
    def cause_reason(self) -> str:
        """The reason in `cause`; empty if it is none of CAUSES, as in a file that another bley exported."""
        word, _, _ = self.cause.partition(" ")
        return word if word in CAUSES else ""

    @property
    def wait_seconds(self) -> int:
        """`wait` in seconds, rounded up so that a retry then passes; 0 without a wait."""
        return math.ceil(self.wait.total_seconds()) if self.wait else 0

    @property
    def delay_seconds(self) -> int:
        """`delayed` in whole seconds; 0 without a delay."""
        return int(self.delayed.total_seconds()) if self.delayed else 0

    def outcome(self, *, observes: bool) -> Outcome:
        """Return the outcome; with `observes`, a deferral is only logged."""
        if not self.defers:
            return "pass"
        return "would-defer" if observes else "greylist"


class KnownRequest(NamedTuple):
    """The decision about a request of known mail, as far as it is equal for all mails with the same deciding lines.

    It is cached for many requests, so it has only what the log and the store need, in little memory.
    """

    line: str
    """The log line, without the fields that identify the mail."""
    triplet: str
    """The three parts, joined by LF, which no attribute has."""
    section: str = ""
    domains: str = ""
    """The names under which the mail counts (core.history.domain_counts)."""

    def decision(self, raw: RawRequest) -> Decision:
        """Return the decision about one of these mails."""
        triplet = Triplet(*self.triplet.split("\n"))
        known = Standing.KNOWN
        return Decision(raw.parse_bounded(), Reason.KNOWN, triplet=triplet, standing=known, section=self.section)


class DecisionEntry(NamedTuple):
    """A decision as it is stored, with all findings."""

    at: datetime
    outcome: Outcome
    decision: Decision
    sender: str
    recipient: str
    """As received; with `is_private`, hashed as in the triplet."""
    is_private: bool = False
    """A privacy key is set: no stored field may reveal a local part."""
    node: str = ""
    """The name of the node that decided (setting `node_name`); empty: unknown, and not counted by node."""

    @property
    def details(self) -> dict[str, Any]:
        """The fields that not every decision has, as JSON values; empty ones are left out."""
        decision = self.decision
        details: dict[str, Any] = {
            "verified_name": decision.verified_name,
            "triplet": decision.triplet
            and [decision.triplet.client, decision.triplet.sender, decision.triplet.recipient],
            "standing": decision.standing and decision.standing.value,
            "places": decision.triplet and decision.places != (decision.triplet.client,) and list(decision.places),
            "first_seen": decision.record and decision.record.first_seen.isoformat(),
            "attempts": decision.record and decision.record.attempts,
            "findings": {check.value: self._finding(check, finding) for check, finding in decision.evidence.items()},
            "wait_seconds": decision.wait and decision.wait.total_seconds(),
            "delay_seconds": decision.delayed and decision.delayed.total_seconds(),
            "section": decision.section,
            "cause": decision.cause != decision.reason and decision.cause,
            "relation": not self.is_private and decision.relation,
            "entry": ":".join(decision.exempted_by.split(":")[:2]) if self.is_private else decision.exempted_by,
        }
        return {name: value for name, value in details.items() if value}

    def _finding(self, check: AnyCheck, finding: Finding) -> dict[str, Any]:
        if finding.answers:
            return {"score": finding.score, "lists": [_list_fields(each) for each in finding.answers]}
        # pyspf's message about an invalid record may quote the sender, which macros expand to.
        is_cut = check is Check.SPF and self.is_private
        return {"score": finding.score, "detail": finding.detail.partition(":")[0] if is_cut else finding.detail}


def _list_fields(answer: ListAnswer) -> dict[str, Any]:
    fields = {"list": answer.dns_list.name, "is": shortened(str(answer)), "says": answer.text, "weight": answer.weight}
    return fields | ({"domains": answer.domains} if answer.domains else {})
