"""Two sentences at the top of the overview: what bley does, and whether it is worth it."""

from bley.core.history.statistics import Figures
from bley.web.formatting import duration, number, share

__all__ = ["describe_work", "describe_worth"]


def describe_work(figures: Figures, *, observes: bool) -> str:
    """Return what happened to the mail. In `mode = observe` all of it passed."""
    if not figures.requests:
        return "No request came in this range."
    parts = [
        (figures.undelayed, "would have passed at once" if observes else "passed at once"),
        (figures.came_back, "came again after the wait" if observes else "passed after the wait"),
        (figures.first_deferrals, "would have been deferred" if observes else "were deferred"),
        (figures.early_retries, "came again too early" if observes else "retried too early"),
    ]
    words = ", ".join(f"{number(count)} {what}" for count, what in parts if count)
    return f"{number(figures.requests)} {'request' if figures.requests == 1 else 'requests'}: {words}."


def describe_worth(figures: Figures, waiting: int, *, observes: bool, before: Figures | None = None) -> str:
    """Return how much deferred mail stayed away, and what the rest costs: its share of all mail that passed.

    `waiting` is the number of triplets that may still come back. No share has spam in its denominator, except that of
    the deferred mail itself. `before`: the figures of the period before.
    """
    deferred, came_back, gone = figures.first_deferrals, figures.came_back, figures.not_come_back
    if not deferred and not came_back:
        return "Nothing would have been deferred." if observes else "Nothing was deferred."
    if observes:
        return (
            f"{_mails(deferred)} would have been deferred, and {number(figures.undelayed)} would have passed at once. "
            "In mode = observe all mail passes, so it is not known how many of them would have come back."
        )
    share_before = f" (before: {_came_back_share(before)})" if before else ""
    cost = f"{number(came_back)} came back, {_came_back_share(figures)} of all mail that passed{share_before}"
    cost += f"{_delay(figures)}."
    if not deferred:
        return f"Nothing was deferred. Of the mail deferred before, {cost}"
    still = min(waiting, gone)
    text = f"{number(gone)} of {_mails(deferred, 'deferred ')} ({_part(gone, deferred)}) did not come back"
    text += f"; {number(still)} of them still may" if still else ""
    if not came_back:
        return f"{text}. None came back so far."
    return f"{text}. {cost}"


def _mails(count: int, kind: str = "") -> str:
    return f"{number(count)} {kind}{'mail' if count == 1 else 'mails'}"


def _came_back_share(figures: Figures) -> str:
    return _part(figures.came_back, figures.undelayed + figures.came_back)


def _part(count: int, of: int) -> str:
    return share(count / of if of else None)


def _delay(figures: Figures) -> str:
    if not figures.delays:
        return ""
    median = figures.median_delay_seconds
    return ", half after more than a day" if median is None else f", half within {duration(median)}"
