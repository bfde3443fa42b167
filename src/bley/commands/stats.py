"""`bley stats`: show the figures of the dashboard for any period until now."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from bley.checks.lists.report import ListReport
from bley.commands.documented import DocumentedCommand
from bley.commands.lists import print_lists
from bley.commands.options import config_option, json_option, load_settings, run
from bley.commands.output import instant_document, print_document, print_table
from bley.commands.progress import progress
from bley.commands.store_access import opened_history
from bley.commands.web_client import WebError, fetch_lists
from bley.core.history.outcome import format_duration
from bley.core.history.periods import Period
from bley.core.history.statistics import Figures, figures
from bley.core.history.steps import format_instant
from bley.core.quantity import percent
from bley.core.reasons import Reason
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.values import parse_duration
from bley.store.engine import SPANS
from bley.store.history import History

__all__ = ["Statistics", "describe_delay", "gather_statistics", "period_until_now", "stats"]

_LONGEST = SPANS[3600]
"""The time after which counts by the hour are deleted."""

_SLOTS = (
    (timedelta(days=2), timedelta(minutes=1)),
    (timedelta(days=28), timedelta(hours=1)),
    (_LONGEST, timedelta(days=1)),
)
"""The slot for periods up to a length. Counts by the minute are deleted after 8 days."""


def period_until_now(since: timedelta) -> Period:
    """Return the period of whole slots that covers this time, as far as there are counts.

    Raises ValueError if the time is longer than counts are stored.
    """
    if not timedelta(0) < since <= _LONGEST:
        raise ValueError(f"must be more than 0s and at most {_LONGEST.days}d, the time for which counts are stored")
    slot = next(slot for longest, slot in _SLOTS if since <= longest)
    length = (math.ceil(since / slot) + 1) * slot
    return Period("", min(length, _LONGEST), slot)


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
    "median time until then", "would wait now", "came again after", "would be deferred, by reason",
)  # fmt: skip
"""In `mode = observe` all mail passes at once."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """All figures from `since` to `until`; `counted_since` is the start of the first count."""

    since: datetime
    until: datetime
    counted_since: datetime | None
    figures: Figures
    waiting: int
    waiting_within: timedelta
    """The time within which waiting triplets were seen."""
    lists: Sequence[ListReport] | str
    """The DNS lists, or the error of the request for them."""

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
        median = found.median_delay_seconds
        delay = "-" if not found.came_back else describe_delay("longer" if median is None else str(median))
        parts = (_part(number, deferred) for number in (found.came_back, found.not_come_back))
        words = self._words
        came_back, not_come_back = (_share(part, "of the deferred") for part in parts)
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
            (words.median, delay, ""),
            (words.waiting, str(self.waiting), f"seen within {format_duration(self.waiting_within)}"),
        ]

    @property
    def groups(self) -> list[tuple[str, Mapping[str, int]]]:
        """Tables of numbers by name, each with its title."""
        found = self.figures
        return [
            ("passed, by reason", found.passed),
            (self._words.by_reason, found.deferred),
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
            "delays": [
                {"at_most_seconds": int(name) if name.isdecimal() else None, "number": number}
                for name, number in found.delays.items()
            ],
            "waiting": self.waiting,
            "waiting_within_seconds": self.waiting_within.total_seconds(),
            "lists": None if isinstance(self.lists, str) else self.lists,
        }


async def gather_statistics(
    history: History, configuration: Configuration, period: Period, now: datetime
) -> Statistics:
    """Return the figures until now. Raises StoreError."""
    counts = await history.counts(period, now)
    within = configuration.timings.longest
    waiting = await history.waiting(now - within, 1)
    first = min((count.start for count in counts), default=None)
    return Statistics(
        since=period.since(now),
        until=now,
        counted_since=None if first is None else datetime.fromtimestamp(first, UTC),
        figures=figures(counts),
        waiting=waiting.number,
        waiting_within=within,
        lists=await asyncio.to_thread(_lists, configuration),
    )


def _lists(configuration: Configuration) -> Sequence[ListReport] | str:
    try:
        return fetch_lists(configuration)
    except WebError as error:
        return str(error)


def describe_delay(name: str) -> str:
    """Return a bound of delays in words; `longer` is the name of the count without a bound."""
    return f"at most {format_duration(timedelta(seconds=int(name)))}" if name.isdecimal() else "longer than a day"


def _part(number: int, of: int) -> float | None:
    return number / of if of else None


def _share(share: float | None, of: str) -> str:
    return "" if share is None else f"{percent(share)} {of}"


def _period(_context: click.Context, _parameter: click.Parameter, value: str) -> Period:
    try:
        return period_until_now(parse_duration(value))
    except ValueError as error:
        raise click.BadParameter(f"{value} {error}") from error


@click.command(cls=DocumentedCommand, examples=["bley stats", "bley stats --since 12h --json"])
@config_option
@click.option(
    "--since",
    "period",
    callback=_period,
    default="7d",
    show_default=True,
    metavar="DURATION",
    help="Length of the period until now, such as 12h or 40d, at most 400d.",
)
@json_option
def stats(file: Path | None, period: Period, as_json: bool) -> None:
    """Show the figures of passed and deferred mail.

    These are the mails that passed at once, were deferred, passed after their wait or did not retry, the delays, the
    numbers by reason and finding, and the DNS lists of the running bley. Counts by the minute are stored for 8 days,
    counts by the hour for 400 days.
    """
    configuration = load_settings(file)
    with progress("counting"):
        statistics = run(_stats(configuration, period))
    if as_json:
        print_document(statistics.document)
    else:
        _print_statistics(statistics)


async def _stats(configuration: Configuration, period: Period) -> Statistics:
    async with opened_history(configuration.settings) as history:
        return await gather_statistics(history, configuration, period, utc_now())


def _print_statistics(statistics: Statistics) -> None:
    click.echo(statistics.heading + "\n")
    print_table(("", "mails", ""), statistics.summary, right=("mails",))
    for title, numbers in statistics.groups:
        if numbers:
            click.echo()
            print_table((title, "number"), [(name, str(number)) for name, number in numbers.items()], right=("number",))
    click.echo()
    if isinstance(statistics.lists, str):
        click.echo(f"lists: {printable(statistics.lists)}")
    else:
        print_lists(statistics.lists)
