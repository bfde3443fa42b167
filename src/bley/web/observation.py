"""The card of the overview while anything is observed: what enforcement would change, and what to exempt first."""

from collections.abc import Sequence
from typing import NamedTuple

from bley.core.history.statistics import Figures
from bley.core.history.worth import describe_repeats
from bley.core.reasons import Reason
from bley.settings.file import Configuration
from bley.web.delayed_domains import DelayedRow
from bley.web.formatting import SPELLING, number, share
from bley.web.overview import Overview
from bley.web.urls import page_url

__all__ = ["Observation", "observation"]

_SHOWN_REASONS = 3
_SHOWN_LINES = 3


class Observation(NamedTuple):
    """The content of the card."""

    whose: str
    """The mail that is observed, in words."""
    sentence: str
    repeats: str
    """How much mail came again after the wait; empty if none did, or if some mail was really deferred."""
    search: str
    """The URL of the observed deferrals; empty if there are none."""
    exempt_first: Sequence[DelayedRow]
    """The sender domains whose mail came again most, each with a line that exempts it."""


def observation(overview: Overview, configuration: Configuration, range_name: str) -> Observation | None:
    """Return the card's content; None if nothing is observed now."""
    sections = [
        section.name for section in configuration.sections if configuration.settings_of(section.name).mode == "observe"
    ]
    observes_all = configuration.settings.mode == "observe"
    if not (observes_all or sections):
        return None
    figures = overview.figures
    return Observation(
        _whose(observes_all, sections, configuration),
        _sentence(figures),
        describe_repeats(figures, SPELLING) if figures.defers_nothing else "",
        page_url("/search", {"outcome": "would-defer", "range": range_name}) if figures.only_logged else "",
        [row for row in overview.delayed.rows if row.command][:_SHOWN_LINES] if figures.defers_nothing else [],
    )


def _whose(observes_all: bool, sections: Sequence[str], configuration: Configuration) -> str:
    if not observes_all:
        return f"mail of the recipients in {_named(sections)}"
    others = [section.name for section in configuration.sections if section.name not in sections]
    return f"all mail, except that of the recipients in {_named(others)}" if others else "all mail"


def _named(sections: Sequence[str]) -> str:
    return ", ".join(f"[recipients {name}]" for name in sections)


def _sentence(figures: Figures) -> str:
    """Return the number of mails that would have been deferred, with the most frequent reasons."""
    reasons = {reason: count for reason, count in figures.only_logged.items() if reason != Reason.EARLY}
    total = sum(reasons.values())
    if not total:
        return "Nothing would have been deferred in this range."
    most = list(reasons.items())[:_SHOWN_REASONS]
    parts = ", ".join(f"{share(count / total)} for {reason}" for reason, count in most)
    mails = "mail" if total == 1 else "mails"
    return f"{number(total)} {mails} would have been deferred in this range: {parts}."
