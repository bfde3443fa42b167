"""The work of bley and its worth in sentences, for the overview and for `bley report`."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from bley.core.history.outcome import format_duration
from bley.core.history.statistics import Figures
from bley.core.quantity import percent
from bley.core.reasons import Reason

__all__ = ["PLAIN", "Spelling", "describe_repeats", "describe_work", "describe_worth"]


class Spelling(NamedTuple):
    """The form of numbers in a sentence."""

    number: Callable[[int], str]
    share: Callable[[float], str]
    """Of a fraction."""
    duration: Callable[[int], str]
    """Of seconds."""


PLAIN = Spelling("{:,}".format, percent, lambda seconds: format_duration(timedelta(seconds=seconds)))
"""The form for text: `1,234`, `12.3%`, `15 min`."""


def describe_work(figures: Figures, *, observes: bool, spelling: Spelling = PLAIN) -> str:
    """Return what happened to the mail. In `mode = observe` all of it passed."""
    if not figures.requests:
        return "No request came in this range."
    parts = [
        (figures.undelayed, "would have passed at once" if observes else "passed at once"),
        (figures.came_back, "came again after the wait" if observes else "passed after the wait"),
        (figures.first_deferrals, "would have been deferred" if observes else "were deferred"),
        (figures.early_retries, "came again too early" if observes else "retried too early"),
    ]
    words = ", ".join(f"{spelling.number(count)} {what}" for count, what in parts if count)
    return f"{spelling.number(figures.requests)} {'request' if figures.requests == 1 else 'requests'}: {words}."


def describe_worth(
    figures: Figures, waiting: int, *, observes: bool, before: Figures | None = None, spelling: Spelling = PLAIN
) -> str:
    """Return how much deferred mail stayed away, and what the rest costs: its share of all mail that passed.

    `waiting` is the number of triplets that may still come back. No share has spam in its denominator, except that of
    the deferred mail itself. `before`: the figures of the period before.
    """
    deferred, came_back, gone = figures.first_deferrals, figures.came_back, figures.not_come_back
    number = spelling.number
    if not deferred and not came_back:
        return "Nothing would have been deferred." if observes else "Nothing was deferred."
    if observes:
        return (
            f"{_mails(deferred, spelling)} would have been deferred{_really_deferred(figures, spelling)}, and "
            f"{number(figures.undelayed)} would have passed at once. "
            "In mode = observe all mail passes, so it is not known how many of them would have come back."
        )
    share_before = f" (before: {_came_back_share(before, spelling)})" if before else ""
    cost = f"{number(came_back)} came back, {_came_back_share(figures, spelling)} of all mail that passed{share_before}"
    cost += f"{_delay(figures, spelling)}."
    if not deferred:
        return f"Nothing was deferred. Of the mail deferred before, {cost}"
    still = min(waiting, gone)
    share = _part(gone, deferred, spelling)
    text = f"{number(gone)} of {_mails(deferred, spelling, 'deferred ')} ({share}) did not come back"
    text += f"; {number(still)} of them still may" if still else ""
    end = _only_logged(figures, spelling)
    if not came_back:
        return f"{text}. None came back so far.{end}"
    return f"{text}. {cost}{end}"


def _logged(figures: Figures) -> int:
    return sum(number for reason, number in figures.only_logged.items() if reason != Reason.EARLY)


def _really_deferred(figures: Figures, spelling: Spelling) -> str:
    """Return that another mode was in force for some of the mail, or for a time."""
    deferred = figures.first_deferrals - _logged(figures)
    return f" ({spelling.number(deferred)} {'was' if deferred == 1 else 'were'}, by mode = enforce)" if deferred else ""


def _only_logged(figures: Figures, spelling: Spelling) -> str:
    """Return that some of the deferred mail passed, since `mode = observe` was in force for it, or for a time."""
    logged = _logged(figures)
    if not logged:
        return ""
    were = "was" if logged == 1 else "were"
    number = spelling.number(logged)
    return f" {number} of the deferred {were} only logged, by mode = observe, and had no need to come back."


def describe_repeats(figures: Figures, spelling: Spelling = PLAIN) -> str:
    """Return for `mode = observe` how much mail came again after the wait, which good mail does; empty if none did."""
    if not figures.came_back:
        return ""
    came = _mails(figures.came_back, spelling)
    return f"{came} came again after the wait{_delay(figures, spelling)}: such senders write often, or retry."


def _mails(count: int, spelling: Spelling, kind: str = "") -> str:
    return f"{spelling.number(count)} {kind}{'mail' if count == 1 else 'mails'}"


def _came_back_share(figures: Figures, spelling: Spelling) -> str:
    return _part(figures.came_back, figures.undelayed + figures.came_back, spelling)


def _part(count: int, of: int, spelling: Spelling) -> str:
    return spelling.share(count / of) if of else "\N{EN DASH}"


def _delay(figures: Figures, spelling: Spelling) -> str:
    if not figures.delays:
        return ""
    median = figures.median_delay_seconds
    return ", half after more than a day" if median is None else f", half within {spelling.duration(median)}"
