"""`bley lists --since`: show which DNS list earns its place, from the counts in the store."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import click

from bley.commands.options import run
from bley.commands.output import instant_document, print_document, print_hanging, print_table
from bley.commands.progress import progress
from bley.commands.stats_period import StatsPeriod, parse_period
from bley.commands.store_access import opened_history
from bley.core.dnslists.known import shown_zone
from bley.core.history.list_counts import LATENCY_BOUNDS
from bley.core.history.list_figures import ListFigures, list_figures, list_remarks
from bley.core.history.statistics import Count
from bley.core.history.steps import format_instant
from bley.core.quantity import percent
from bley.ports import utc_now
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.store.history import list_span_of

__all__ = ["show_list_figures"]

_NONE = "no DNS list is configured, and none was counted in this time"


def show_list_figures(configuration: Configuration, zones: Sequence[str], since: str, *, as_json: bool) -> None:
    """Print the figures of all lists since then, or of these. Raises StoreError and click.UsageError."""
    try:
        wanted = parse_period(since, "", utc_now())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    settings = configuration.settings
    with progress("counting"):
        counts = run(_counts(settings, wanted))
    figures = _chosen(list_figures(counts, settings.dns_lists), zones)
    observes, start = settings.mode == "observe", _start(wanted)
    if as_json:
        lists = [_document(each, observes=observes) for each in figures]
        until = instant_document(wanted.until)
        print_document({"since": instant_document(start), "until": until, "observes": observes, "lists": lists})
        return
    mode = "; mode = observe: the lists would have decided so" if observes else ""
    print_hanging("", f"from {format_instant(start)} to {format_instant(wanted.until)}{mode}")
    click.echo()
    _print_tables(figures, observes=observes)
    for each in figures:
        for note in _notes(each, observes=observes):
            print_hanging("", f"{each.name}: {note}")


async def _counts(settings: Settings, wanted: StatsPeriod) -> Mapping[Count, int]:
    async with opened_history(settings) as history:
        return await history.list_counts(wanted.period, wanted.until)


def _start(wanted: StatsPeriod) -> datetime:
    """Return the start of the first span that is counted."""
    span = list_span_of(wanted.period)
    return datetime.fromtimestamp(int(wanted.since.timestamp()) // span * span, UTC)


def _chosen(figures: list[ListFigures], zones: Sequence[str]) -> list[ListFigures]:
    names = {shown_zone(zone.lower().rstrip(".")) for zone in zones}
    if unknown := names - {each.name for each in figures}:
        raise click.UsageError(f"{', '.join(sorted(unknown))}: not configured, and not counted in this time")
    return [each for each in figures if not names or each.name in names]


def _print_tables(figures: Sequence[ListFigures], *, observes: bool) -> None:
    """Print a table for each setting."""
    back = "came again" if observes else "came back"
    for (setting, defers), lists in groupby(figures, lambda each: (each.setting, each.defers)):
        numbers = (
            "queries",
            "listed",
            "alone",
            *([back] if defers else []),
            "errors",
            "median",
        )
        print_table((setting, *numbers), map(_row, lists), right=numbers)
        click.echo()
    if not figures:
        click.echo(_NONE)


def _row(each: ListFigures) -> list[str]:
    share = "" if each.came_back_share is None else f" {percent(each.came_back_share)}"
    back = [f"{each.came_back}{share}"] if each.defers else []
    return [each.name, *map(str, (each.queries, each.listed, each.alone)), *back, str(each.errors), _median(each)]


def _notes(each: ListFigures, *, observes: bool) -> list[str]:
    removed = [] if each.is_configured else [f"removed from {each.setting}"]
    return removed + list_remarks(each, observes=observes)


def _median(each: ListFigures) -> str:
    if each.median_ms is not None:
        return f"{each.median_ms} ms"
    return f"> {LATENCY_BOUNDS[-1]} ms" if each.network_answers else "-"


def _document(each: ListFigures, *, observes: bool) -> dict[str, Any]:
    return {
        "name": each.name,
        "setting": each.setting,
        "is_configured": each.is_configured,
        "counted_since": each.since and instant_document(each.since),
        "queries": each.queries,
        "listed": each.listed,
        "listed_share": each.listed_share,
        "alone": each.alone,
        "came_back": each.came_back if each.defers else None,
        "came_back_share": each.came_back_share,
        "errors": each.errors,
        "median_seconds": each.median_seconds,
        "remarks": list_remarks(each, observes=observes),
    }
