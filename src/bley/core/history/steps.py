"""A decision told step by step, for people: in `bley explain`, `bley why` and the dashboard the same words.

Findings are as a KeptDecision's details have them. Words may hold values from the wire: who shows them makes them safe.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bley.core.evidence import ALWAYS_TOLD, RFC_CHECKS, Check
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
    "finding_steps",
    "format_instant",
]

Step = tuple[str, str]
"""What the step is called, and what came of it; a step without a name goes on with the one before."""


def describe_request(request: Request | StoredDecision) -> str:
    """Who asked for what."""
    client = f"{request.client_name or 'no client_name'} [{request.client_address}]"
    return f"{client}, HELO {request.helo_name or '(none)'}, from <{request.sender}> to <{request.recipient}>"


def describe_triplet(triplet: Triplet) -> str:
    """As it is kept."""
    return f"client {triplet.client}, sender <{triplet.sender}>, recipient <{triplet.recipient}>"


def describe_record(record: Record | None) -> str:
    """What the store knows."""
    if record is None:
        return "no record"
    text = f"{record.status.name.lower()}, first seen {format_instant(record.first_seen)}"
    text += f", last seen {format_instant(record.last_seen)}"
    if record.status is not Status.GREYLISTED:
        return text
    return f"{text}, {quantity(record.attempts, 'early retry', 'early retries')}"


def format_instant(instant: datetime) -> str:
    """An aware UTC instant, to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def finding_steps(findings: Mapping[str, Any], why_not: Callable[[Check], str]) -> list[Step]:
    """Each finding with its score and words; `why_not` says why a check was not asked. None where nothing was."""
    if not findings:
        return []
    steps = []
    for check in ALWAYS_TOLD:
        if finding := findings.get(check.value):
            first, *others = _words(finding)
            steps.append((check.value, f"{_score(finding)}  {first}"))
            steps += [("", f"   {line}") for line in others]
        else:
            steps.append((check.value, f"-  {why_not(check)}"))
    return [*steps, *_others(findings)]


def _others(findings: Mapping[str, Any]) -> list[Step]:
    """The findings that are told by their names, and those of them that there are not."""
    others = [check.value for check in RFC_CHECKS if check not in ALWAYS_TOLD]
    there = [name for name in others if name in findings]
    lines = [f"{_score(findings[name])}  {name}: {findings[name]['detail']}" for name in there]
    if missing := [name for name in others if name not in findings]:
        lines.append(f"0  {', '.join(missing)}")
    return [("" if number else "others", line) for number, line in enumerate(lines)]


def _words(finding: Mapping[str, Any]) -> list[str]:
    """A line for each list, and one for what it says of the client; of other checks one line."""
    lines = []
    for each in finding.get("lists", ()):
        lines.append(each["is"])
        if each["says"]:
            lines.append(f"  it says: {each['says']}")
    return lines or [finding.get("detail", "")]


def _score(finding: Mapping[str, Any]) -> str:
    return "?" if finding["score"] is None else str(finding["score"])


def describe_verdict(
    reason: str, *, defers: bool, entry: str = "", wait_seconds: float | None = None, delay_seconds: float | None = None
) -> str:
    """Verdict and reason; `delay_seconds` only of who waited."""
    verdict = f"{'defer' if defers else 'pass'}, reason {reason}"
    if entry:
        verdict += f" ({entry})"
    if wait_seconds is not None:
        verdict += f"; a retry passes after {wait_seconds:.0f} s"
    if delay_seconds is not None:
        verdict += f"; delayed for {delay_seconds:.0f} s"
    return verdict
