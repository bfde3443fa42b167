"""`bley stats`: show the figures of the dashboard for any period, also compared with the period before."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from bley.checks.lists.report import ListReport
from bley.commands.documented import DocumentedCommand
from bley.commands.lists import print_lists
from bley.commands.options import config_option, json_option, load_settings, run
from bley.commands.output import print_document, print_table
from bley.commands.progress import progress
from bley.commands.stats_comparison import print_comparison
from bley.commands.stats_figures import Statistics, describe_median
from bley.commands.stats_period import StatsPeriod, parse_period
from bley.commands.store_access import opened_history
from bley.commands.web_client import WebError, fetch_lists
from bley.core.history.nodes import figures_by_node
from bley.core.history.statistics import Count, Figures, figures
from bley.log.decision_line import printable
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.store.history import History

__all__ = ["gather_statistics", "stats"]


async def gather_statistics(
    history: History, configuration: Configuration, wanted: StatsPeriod, now: datetime
) -> Statistics:
    """Return the figures of the period, and those of the period before. Raises StoreError."""
    counts, before, _ = await history.compared_counts(wanted.period, wanted.until)
    within = configuration.timings.longest
    waiting = (await history.waiting(now - within, 0)).number if wanted.until == now else None
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
        (node, *map(str, (each.requests, each.undelayed, each.first_deferrals, each.came_back)), describe_median(each))
        for node, each in nodes.items()
    ]
    print_table(titles, rows, right=titles[1:-1])
    click.echo()
