"""`bley stats`: the figures of the dashboard for any time until now."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from bley.checks.lists.report import ListReport
from bley.commands.lists import print_lists
from bley.commands.options import config_option, json_option, load_settings, run
from bley.commands.output import instant_document, print_document, print_table
from bley.commands.progress import progress
from bley.commands.store_access import opened_history
from bley.commands.web_client import WebError, ask_lists
from bley.core.history.outcome import format_duration
from bley.core.history.periods import Period
from bley.core.history.statistics import Figures, figures
from bley.core.history.steps import format_instant
from bley.core.quantity import percent
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.values import parse_duration
from bley.store.engine import SPANS
from bley.store.history import History

__all__ = ["LONGEST", "Statistics", "gather", "period_until_now", "shown_delay", "stats"]

LONGEST = SPANS[3600]
"""So long counts by the hour are kept."""

_SLOTS = (
    (timedelta(days=2), timedelta(minutes=1)),
    (timedelta(days=28), timedelta(hours=1)),
    (LONGEST, timedelta(days=1)),
)
"""Up to what length which slots are exact enough: counts by the minute are kept for 8 days."""


def period_until_now(since: timedelta) -> Period:
    """At least so long, as far as counts are kept that long; its first slot is there as a whole.

    Raises ValueError where nothing is kept that long.
    """
    if not timedelta(0) < since <= LONGEST:
        raise ValueError(f"must be more than 0s and at most {LONGEST.days}d: so long counts are kept")
    slot = next(slot for longest, slot in _SLOTS if since <= longest)
    length = (math.ceil(since / slot) + 1) * slot
    return Period("", min(length, LONGEST), slot)


@dataclass(frozen=True, slots=True)
class Statistics:
    """All figures of the time from `since` to `until`; `counted_since` is when the first count begins."""

    since: datetime
    until: datetime
    counted_since: datetime | None
    figures: Figures
    waiting: int
    waiting_within: timedelta
    """How long ago those that wait were seen last."""
    lists: Sequence[ListReport] | str
    """Or why nobody can tell."""

    @property
    def heading(self) -> str:
        """The time that the figures are about."""
        text = f"from {format_instant(self.since)} to {format_instant(self.until)}"
        if self.counted_since is None:
            return f"{text}: nothing was counted"
        if self.counted_since > self.since:
            return f"{text}; the first count is of {format_instant(self.counted_since)}"
        return text

    @property
    def summary(self) -> list[tuple[str, str, str]]:
        """What, how many, and what that is of."""
        found, deferred = self.figures, self.figures.first_deferrals
        median = found.median_delay_seconds
        delay = "-" if not found.came_back else shown_delay("longer" if median is None else str(median))
        parts = (_part(number, deferred) for number in (found.came_back, found.not_come_back))
        came_back, not_come_back = (_share(part, "of the deferred") for part in parts)
        return [
            ("requests", str(found.requests), ""),
            ("passed at once", str(found.undelayed), _share(found.undelayed_share, "of all mails")),
            ("deferred", str(deferred), _share(_part(deferred, found.undelayed + deferred), "of all mails")),
            ("came back and passed", str(found.came_back), came_back),
            ("not (yet) come back", str(found.not_come_back), not_come_back),
            ("early retries", str(found.early_retries), ""),
            ("median delay", delay, ""),
            ("waiting now", str(self.waiting), f"seen within {format_duration(self.waiting_within)}"),
        ]

    @property
    def groups(self) -> list[tuple[str, Mapping[str, int]]]:
        """What is counted by name, and what the names are."""
        found = self.figures
        return [
            ("passed, by reason", found.passed),
            ("deferred, by reason", found.deferred),
            ("found about strangers", found.found),
            ("came back after", {shown_delay(name): number for name, number in found.delays.items()}),
        ]

    @property
    def document(self) -> dict[str, Any]:
        """For programs: docs/json.md."""
        found = self.figures
        names = (
            "requests", "undelayed", "undelayed_share", "first_deferrals", "came_back", "not_come_back",
            "early_retries", "median_delay_seconds", "passed", "deferred", "found",
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


async def gather(history: History, configuration: Configuration, period: Period, now: datetime) -> Statistics:
    """The figures until now. Raises StoreError."""
    counts = await history.counts(period, now)
    within = configuration.settings.timing.longest
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
        return ask_lists(configuration)
    except WebError as error:
        return str(error)


def shown_delay(name: str) -> str:
    """The name of a count of delays, in words."""
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


@click.command()
@config_option
@click.option(
    "--since", "period", callback=_period, default="7d", show_default=True, help="How long until now: 12h, 40d."
)
@json_option
@click.pass_obj
def stats(before: Path | None, file: Path | None, period: Period, as_json: bool) -> None:
    """Show what was passed and deferred, why, and what came of it."""
    configuration = load_settings(file or before)
    with progress("counting"):
        statistics = run(_stats(configuration, period))
    if as_json:
        print_document(statistics.document)
    else:
        _print_statistics(statistics)


async def _stats(configuration: Configuration, period: Period) -> Statistics:
    async with opened_history(configuration.settings) as history:
        return await gather(history, configuration, period, utc_now())


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
