"""Gauges, computed from the daemon's state when they are scraped."""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bley.checks.lists.report import DOMAIN_SETTING, ListReport
from bley.core.dnslists.health import ListState
from bley.status import StateReport

__all__ = ["StateMetrics"]


class StateMetrics(Collector):
    """A state report as metrics."""

    def __init__(self, report: StateReport) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """Return the families."""
        report = self._report
        yield GaugeMetricFamily(
            "bley_dns_silent", "1 while the DNS gives no usable answer, else 0.", value=float(report.dns_is_silent)
        )
        yield GaugeMetricFamily(
            "bley_dns_altered",
            "1 while the resolver rewrites NXDOMAIN or filters DNS lists, else 0.",
            value=float(bool(report.resolver_fault)),
        )
        yield GaugeMetricFamily(
            "bley_hidden_clients",
            "Client addresses that are gateways: strangers with many HELO names come from each.",
            value=len(report.hidden_clients),
        )
        yield GaugeMetricFamily("bley_connections", "Open connections.", value=report.connections)
        yield _gauges("bley_store_waiting", "Writes to the store that are queued.", "what", report.waiting)
        yield _gauges("bley_cache_entries", "Entries of each cache.", "cache", report.cached)
        yield _gauges("bley_running", "Tasks and evaluations that have not ended.", "what", report.running)
        yield from _list_gauges(report.lists)


def _gauges(name: str, documentation: str, label: str, numbers: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value, number in numbers.items():
        family.add_metric([value], number)
    return family


def _list_gauges(reports: Sequence[ListReport]) -> Iterator[Metric]:
    well = GaugeMetricFamily("bley_list_well", "1 while the list is well, else 0.", labels=["list", "ip"])
    latency = GaugeMetricFamily(
        "bley_list_latency_seconds",
        "Latency of the last answers that said whether a client is listed.",
        labels=["list", "quantile"],
    )
    # A list in two settings counts once. Its domains have a state of their own, but share its latency.
    address_lists = {report["name"]: report for report in reports if report["setting"] != DOMAIN_SETTING}
    domain_lists = {report["name"]: report for report in reports if report["setting"] == DOMAIN_SETTING}
    for name, report in domain_lists.items():
        well.add_metric([name, "domains"], float(report["state"] == ListState.WELL))
    for name, report in (domain_lists | address_lists).items():
        for quantile, seconds in (("0.5", report["median_seconds"]), ("0.95", report["p95_seconds"])):
            if seconds is not None:
                latency.add_metric([name, quantile], seconds)
    for name, report in address_lists.items():
        state, state_ipv6 = report["state"], report["state_ipv6"]
        if state != ListState.NOT_SERVED:
            well.add_metric([name, "4"], float(state == ListState.WELL))
        if state_ipv6 != ListState.NOT_SERVED:  # a list that is ill for IPv4 clients is ill for all
            well.add_metric([name, "6"], float({state, state_ipv6} <= {ListState.WELL, ListState.NOT_SERVED}))
    yield from (well, latency)
