"""The figures of `bley stats`: as tables in words, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bley.checks.lists.report import ListReport
from bley.commands.output import instant_document
from bley.core.history.outcome import format_duration
from bley.core.history.statistics import CauseFigures, Figures
from bley.core.history.steps import format_instant
from bley.core.quantity import percent
from bley.core.reasons import Reason

__all__ = ["Statistics", "describe_delay", "describe_median"]


class _Words(NamedTuple):
    """The names of figures that depend on the mode."""

    undelayed: str
    deferred: str
    came_back: str
    not_come_back: str
    median: str
    waiting: str
    delays: str
    by_reason: str


_ENFORCED = _Words(
    "passed at once", "deferred", "came back and passed", "not (yet) come back", "median delay", "waiting now",
    "came back after", "deferred, by reason",
)  # fmt: skip
_OBSERVED = _Words(
    "would pass at once", "would be deferred", "came again after the wait", "not (yet) come again",
    "median time until then", "would wait now", "came again after", "would be deferred for",
)  # fmt: skip
"""In `mode = observe` all mail passes at once."""


_NODE_FIGURES = (
    "requests", "undelayed", "first_deferrals", "came_back", "early_retries", "median_delay_seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statistics:
    """All figures from `since` to `until`; `counted_since` is the start of the first count."""

    since: datetime
    until: datetime
    counted_since: datetime | None
    figures: Figures
    waiting: int | None
    """None for a period that has ended."""
    waiting_within: timedelta
    """The time within which waiting triplets were seen."""
    lists: Sequence[ListReport] | str
    """The DNS lists, or the error of the request for them."""
    nodes: Mapping[str, Figures] = field(default_factory=dict)
    """The figures of each node."""
    before: "Statistics | None" = None
    """Those of the period before; None if its beginning was not counted."""

    @property
    def heading(self) -> str:
        """The period of the figures."""
        text = f"from {format_instant(self.since)} to {format_instant(self.until)}"
        if self.figures.defers_nothing:
            text += ", mode = observe: all mail passed"
        if self.counted_since is None:
            return f"{text}: nothing was counted"
        if self.counted_since > self.since:
            return f"{text}; the first count is from {format_instant(self.counted_since)}"
        return text

    @property
    def _words(self) -> _Words:
        return _OBSERVED if self.figures.defers_nothing else _ENFORCED

    @property
    def summary(self) -> list[tuple[str, str, str]]:
        """Rows of name, number and share."""
        found, deferred = self.figures, self.figures.first_deferrals
        parts = (_part(number, deferred) for number in (found.came_back, found.not_come_back))
        words = self._words
        came_back, not_come_back = (_share(part, "of the deferred") for part in parts)
        within = f"seen within {format_duration(self.waiting_within)}"
        only_logged = sum(found.only_logged.values()) - found.only_logged.get(Reason.EARLY.value, 0)
        mixed = [("only logged", str(only_logged), "of the deferred, by mode = observe")] if words is _ENFORCED else []
        return [
            ("requests", str(found.requests), ""),
            (words.undelayed, str(found.undelayed), _share(found.passed_at_once_share, "of the mail that passed")),
            (words.deferred, str(deferred), ""),
            *(mixed if only_logged else []),
            (words.came_back, str(found.came_back), came_back),
            (words.not_come_back, str(found.not_come_back), not_come_back),
            ("early retries", str(found.early_retries), ""),
            (words.median, describe_median(found), ""),
            *([] if self.waiting is None else [(words.waiting, str(self.waiting), within)]),
        ]

    @property
    def reasons(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The table of the reasons of first deferrals: its titles, and its rows."""
        found, would = self.figures, self._words is _OBSERVED
        titles = self._words.by_reason, "mails", "came again" if would else "came back", "of these", "of delayed"
        rows = [
            (
                *(cause, str(each.deferred), str(each.came_back)),
                *(
                    f"{share:.1%}" if share is not None else ""
                    for share in (each.came_back_share, found.delayed_share(cause))
                ),
                describe_median(each),
            )
            for cause, each in found.by_cause.items()
        ]
        return (*titles, "median time" if would else "median delay"), rows

    @property
    def groups(self) -> list[tuple[str, Mapping[str, int]]]:
        """Tables of numbers by name, each with its title."""
        found = self.figures
        return [
            ("passed, by reason", found.passed),
            (self._words.by_reason, {cause: each.deferred for cause, each in found.by_cause.items() if each.deferred}),
            ("findings about strangers", found.found),
            (self._words.delays, {describe_delay(name): number for name, number in found.delays.items()}),
        ]

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document (docs/json.md)."""
        found = self.figures
        names = (
            "requests", "undelayed", "undelayed_share", "first_deferrals", "came_back", "not_come_back",
            "early_retries", "median_delay_seconds", "passed", "deferred", "only_logged", "found",
        )  # fmt: skip
        return {
            "since": instant_document(self.since),
            "until": instant_document(self.until),
            "counted_since": self.counted_since and instant_document(self.counted_since),
            **{name: getattr(found, name) for name in names},
            "deferred_mails": [
                {
                    "reason": cause,
                    "deferred": each.deferred,
                    "came_back": each.came_back,
                    "came_back_share": each.came_back_share,
                    "delayed_share": found.delayed_share(cause),
                    "median_delay_seconds": each.median_delay_seconds,
                    "early_retries": each.early_retries,
                }
                for cause, each in found.by_cause.items()
            ],
            "delays": [
                {"at_most_seconds": int(name) if name.isdecimal() else None, "number": number}
                for name, number in found.delays.items()
            ],
            "nodes": [
                {"node": node, **{name: getattr(each, name) for name in _NODE_FIGURES}}
                for node, each in self.nodes.items()
            ],
            "waiting": self.waiting,
            "waiting_within_seconds": self.waiting_within.total_seconds(),
            "lists": None if isinstance(self.lists, str) else self.lists,
        }


def describe_delay(name: str) -> str:
    """Return a bound of delays in words; `longer` is the name of the count without a bound."""
    return f"at most {format_duration(timedelta(seconds=int(name)))}" if name.isdecimal() else "longer than a day"


def describe_median(found: Figures | CauseFigures) -> str:
    """Return the median delay in words, a hyphen if nothing came back."""
    median = found.median_delay_seconds
    return "-" if not found.came_back else describe_delay("longer" if median is None else str(median))


def _part(number: int, of: int) -> float | None:
    return number / of if of else None


def _share(share: float | None, of: str) -> str:
    return "" if share is None else f"{percent(share)} {of}"
