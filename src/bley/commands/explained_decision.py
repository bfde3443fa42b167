"""A decision with the story of its mail, in steps for people and as a JSON document: what `bley why` shows of each."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from bley.commands.output import instant_document
from bley.core.findings import Check
from bley.core.history.advice import Advice, exemptions_of, with_exempted
from bley.core.history.exempted import ExemptedMail, Exemption
from bley.core.history.outcome import DeferralOutcome
from bley.core.history.search import StoredDecision
from bley.core.history.steps import (
    Step,
    describe_request,
    describe_triplet,
    describe_verdict,
    describe_verified_name,
    finding_steps,
    format_instant,
)
from bley.core.history.story import Story
from bley.core.reasons import Reason

__all__ = ["ExplainedDecision"]


class ExplainedDecision(NamedTuple):
    """One decision, with the story of its mail."""

    story: Story
    advice: Sequence[Advice]
    delay_advice: Sequence[Advice] = ()
    """For a pass: the remedies if the deferral before it was wrong."""
    shown_at: datetime | None = None
    """The time of the decision of the same mail that is shown before this one, with the whole story."""

    @property
    def decision(self) -> StoredDecision:
        """The decision."""
        return self.story.decision

    @property
    def outcome(self) -> DeferralOutcome | None:
        """The outcome, if the decision was a deferral."""
        return self.story.outcome if self.decision.defers else None

    @property
    def exemptions(self) -> list[Exemption]:
        """The entries of the advice that exempt mail."""
        return exemptions_of([*self.advice, *self.delay_advice])

    def with_exempted(self, exempted: Mapping[Exemption, ExemptedMail]) -> "ExplainedDecision":
        """Return the decision, with what the entries of its advice would have exempted."""
        advice, delay_advice = (with_exempted(some, exempted) for some in (self.advice, self.delay_advice))
        return self._replace(advice=advice, delay_advice=delay_advice)

    @property
    def steps(self) -> list[Step]:
        """The steps for people."""
        decision = self.decision
        where = f", node {decision.node}" if decision.node else ""
        steps = [("when", f"{format_instant(decision.at)}{where}")]
        if decision.reason != Reason.RELEASED:  # an operator's decision, about no request
            steps.append(("request", describe_request(decision)))
        if name := decision.details.get("verified_name"):
            steps.append(("name", describe_verified_name(name)))
        if decision.triplet:
            steps.append(("triplet", describe_triplet(decision.triplet)))
        if section := decision.details.get("section"):
            steps.append(("rules", f"[recipients {section}]"))
        if standing := decision.details.get("standing"):
            steps.append(("standing", standing))
        if places := decision.details.get("places"):
            steps.append(("records", f"under {', '.join(places)}"))
        steps += finding_steps(decision.details.get("findings", {}), _why_not)
        if relation := decision.details.get("relation"):
            steps.append(("relation", relation))
        steps.append(("verdict", _verdict(decision)))
        if ids := [f"{name}={text}" for name in ("instance", "queue_id") if (text := getattr(decision, name))]:
            steps.append(("log", ", ".join(ids)))
        if self.outcome:
            steps.append(("then", str(self.outcome)))
        return [*steps, *self._story_steps]

    @property
    def _story_steps(self) -> list[Step]:
        if self.shown_at:
            return [("attempts", f"as above, {format_instant(self.shown_at)}")]
        steps = [("attempts" if number == 0 else "", line) for number, line in enumerate(_lines(self.story))]
        for of, source in self.story.sources:
            steps.append(("evidence", f"of {of}, {format_instant(source.at)}, reason {source.reason}:"))
            steps += finding_steps(source.details.get("findings", {}), _why_not)
        return steps

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document (docs/json.md)."""
        fields = self.decision._asdict() | {"at": instant_document(self.decision.at)}
        details = fields.pop("details")
        triplet = self.decision.triplet
        return fields | {
            "triplet": triplet and triplet._asdict(),
            **{name: details.get(name) for name in _DETAILS},
            "attempts": details.get("attempts", 0) if "first_seen" in details else None,
            "findings": details.get("findings", {}),
            "sequel": self.outcome and _outcome_document(self.outcome),
            "story": _story_document(self.story),
            "advice": list(map(_advice_document, self.advice)),
            "delay_advice": list(map(_advice_document, self.delay_advice)),
        }


def _lines(story: Story) -> Iterator[str]:
    """Return one line for each attempt of the story."""
    for line in story.lines:
        if line.decision is None:
            yield f"   {line.words}"
        else:
            mark = " (this one)" if line.decision.number == story.decision.number else ""
            yield f"{format_instant(line.decision.at)}  {line.decision.reason}: {line.words}{mark}"


_DETAILS = (
    "verified_name", "standing", "places", "first_seen", "cause", "wait_seconds", "delay_seconds", "entry", "relation",
    "section",
)  # fmt: skip


def _why_not(check: Check) -> str:
    return "" if check is Check.DOMAIN_LIST else "not asked"  # most have no domain lists


def _verdict(decision: StoredDecision) -> str:
    details: Mapping[str, Any] = decision.details
    return describe_verdict(
        decision.outcome,
        decision.reason,
        entry=details.get("entry", ""),
        wait_seconds=details.get("wait_seconds"),
        delay_seconds=details.get("delay_seconds"),
    )


def _advice_document(advice: Advice) -> dict[str, Any]:
    exempted = advice.exempted
    number, is_at_least = exempted.counted if exempted else (None, None)
    words = {name: getattr(advice, name) for name in ("text", "entry", "file", "command")}
    return words | {
        "exempted": number,
        "exempted_is_at_least": is_at_least,
        "exempted_days": exempted and exempted.days,
    }


def _story_document(story: Story) -> dict[str, Any]:
    deferral, judgment = story.deferral, story.judgment
    return {
        "attempts": [
            {
                "number": each.decision and each.decision.number,
                "at": each.decision and instant_document(each.decision.at),
                "outcome": each.decision and each.decision.outcome,
                "reason": each.decision and each.decision.reason,
                "text": each.words,
            }
            for each in story.lines
        ],
        "deferral": deferral and deferral.number,
        "judgment": judgment and judgment.number,
        "evidence": {source.number: source.details.get("findings", {}) for _, source in story.sources},
        "outcome": story.outcome and _outcome_document(story.outcome),
    }


def _outcome_document(outcome: DeferralOutcome) -> dict[str, Any]:
    return {
        "fate": outcome.kind.value,
        "passed_at": outcome.passed_at and instant_document(outcome.passed_at),
        "passed_by": outcome.passed_by or None,
        "delay_seconds": outcome.delay and outcome.delay.total_seconds(),
        "left_seconds": None if outcome.left is None else outcome.left.total_seconds(),
        "due_at": outcome.due_at and instant_document(outcome.due_at),
        "last_attempt": outcome.last_attempt and instant_document(outcome.last_attempt),
    }
