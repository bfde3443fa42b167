"""The story of a mail: all its attempts in order of time, from the deferral to the pass."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from bley.core.greylist import Record, Timing
from bley.core.history.attempts import FIRST_READ, Attempts
from bley.core.history.outcome import DeferralOutcome, deferral_outcome, describe_pass, format_duration, starts_anew
from bley.core.history.search import StoredDecision
from bley.core.quantity import quantity
from bley.core.reasons import Reason

__all__ = ["Story", "StoryLine", "build_story"]

_FIRST_SHOWN, _LAST_SHOWN = 5, 7
"""The attempts that a story shows at least, besides those that decide it."""


class StoryLine(NamedTuple):
    """One attempt in words, or some attempts that are left out."""

    words: str
    decision: StoredDecision | None = None


class Story(NamedTuple):
    """The story of the mail of one decision."""

    decision: StoredDecision
    lines: Sequence[StoryLine] = ()
    """Empty if this decision is the only attempt."""
    deferral: StoredDecision | None = None
    """The deferral from which the mail had to wait, when this decision was made."""
    judgment: StoredDecision | None = None
    """The decision that judged the client, if the deferral has the reason `client-bad`."""
    outcome: DeferralOutcome | None = None
    """That of the deferral."""

    @property
    def sources(self) -> list[tuple[str, StoredDecision]]:
        """The other decisions whose evidence led to this one, each with its part in the story."""
        sources = []
        if self.deferral and self.deferral.number != self.decision.number:
            sources.append(("the deferral", self.deferral))
        if self.judgment and self.judgment.number != self.decision.number:
            sources.append(("the judgment of the client", self.judgment))
        return sources


def build_story(
    decision: StoredDecision, attempts: Attempts, record: Record | None, timing: Timing, now: datetime
) -> Story:
    """Return the story of the decision's mail. `record`: that of all its places, united."""
    read = {each.number: each for each in (*attempts.decisions, decision)}
    mine = sorted(read.values(), key=lambda each: each.at)
    omitted = max(attempts.number - len(mine), 0)
    deferral = _deferral_before(decision, mine, timing)
    outcome = deferral and deferral_outcome(deferral, record, mine, timing, now)
    judgment = attempts.judgment if deferral and deferral.reason == Reason.CLIENT_BAD else None
    needed = {each.number for each in (decision, deferral) if each}
    needed |= {each.number for each in mine if outcome and each.at == outcome.passed_at}
    lines = list(_lines(mine, deferral, needed, omitted)) if len(mine) > 1 else []
    return Story(decision, lines, deferral, judgment, outcome)


def _deferral_before(decision: StoredDecision, mine: Sequence[StoredDecision], timing: Timing) -> StoredDecision | None:
    """Return the deferral that made the mail wait when this decision was made; None if none is stored."""
    deferral = None
    for each in mine:
        if each.at > decision.at:
            break
        if deferral is None or starts_anew(each, deferral, timing):
            deferral = each if each.defers and each.reason != Reason.EARLY else None
    return deferral or (decision if decision.defers else None)


def _lines(
    mine: Sequence[StoredDecision], deferral: StoredDecision | None, needed: set[str], omitted: int
) -> Iterator[StoryLine]:
    left_out = 0
    for place, each in enumerate(mine):
        left_out += omitted if place == FIRST_READ else 0
        if not (place < _FIRST_SHOWN or place >= len(mine) - _LAST_SHOWN or each.number in needed):
            left_out += 1
            continue
        if left_out:
            yield StoryLine(f"{quantity(left_out, 'attempt')} between")
            left_out = 0
        yield StoryLine(_describe(each, deferral), each)


def _describe(attempt: StoredDecision, deferral: StoredDecision | None) -> str:
    """Return what happened with the attempt, without its reason."""
    if attempt.reason == Reason.RELEASED:
        return "the operator let it pass at its next attempt"
    if attempt.defers:
        again = " again, since it came too early" if attempt.reason == Reason.EARLY else ""
        if attempt.outcome == "would-defer":
            return f"would have been deferred{again}, but passed"
        return f"deferred{again}{_wait(attempt)}"
    if attempt.reason == Reason.WAITED:
        observed = deferral is not None and deferral.outcome == "would-defer"
        delay = format_duration(attempt.at - deferral.at) if deferral else ""
        if observed:
            return f"passed, and would have been delayed until now, for {delay}"
        return f"passed, delayed for {delay}" if delay else "passed after its wait"
    entry = f" by {describe_pass(attempt)}" if attempt.details.get("entry") else ""
    return f"passed{entry}"


def _wait(attempt: StoredDecision) -> str:
    seconds = attempt.details.get("wait_seconds")
    return "" if seconds is None else f"; a retry passes after {format_duration(timedelta(seconds=seconds))}"
