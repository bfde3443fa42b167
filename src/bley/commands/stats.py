"""`bley stats`: show the figures of the dashboard for any period, also compared with the period before."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from bley.commands.stats_comparison import print_comparison
from bley.commands.stats_period import StatsPeriod, parse_period
from bley.commands.store_access import opened_history
from bley.commands.web_client import WebError, fetch_lists
from bley.core.history.nodes import figures_by_node
from bley.core.history.outcome import format_duration
from bley.core.history.statistics import CauseFigures, Count, Figures, figures
from bley.core.history.steps import format_instant
from bley.core.quantity import percent
from bley.core.reasons import Reason
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.store.history import History

__all__ = ["Statistics", "describe_delay", "gather_statistics", "stats"]


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
            (words.median, _median(found), ""),
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
                _median(each),
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


async def gather_statistics(
    history: History, configuration: Configuration, wanted: StatsPeriod, now: datetime
) -> Statistics:
    """Return the figures of the period, and those of the period before. Raises StoreError."""
    counts, before = await history.compared_counts(wanted.period, wanted.until)
    within = configuration.timings.longest
    waiting = (await history.waiting(now - within, 1)).number if wanted.until == now else None
    lists = await asyncio.to_thread(_lists, configuration)
    found = Statistics(wanted.since, _whole(wanted.until), _first(counts), figures(counts), waiting, within, lists)
    found = replace(found, nodes=figures_by_node(counts))
    if before is None:
        return found
    until = wanted.period.before(wanted.until)
    since = wanted.period.since(until)
    earlier = replace(found, since=since, until=_whole(until), figures=figures(before), nodes=figures_by_node(before))
    return replace(found, before=replace(earlier, counted_since=since, waiting=None))


def _whole(until: datetime) -> datetime:
    """Return the end of a period without the microsecond by which it excludes the slot that starts then."""
    return until + timedelta(microseconds=1) if until.microsecond == 999_999 else until


def _first(counts: Mapping[Count, int]) -> datetime | None:
    return datetime.fromtimestamp(min(count.start for count in counts), UTC) if counts else None


def _lists(configuration: Configuration) -> Sequence[ListReport] | str:
    try:
        return fetch_lists(configuration)
    except WebError as error:
        return str(error)


def describe_delay(name: str) -> str:
    """Return a bound of delays in words; `longer` is the name of the count without a bound."""
    return f"at most {format_duration(timedelta(seconds=int(name)))}" if name.isdecimal() else "longer than a day"


def _median(found: Figures | CauseFigures) -> str:
    median = found.median_delay_seconds
    return "-" if not found.came_back else describe_delay("longer" if median is None else str(median))


def _part(number: int, of: int) -> float | None:
    return number / of if of else None


def _share(share: float | None, of: str) -> str:
    return "" if share is None else f"{percent(share)} {of}"


@click.command(
    cls=DocumentedCommand,
    examples=[
        "bley stats --since 12h --json",
        "bley stats --since 14d --until 7d",
        "bley stats --since 2026-11-29T14:00Z --compare",
    ],
)
@config_option
@click.option(
    "--since",
    default="7d",
    show_default=True,
    metavar="WHEN",
    help="Start of the period: an age such as 12h or 40d, at most 400d, or a time such as 2026-11-26T14:00Z.",
)
@click.option("--until", default="", metavar="WHEN", help="End of the period, in the same form. Default: now.")
@click.option("--compare", is_flag=True, help="Show the period of the same length before it too.")
@json_option
def stats(file: Path | None, since: str, until: str, compare: bool, as_json: bool) -> None:
    """Show the figures of passed and deferred mail.

    These are the mails that passed at once, were deferred, passed after their wait or did not retry, the delays, the
    numbers by reason and finding, by node if there are several, and the DNS lists of the running bley. Counts by the
    minute are stored for 8 days, counts by the hour for 400 days. A period that begins more than 2 days ago begins with
    a whole hour, one that begins more than 28 days ago with a whole day. Times without a zone are in UTC.
    """
    now = utc_now()
    try:
        wanted = parse_period(since, until, now)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    configuration = load_settings(file)
    with progress("counting"):
        statistics = run(_stats(configuration, wanted, now))
    before = statistics.before
    if as_json:
        earlier = {"before": before and before.document} if compare else {}
        print_document(statistics.document | earlier)
    elif not compare:
        _print_statistics(statistics)
    elif before is None:
        raise click.ClickException("the period before cannot be compared: its beginning was not counted")
    else:
        click.echo(f"{statistics.heading}\nbefore: {before.heading}\n")
        print_comparison(statistics, before)


async def _stats(configuration: Configuration, wanted: StatsPeriod, now: datetime) -> Statistics:
    async with opened_history(configuration.settings) as history:
        return await gather_statistics(history, configuration, wanted, now)


def _print_statistics(statistics: Statistics) -> None:
    click.echo(statistics.heading + "\n")
    print_table(("", "mails", ""), statistics.summary, right=("mails",))
    columns, rows = statistics.reasons
    for title, numbers in statistics.groups:
        if not numbers:
            continue
        click.echo()
        if title == columns[0]:
            print_table(columns, rows, right=columns[1:-1])
        else:
            print_table((title, "number"), [(name, str(number)) for name, number in numbers.items()], right=("number",))
    click.echo()
    if len(statistics.nodes) > 1:
        _print_nodes(statistics.nodes)
    if isinstance(statistics.lists, str):
        click.echo(f"lists: {printable(statistics.lists)}")
    else:
        print_lists(statistics.lists)


def _print_nodes(nodes: Mapping[str, Figures]) -> None:
    titles = ("by node", "requests", "passed at once", "deferred", "came back", "median delay")
    rows = [
        (node, *map(str, (each.requests, each.undelayed, each.first_deferrals, each.came_back)), _median(each))
        for node, each in nodes.items()
    ]
    print_table(titles, rows, right=titles[1:-1])
    click.echo()
