"""The outcome of a deferral: the wait that was imposed, and the delay that followed.

the first pass of the mail has the reason `waited`          PASSED
it has another reason, or follows `bley pass`               LET_THROUGH
the record is known by now, after `bley pass`               RELEASED
the record is known by now                                  PASSED, at an unknown time
the record is greylisted, the wait is not over              WAITING
the record is greylisted, the wait is over                  DUE
no record, or the mail came back as a stranger's            FORGOTTEN
the decision was only logged (`mode = observe`)             NOT_CARRIED_OUT
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from itertools import takewhile
from typing import NamedTuple

from bley.core.greylist import Record, Standing, Status, Timing
from bley.core.history.search import StoredDecision
from bley.core.history.steps import format_instant
from bley.core.reasons import Reason

__all__ = ["DeferralOutcome", "OutcomeKind", "deferral_outcome", "describe_pass", "format_duration", "starts_anew"]


class OutcomeKind(Enum):
    """The kinds of outcome of a deferral."""

    PASSED = "passed"
    LET_THROUGH = "let-through"
    RELEASED = "released"
    WAITING = "waiting"
    DUE = "due"
    FORGOTTEN = "forgotten"
    NOT_CARRIED_OUT = "not-carried-out"


class DeferralOutcome(NamedTuple):
    """The outcome of a deferral; unknown values are None."""

    kind: OutcomeKind
    wait: timedelta | None = None
    """The wait that was imposed, from the deferral on."""
    passed_at: datetime | None = None
    """RELEASED: the time of `bley pass`, after which the next attempt passes."""
    delay: timedelta | None = None
    """The time since the first attempt, if the mail passed."""
    left: timedelta | None = None
    """WAITING: the time until a retry passes."""
    due_at: datetime | None = None
    """WAITING, DUE: the time after which a retry passes."""
    last_attempt: datetime | None = None
    passed_by: str = ""
    """LET_THROUGH: the reason of the pass, with the entry of the list file that exempts it."""

    def __str__(self) -> str:
        wait = "" if self.wait is None else f"had to wait {format_duration(self.wait)}; "
        match self.kind:
            case OutcomeKind.PASSED if self.passed_at and self.delay is not None:
                delay = format_duration(self.delay)
                return f"{wait}passed on a retry at {format_instant(self.passed_at)}, {delay} after the first attempt"
            case OutcomeKind.PASSED:
                return f"{wait}has passed since"
            case OutcomeKind.LET_THROUGH if self.passed_at and self.delay is not None:
                after = f"{format_instant(self.passed_at)}, {format_duration(self.delay)} after the first attempt"
                return f"{wait}passed before that at {after}, by {self.passed_by}"
            case OutcomeKind.RELEASED if self.passed_at:
                return f"{wait}passes at its next attempt since {format_instant(self.passed_at)}, by `bley pass`"
            case OutcomeKind.FORGOTTEN:
                return f"{wait}was not retried in time, or its record was removed: the triplet is a stranger again"
            case OutcomeKind.NOT_CARRIED_OUT:
                return "passed, because mode = observe defers nothing"
        last = f"last attempt {format_instant(self.last_attempt)}" if self.last_attempt else ""
        if self.kind is OutcomeKind.WAITING and self.left is not None and self.due_at:
            left = f"{format_duration(self.left)} left, until {format_instant(self.due_at)}"
            return f"{wait}still waiting, {left}, {last}"
        return f"{wait}the wait is over, but there was no retry, {last}"


def deferral_outcome(
    deferral: StoredDecision, record: Record | None, attempts: Sequence[StoredDecision], timing: Timing, now: datetime
) -> DeferralOutcome:
    """Return the outcome of the deferral.

    `record`: the record of its triplet. `attempts`: those of its mail, in order of time.
    """
    wait = _seconds(deferral, "wait_seconds")
    if deferral.outcome == "would-defer":
        return DeferralOutcome(OutcomeKind.NOT_CARRIED_OUT, wait)
    later = [each for each in attempts if each.at >= deferral.at and each.number != deferral.number]
    later = list(takewhile(lambda each: not starts_anew(each, deferral, timing), later))
    if passed := next((each for each in later if _passes(each)), None):
        return _outcome_of_pass(deferral, passed, wait, later)
    if record is None or record.first_seen > deferral.at or timing.standing(record, now) is Standing.NEW:
        return DeferralOutcome(OutcomeKind.FORGOTTEN, wait)
    if record.status is not Status.GREYLISTED:
        released = next((each.at for each in later if each.reason == Reason.RELEASED), None)
        return DeferralOutcome(OutcomeKind.RELEASED if released else OutcomeKind.PASSED, wait, released)
    left = timing.remaining(record, now)
    kind = OutcomeKind.DUE if left < timedelta(0) else OutcomeKind.WAITING
    return DeferralOutcome(kind, wait, left=max(left, timedelta(0)), due_at=now + left, last_attempt=record.last_seen)


def starts_anew(attempt: StoredDecision, deferral: StoredDecision, timing: Timing) -> bool:
    """Return whether the record of the deferral was forgotten before this attempt, which a stranger made.

    Two nodes that got the same mail at the same time both see a stranger.
    """
    is_strangers = attempt.reason != Reason.EARLY if attempt.defers else attempt.reason in _OF_STRANGERS
    return is_strangers and attempt.at - deferral.at > timing.period


def _passes(attempt: StoredDecision) -> bool:
    """Return whether the mail passed with this attempt. In `mode = observe` a retry passes before its wait is over."""
    if attempt.outcome == "pass":
        return attempt.reason != Reason.RELEASED
    return attempt.outcome == "would-defer" and attempt.reason == Reason.EARLY


def _outcome_of_pass(
    deferral: StoredDecision, passed: StoredDecision, wait: timedelta | None, later: Sequence[StoredDecision]
) -> DeferralOutcome:
    since = passed.at - deferral.at
    if passed.reason == Reason.WAITED:
        first_seen = passed.details.get("first_seen")
        if first_seen is None or datetime.fromisoformat(first_seen) <= deferral.at:
            return DeferralOutcome(OutcomeKind.PASSED, wait, passed.at, _seconds(passed, "delay_seconds") or since)
        return DeferralOutcome(OutcomeKind.FORGOTTEN, wait)
    if passed.reason != Reason.KNOWN:
        return DeferralOutcome(OutcomeKind.LET_THROUGH, wait, passed.at, since, passed_by=describe_pass(passed))
    if any(each.reason == Reason.RELEASED and each.at <= passed.at for each in later):
        return DeferralOutcome(OutcomeKind.LET_THROUGH, wait, passed.at, since, passed_by="`bley pass`")
    return DeferralOutcome(OutcomeKind.PASSED, wait)  # it passed under a place of its client that is not known any more


def describe_pass(decision: StoredDecision) -> str:
    """Return the reason, with the entry of the list file that exempts the mail, or the mode in force."""
    if decision.outcome == "would-defer" or decision.reason == Reason.OFF:
        return f"mode = {'off' if decision.reason == Reason.OFF else 'observe'}"
    entry = decision.details.get("entry")
    return f"{decision.reason} ({entry})" if entry else decision.reason


_OF_STRANGERS = frozenset([Reason.CLEAN, Reason.TRUSTED, Reason.CLIENT_GOOD])
"""Reasons with which the mail of a stranger passes."""


def format_duration(duration: timedelta) -> str:
    """Return a readable duration: `47 s`, `5 min 3 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = round(duration.total_seconds())
    for unit, size, smaller, smaller_size in _UNITS:
        if seconds >= size:
            rest = seconds % size // smaller_size
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


_UNITS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))


def _seconds(decision: StoredDecision, name: str) -> timedelta | None:
    number = decision.details.get(name)
    return None if number is None else timedelta(seconds=number)
