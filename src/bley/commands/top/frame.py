"""One frame of `bley top`: its data, and its tables for rich."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bley.checks.lists.descriptions import shown_state
from bley.checks.lists.report import ListReport
from bley.commands.output import format_milliseconds
from bley.core.history.search import StoredDecision
from bley.core.history.statistics import Figures
from bley.core.history.steps import format_instant
from bley.log.decision_line import printable

__all__ = ["COUNTED_MINUTES", "DaemonState", "RateOf", "StoreState", "TopFrame", "draw"]

COUNTED_MINUTES = 15
"""The period of the counts from the store."""

_REASONS = 8

_COLUMNS = ("now /s", "1 min /s", f"{COUNTED_MINUTES} min")

RateOf = Mapping[tuple[str, str], float]
"""Decisions in a second, by outcome and reason."""


class DaemonState(NamedTuple):
    """The report of the running bley, or the error of the request."""

    lists: Sequence[ListReport] = ()
    store_is_down: bool = False
    dns_is_silent: bool = False
    error: str = ""


class StoreState(NamedTuple):
    """The data from the store, or the error of the query."""

    figures: Figures = Figures()
    latest: Sequence[StoredDecision] = ()
    waiting: int | None = None
    error: str = ""


class TopFrame(NamedTuple):
    """The data of one frame."""

    at: datetime
    now: RateOf
    minute: RateOf
    daemon: DaemonState
    store: StoreState


def draw(frame: TopFrame) -> RenderableType:
    """Return the frame; the latest decisions come last, since they may not fit on the terminal."""
    side_by_side = Table.grid(padding=(0, 4))
    side_by_side.add_row(_rates(frame), _reasons(frame))
    parts: list[RenderableType] = [_heading(frame), Text(), side_by_side, Text()]
    if frame.daemon.lists:
        parts += [_lists(frame.daemon.lists), Text()]
    return Group(*parts, _latest(frame.store.latest))


def _heading(frame: TopFrame) -> Text:
    text = Text(f"bley top  {format_instant(frame.at)}\n", style="bold")
    if frame.daemon.error:
        text.append(f"bley    {printable(frame.daemon.error)}\n", "bold red")
    else:
        text.append("bley    answers", "green")
        text.append("; the DNS does not answer\n" if frame.daemon.dns_is_silent else "\n", "bold red")
    if frame.store.error:
        text.append(f"store   {printable(frame.store.error)}", "bold red")
    elif frame.daemon.store_is_down:
        text.append("store   down: requests are answered by on_store_error", "bold red")
    else:
        text.append("store   well", "green")
    waiting = "-" if frame.store.waiting is None else str(frame.store.waiting)
    return text.append(f"\nwaiting {waiting}", "not bold")


def _rates(frame: TopFrame) -> Table:
    table = _table("requests", *_COLUMNS)
    figures = frame.store.figures
    only_logged = sum(figures.only_logged.values())
    counts = {
        "passed": sum(figures.passed.values()),
        "deferred": sum(figures.deferred.values()) - only_logged,
        "would defer": only_logged,
    }
    now, minute = (_summed(rates, _passed_or_deferred) for rates in (frame.now, frame.minute))
    for outcome, number in counts.items():
        if outcome == "would defer" and not (number or outcome in minute):
            continue
        table.add_row(outcome, _rate(now, outcome), _rate(minute, outcome), str(number))
    everything = (f"{sum(rates.values()):.1f}" if rates else "-" for rates in (now, minute))
    table.add_row("all", *everything, str(figures.requests))
    return table


def _reasons(frame: TopFrame) -> Table:
    """Return the table of the most frequent reasons."""
    table = _table("reason", *_COLUMNS)
    now, minute = (_summed(rates, itemgetter(1)) for rates in (frame.now, frame.minute))
    counted = Counter(frame.store.figures.passed) + Counter(frame.store.figures.deferred)
    reasons = {reason for reason, rate in minute.items() if rate} | {*counted}
    for reason in sorted(reasons, key=lambda reason: (-counted[reason], reason))[:_REASONS]:
        table.add_row(reason, _rate(now, reason), _rate(minute, reason), str(counted[reason]))
    return table


def _passed_or_deferred(key: tuple[str, str]) -> str:
    return {"pass": "passed", "would-defer": "would defer"}.get(key[0], "deferred")


def _summed(rates: RateOf, name_of: Callable[[tuple[str, str]], str]) -> dict[str, float]:
    summed: dict[str, float] = {}
    for key, rate in rates.items():
        summed[name_of(key)] = summed.get(name_of(key), 0) + rate
    return summed


def _rate(rates: Mapping[str, float], name: str) -> str:
    return f"{rates.get(name, 0):.1f}" if rates else "-"


def _lists(reports: Sequence[ListReport]) -> Table:
    table = Table("list", "state", "answers", "95%", box=None, pad_edge=False, header_style="bold")
    for report in reports:
        state, latency = shown_state(report), format_milliseconds(report["p95_seconds"])
        style = "green" if state.startswith("well") else "yellow" if state == "untested" else "bold red"
        table.add_row(report["name"], Text(state, style), str(sum(report["answers"].values())), latency)
    return table


def _latest(decisions: Sequence[StoredDecision]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, width in (("UTC", 8), ("outcome", 8), ("reason", 12)):
        table.add_column(title, no_wrap=True, min_width=width)
    for title in ("client", "sender", "recipient"):
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    for decision in decisions:
        client = f"{decision.client_name} [{decision.client_address}]"
        cells = decision.reason, client, f"<{decision.sender}>", f"<{decision.recipient}>"
        outcome = Text(decision.outcome, "yellow" if decision.defers else "green")
        table.add_row(f"{decision.at:%H:%M:%S}", outcome, *(Text(printable(cell)) for cell in cells))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    return table
