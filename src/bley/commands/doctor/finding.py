"""The findings of `bley doctor`: each a line about one subject, with its reason and its remedy."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Finding", "Level", "fault", "note", "warning", "well", "worst"]


class Level(StrEnum):
    """How bad a finding is, from the best to the worst."""

    WELL = "well"
    NOTE = "note"
    """Worth knowing, and no reason to act."""
    WARNING = "warning"
    """bley works, but delays mail for no reason, or delays too little."""
    FAULT = "fault"
    """bley does not start, or is never queried, or mail is lost."""


class Finding(NamedTuple):
    """`what` is found about the subject, `why` it matters, and `remedy`: the command to run or the line to write."""

    level: Level
    subject: str
    what: str
    why: str = ""
    remedy: str = ""


def well(subject: str, what: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.WELL, subject, what)


def note(subject: str, what: str, why: str = "", remedy: str = "") -> Finding:
    """Return a finding that needs no action."""
    return Finding(Level.NOTE, subject, what, why, remedy)


def warning(subject: str, what: str, why: str, remedy: str = "") -> Finding:
    """Return a finding that needs a look."""
    return Finding(Level.WARNING, subject, what, why, remedy)


def fault(subject: str, what: str, why: str, remedy: str = "") -> Finding:
    """Return a finding that needs a repair."""
    return Finding(Level.FAULT, subject, what, why, remedy)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level of the findings; without any, all is well."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.WELL)
