"""The page of `bley report`: text of 80 columns, the same on a terminal and in a mail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bley.checks.lists.descriptions import is_ill, shown_state
from bley.commands.report.senders import Senders
from bley.commands.stats_comparison import NUMBERS, compared_summary
from bley.commands.stats_figures import Statistics
from bley.commands.terminal import hanging_lines, table_lines
from bley.core.history.outcome import format_duration
from bley.core.history.worth import describe_repeats, describe_worth
from bley.core.quantity import quantity
from bley.core.reasons import Reason
from bley.log.decision_line import printable

__all__ = ["Report"]

_WIDTH = 80

_FAULTS = {
    Reason.STORE_ERROR: "decided without the store, by on_store_error: see the log",
    Reason.INTERNAL_ERROR: "answered after a bug, whose traceback is in the log: please report it",
}
"""Reasons that no request should have."""

_NO_REQUESTS = "No request came in this time: bley doctor examines whether the mail server queries bley."


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a period, with what the administrator may do."""

    statistics: Statistics
    host: str
    observes: bool
    """All deferrals were only logged."""
    senders: Senders

    @property
    def subject(self) -> str:
        """The subject of the mail: the number that matters most."""
        figures = self.statistics.figures
        verb = "would have been deferred" if self.observes else "deferred"
        back = "came again" if self.observes else "came back"
        period = format_duration(self.statistics.until - self.statistics.since)
        deferred = quantity(figures.first_deferrals, "mail")
        return f"bley on {self.host}, {period}: {deferred} {verb}, {figures.came_back} {back}"

    @property
    def sentences(self) -> list[str]:
        """The figures in sentences, the most important one first."""
        found, before = self.statistics.figures, self.statistics.before
        comparable = before.figures if before and before.figures.defers_nothing == found.defers_nothing else None
        waiting = self.statistics.waiting or 0
        if not found.requests:
            return [_NO_REQUESTS]
        sentences = [describe_worth(found, waiting, observes=self.observes, before=comparable)]
        return [*sentences, *filter(None, [describe_repeats(found)] if self.observes else [])]

    @property
    def faults(self) -> list[str]:
        """The faults of the period and of now; empty if all is well."""
        found, lists = self.statistics.figures, self.statistics.lists
        numbers = {reason: found.passed.get(reason, 0) + found.deferred.get(reason, 0) for reason in _FAULTS}
        faults = [f"{quantity(number, 'request')} {_FAULTS[reason]}" for reason, number in numbers.items() if number]
        if isinstance(lists, str):
            return [*faults, f"the health of the DNS lists is not known: {lists}"]
        return [*faults, *(f"{each['name']} is {shown_state(each)}: {each['what']}" for each in lists if is_ill(each))]

    @property
    def lines(self) -> list[str]:
        """The page."""
        statistics = self.statistics
        page = [*_wrapped(f"bley on {self.host}, {statistics.heading}"), ""]
        for sentence in self.sentences:
            page += _wrapped(sentence)
        if statistics.figures.requests:
            page += ["", *self._figures]
            titles, rows = statistics.reasons
            page += ["", *_table(titles, rows, titles[1:-1])] if rows else []
        if senders := list(self.senders.lines(_WIDTH)):
            page += ["", *senders]
        page += ["", *self._health]
        return list(map(printable, page))

    @property
    def _figures(self) -> Sequence[str]:
        before = self.statistics.before
        if before is None:
            return _table(("", "mails", ""), self.statistics.summary, ("mails",))
        titles = "", *NUMBERS, "share", "share before"
        return _table(titles, list(compared_summary(self.statistics, before)), titles[1:])

    @property
    def _health(self) -> Iterator[str]:
        faults = self.faults
        if not faults:
            yield "Nothing was wrong: store and DNS lists are well."
            return
        yield "Faults:"
        for fault in faults:
            yield from hanging_lines("- ", fault, _WIDTH)

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document (docs/json.md)."""
        statistics = self.statistics
        return statistics.document | {
            "host": self.host,
            "observes": self.observes,
            "sentences": self.sentences,
            "faults": self.faults,
            "senders": self.senders.document,
            "before": statistics.before and statistics.before.document,
        }


def _wrapped(text: str) -> Iterator[str]:
    return hanging_lines("", text, _WIDTH)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> list[str]:
    return list(table_lines(titles, rows, right, _WIDTH))
