"""One frame of `bley top`: its data, and its tables for rich."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from bley.checks.lists.descriptions import is_ill, shown_state
from bley.checks.lists.report import ListReport
from bley.commands.output import format_milliseconds
from bley.core.history.search import StoredDecision
from bley.core.history.statistics import Figures
from bley.core.history.steps import format_instant
from bley.core.quantity import quantity
from bley.log.decision_line import printable

__all__ = ["COUNTED_MINUTES", "DaemonState", "RateOf", "StoreState", "TopFrame", "draw"]

COUNTED_MINUTES = 15
"""The period of the counts from the store."""

_REASONS = 8

_WIDE = 110
"""Columns from which a decision fits into a line."""
_MOST_ILL = 3
"""Ill lists on a low terminal."""
_LEAST_FOR_DECISIONS = 4
"""Lines of a low terminal that the lists leave: a blank one, the latest decision in two, and the cursor's."""
_HIGH = 34
"""Lines from which all lists and some decisions usually fit. Where they do not, only the ill lists are shown."""

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


def draw(frame: TopFrame, height: int = 1000) -> RenderableType:
    """Return the frame, which adapts to the width of the terminal, and to the `height` in lines of a full screen."""
    return _Frame(frame, height)


class _Frame:
    """A frame for any terminal from 80 x 24 on: the reason of each ill list and the latest decisions always fit."""

    def __init__(self, frame: TopFrame, height: int) -> None:
        self._frame, self._height = frame, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        frame, width, height = self._frame, options.max_width, self._height
        is_low = height < _HIGH
        gap = [] if is_low else [Text()]
        side_by_side = Table.grid(padding=(0, 2 if width < _WIDE else 4))
        side_by_side.add_row(_rates(frame, width), _reasons(frame, width, max(height // 8, 3)))
        parts: list[RenderableType] = [_heading(frame, is_low=is_low), *gap, side_by_side, Text()]
        left = height - _lines(parts, console, options) - _LEAST_FOR_DECISIONS
        if frame.daemon.lists:
            lists = _lists(frame.daemon.lists)
            if is_low or _lines([lists], console, options) > left:
                lists = _fitting_lists(frame.daemon.lists, left, console, options)
            parts += [lists, Text()]
        left = max(height - _lines(parts, console, options) - 1, 1) // (1 if width >= _WIDE else 2)
        yield from parts
        yield _latest(frame.store.latest[:left], width)


def _lines(parts: Sequence[RenderableType], console: Console, options: ConsoleOptions) -> int:
    return sum(len(console.render_lines(part, options, pad=False)) for part in parts)


def _heading(frame: TopFrame, *, is_low: bool) -> Text:
    text = Text(f"bley top  {format_instant(frame.at)}\n", style="bold", no_wrap=True, overflow="ellipsis")
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
    return text.append(f"{'; ' if is_low else chr(10)}waiting {waiting}", "not bold")


def _rates(frame: TopFrame, width: int) -> Table:
    table = _table("requests", *_columns(width))
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


def _reasons(frame: TopFrame, width: int, most: int) -> Table:
    """Return the table of the most frequent reasons."""
    table = _table("reason", *_columns(width))
    now, minute = (_summed(rates, itemgetter(1)) for rates in (frame.now, frame.minute))
    counted = Counter(frame.store.figures.passed) + Counter(frame.store.figures.deferred)
    reasons = {reason for reason, rate in minute.items() if rate} | {*counted}
    for reason in sorted(reasons, key=lambda reason: (-counted[reason], reason))[: min(most, _REASONS)]:
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


def _columns(width: int) -> tuple[str, str, str]:
    return ("now /s", "1 min /s", f"{COUNTED_MINUTES} min") if width >= _WIDE else ("/s", "/s, 1 min", "15 min")


def _fitting_lists(
    reports: Sequence[ListReport], lines: int, console: Console, options: ConsoleOptions
) -> RenderableType:
    """Return as many ill lists as fit into these lines, at most _MOST_ILL and at least one."""
    for most in range(_MOST_ILL, 1, -1):
        lists = _lists(reports, most)
        if _lines([lists], console, options) <= lines:
            return lists
    return _lists(reports, 1)


def _lists(reports: Sequence[ListReport], most_ill: int | None = None) -> RenderableType:
    """Return the lists, each ill one with its fault and the remedy; with `most_ill`, the others are only counted."""
    shown = reports if most_ill is None else [report for report in reports if is_ill(report)][:most_ill]
    table = Table("list", "state", "answers", "95%", box=None, pad_edge=False, header_style="bold")
    parts: list[RenderableType] = [table]
    for report in shown:
        state, latency = shown_state(report), format_milliseconds(report["p95_seconds"])
        style = "green" if state.startswith("well") else "yellow" if state == "untested" else "bold red"
        table.add_row(report["name"], Text(state, style), str(sum(report["answers"].values())), latency)
    for what in dict.fromkeys(report["what"] for report in shown if report["what"]):
        names = ", ".join(dict.fromkeys(report["name"] for report in shown if report["what"] == what))
        parts.append(Text(printable(f"{names}: {what}"), "red"))
    ill, well = _others(reports, shown)
    rest = [f"{quantity(ill, 'more list is', 'more lists are')} ill: see `bley lists`"] if ill else []
    rest += [f"{quantity(well, 'list is', 'lists are')} well"] if well else []
    if rest:
        parts.append(Text("; ".join(rest), "" if shown else "green"))
    return Group(*parts if shown else parts[1:])


def _others(reports: Sequence[ListReport], shown: Sequence[ListReport]) -> tuple[int, int]:
    """Return the number of lists that are ill and not shown, and of those that are well and not shown."""
    ill = [is_ill(report) for report in reports if report not in shown]
    return sum(ill), len(ill) - sum(ill)


def _latest(decisions: Sequence[StoredDecision], width: int) -> RenderableType:
    """Return the decisions, each in a line, or on a narrow terminal in two, so that outcome and reason are shown."""
    if width < _WIDE:
        return Group(*(line for each in decisions for line in _two_lines(each)))
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for title, least in (("UTC", 8), ("outcome", 8), ("reason", 12)):
        table.add_column(title, no_wrap=True, min_width=least)
    for title in ("client", "sender", "recipient"):
        table.add_column(title, no_wrap=True, overflow="ellipsis", ratio=1)
    for each in decisions:
        cells = each.reason, _client(each), f"<{each.sender}>", f"<{each.recipient}>"
        table.add_row(f"{each.at:%H:%M:%S}", _outcome(each), *(Text(printable(cell)) for cell in cells))
    return table


def _two_lines(decision: StoredDecision) -> Iterator[Text]:
    first = Text.assemble(f"{decision.at:%H:%M:%S} ", _outcome(decision), f" {decision.reason:<12} ")
    first.append(printable(_client(decision)))
    second = Text(printable(f"{'':<9}<{decision.sender}> to <{decision.recipient}>"))
    for line in (first, second):
        line.no_wrap, line.overflow = True, "ellipsis"
        yield line


def _outcome(decision: StoredDecision) -> Text:
    return Text(f"{decision.outcome:<8}", "yellow" if decision.defers else "green")


def _client(decision: StoredDecision) -> str:
    return f"{decision.client_name} [{decision.client_address}]"


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    return table
