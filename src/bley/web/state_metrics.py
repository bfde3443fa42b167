"""How bley does at this moment, as metrics."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bley.status import StateReport
from bley.web.list_metrics import list_metrics

__all__ = ["StateMetrics"]


class StateMetrics(Collector):
    """A report as metrics."""

    def __init__(self, report: StateReport) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """The families."""
        report = self._report
        yield GaugeMetricFamily(
            "bley_dns_silent", "1 while the DNS gives no usable answer, else 0.", value=float(report.dns_is_silent)
        )
        yield GaugeMetricFamily("bley_connections", "Open connections.", value=report.connections)
        yield _numbers("bley_store_waiting", "What is still to be written.", "what", report.waiting)
        yield _numbers("bley_cache_entries", "What is remembered.", "cache", report.cached)
        yield _numbers("bley_running", "What goes on at this moment.", "what", report.running)
        yield from list_metrics(report.lists)


def _numbers(name: str, documentation: str, label: str, numbers: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value, number in numbers.items():
        family.add_metric([value], number)
    return family
