"""The present state of a process, for metrics and health checks; a supervisor merges those of its workers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bley.checks.lists.report import ListReport, merged_lists
from bley.core.address_scope import GATEWAY_HELO_NAMES

__all__ = ["StateReport", "merged"]


class StateReport(NamedTuple):
    """Gauges and list health. They are computed on request, so that answering requests does not update them."""

    lists: list[ListReport]
    dns_is_silent: bool
    store_is_down: bool
    connections: int
    """The number of open connections."""
    waiting: Mapping[str, int]
    """Queued for the store: `writes`, `decisions`."""
    cached: Mapping[str, int]
    """The number of entries, by cache."""
    running: Mapping[str, int]
    """The number of running asyncio `tasks` and `spf` evaluations. A number that only grows is a leak."""
    resolver_fault: str = ""
    """The fault of a resolver that alters the answers of DNS lists; empty if none is known."""
    helo_names: Sequence[tuple[str, frozenset[str]]] = ()
    """The HELO names of strangers from local addresses and from gateways, by address (service/hidden_clients.py)."""

    @property
    def hidden_clients(self) -> list[str]:
        """The addresses of gateways that hide the real clients."""
        return sorted(address for address, names in self.helo_names if len(names) >= GATEWAY_HELO_NAMES)


def merged(reports: Sequence[StateReport]) -> StateReport:
    """Merge the reports of several workers, at least one: numbers are summed, a trouble of one worker is a trouble."""
    return StateReport(
        merged_lists([report.lists for report in reports]),
        any(report.dns_is_silent for report in reports),
        any(report.store_is_down for report in reports),
        sum(report.connections for report in reports),
        _sum(report.waiting for report in reports),
        _sum(report.cached for report in reports),
        _sum(report.running for report in reports),
        next((report.resolver_fault for report in reports if report.resolver_fault), ""),
        _united(report.helo_names for report in reports),
    )


def _united(reports: Iterable[Iterable[tuple[str, frozenset[str]]]]) -> tuple[tuple[str, frozenset[str]], ...]:
    united = dict[str, frozenset[str]]()
    for report in reports:
        for address, names in report:
            united[address] = united.get(address, frozenset()) | names
    return tuple(united.items())


def _sum(numbers: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for each in numbers:
        total.update(each)
    return dict(total)
