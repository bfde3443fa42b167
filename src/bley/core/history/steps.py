"""A decision as a list of steps in words, the same in `bley explain`, `bley why` and the dashboard.

Findings have the form of a DecisionEntry's details. The words may contain values from the wire: callers must escape
them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bley.core.findings import RFC_CHECKS, Check
from bley.core.greylist import Record, Status
from bley.core.history.search import StoredDecision
from bley.core.mail import Request, Triplet
from bley.core.quantity import quantity

__all__ = [
    "Step",
    "describe_record",
    "describe_request",
    "describe_triplet",
    "describe_verdict",
    "describe_verified_name",
    "finding_steps",
    "format_instant",
]

Step = tuple[str, str]
"""The name of a step and its result; a step without a name continues the step before it."""


def describe_request(request: Request | StoredDecision) -> str:
    """Return client, HELO name, sender and recipient of the request."""
    client = f"{request.client_name or 'no client_name'} [{request.client_address}]"
    return f"{client}, HELO {request.helo_name or '(none)'}, from <{request.sender}> to <{request.recipient}>"


def describe_verified_name(name: str) -> str:
    """Return that bley verified this name of the client."""
    return f"{name} leads to the client's address and back, but the mail server did not find it"


def describe_triplet(triplet: Triplet) -> str:
    """Return the three parts of the triplet, as they are stored."""
    return f"client {triplet.client}, sender <{triplet.sender}>, recipient <{triplet.recipient}>"


def describe_record(record: Record | None) -> str:
    """Return the status of the record, its instants, and its early retries while it is greylisted."""
    if record is None:
        return "no record"
    text = f"{record.status.name.lower()}, first seen {format_instant(record.first_seen)}"
    text += f", last seen {format_instant(record.last_seen)}"
    if record.status is not Status.GREYLISTED:
        return text
    return f"{text}, {quantity(record.attempts, 'early retry', 'early retries')}"


def format_instant(instant: datetime) -> str:
    """Return an aware UTC instant, to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


_VERDICTS: Mapping[str, str] = {
    "pass": "pass",
    "greylist": "defer",
    "would-defer": "pass, because mode = observe defers nothing; else defer",
}
"""The verdict for each outcome of a decision."""


def finding_steps(findings: Mapping[str, Any], why_not: Callable[[Check], str]) -> list[Step]:
    """Return each finding with its score and words; no steps if there are no findings.

    `why_not` returns the reason why a check was skipped; empty if that is not worth a line.
    """
    if not findings:
        return []
    steps = []
    for check in Check:
        if finding := findings.get(check.value):
            first, *others = _words(finding)
            steps.append((check.value, f"{_score(finding)}  {first}"))
            steps += [("", f"   {line}") for line in others]
        elif why := why_not(check):
            steps.append((check.value, f"-  {why}"))
    return [*steps, *_others(findings)]


def _others(findings: Mapping[str, Any]) -> list[Step]:
    """Return the findings of the minor checks by name, then the names of the minor checks without a finding."""
    others = [check.value for check in RFC_CHECKS if not isinstance(check, Check)]
    there = [name for name in others if name in findings]
    lines = [f"{_score(findings[name])}  {name}: {findings[name]['detail']}" for name in there]
    if missing := [name for name in others if name not in findings]:
        lines.append(f"0  {', '.join(missing)}")
    return [("" if number else "others", line) for number, line in enumerate(lines)]


def _words(finding: Mapping[str, Any]) -> list[str]:
    """Return one line for each DNS list and one for its text about the client; one line for any other check."""
    lines = []
    for each in finding.get("lists", ()):
        lines.append(each["is"])
        if each["says"]:
            lines.append(f"  it says: {each['says']}")
    return lines or [finding.get("detail", "")]


def _score(finding: Mapping[str, Any]) -> str:
    return "?" if finding["score"] is None else str(finding["score"])


def describe_verdict(
    outcome: str, reason: str, entry: str = "", wait_seconds: float | None = None, delay_seconds: float | None = None
) -> str:
    """Return verdict and reason; `delay_seconds` is the delay of a request with reason `waited`."""
    verdict = f"{_VERDICTS[outcome]}, reason {reason}"
    if entry:
        verdict += f" ({entry})"
    if wait_seconds is not None:
        verdict += f"; a retry passes after {wait_seconds:.0f} s"
    if delay_seconds is not None:
        verdict += f"; delayed for {delay_seconds:.0f} s"
    return verdict
