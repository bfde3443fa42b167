"""How the DNS lists do, as metrics."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from bley.checks.lists.report import ListReport
from bley.core.dnslists.health import ListState

__all__ = ["list_metrics"]


def list_metrics(reports: Sequence[ListReport]) -> Iterator[Metric]:
    """The families, each with a sample a list."""
    well = GaugeMetricFamily("bley_list_well", "1 while the list is well, else 0.", labels=["list", "ip"])
    latency = GaugeMetricFamily(
        "bley_list_latency_seconds",
        "How long the last answers took that told something.",
        labels=["list", "quantile"],
    )
    for name, report in {report["name"]: report for report in reports}.items():  # one in two settings is the same list
        state, state_ipv6 = report["state"], report["state_ipv6"]
        if state != ListState.NOT_SERVED:
            well.add_metric([name, "4"], float(state == ListState.WELL))
        if state_ipv6 != ListState.NOT_SERVED:  # who is ill for IPv4 clients is ill
            well.add_metric([name, "6"], float({state, state_ipv6} <= {ListState.WELL, ListState.NOT_SERVED}))
        for quantile, seconds in (("0.5", report["median_seconds"]), ("0.95", report["p95_seconds"])):
            if seconds is not None:
                latency.add_metric([name, quantile], seconds)
    yield from (well, latency)
