"""How a bley does at this moment, for who looks: a process tells it of itself, a supervisor of all its workers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bley.checks.lists.report import ListReport, merged_lists

__all__ = ["StateReport", "merged"]


class StateReport(NamedTuple):
    """What stands at this moment, so that it need not be counted while requests are answered."""

    lists: list[ListReport]
    dns_is_silent: bool
    store_is_down: bool
    connections: int
    """Open ones."""
    waiting: Mapping[str, int]
    """For the store: `writes`, `decisions`."""
    cached: Mapping[str, int]
    """What is remembered, by memory."""
    running: Mapping[str, int]
    """What goes on: `tasks` of asyncio, `spf` evaluations. Numbers that only grow are a leak."""


def merged(reports: Sequence[StateReport]) -> StateReport:
    """What several workers tell, as one; at least one report. What is so for one is so, what is many is summed."""
    return StateReport(
        merged_lists([report.lists for report in reports]),
        any(report.dns_is_silent for report in reports),
        any(report.store_is_down for report in reports),
        sum(report.connections for report in reports),
        _sum(report.waiting for report in reports),
        _sum(report.cached for report in reports),
        _sum(report.running for report in reports),
    )


def _sum(numbers: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for each in numbers:
        total.update(each)
    return dict(total)
