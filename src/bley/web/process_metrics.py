"""The version of bley and the resources of its processes, as metrics."""

import platform
from collections.abc import Iterator, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bley import __version__

__all__ = ["ProcessMetrics"]


class ProcessMetrics(Collector):
    """The metrics that prometheus-client has of its own process, here of several, with the label `process`."""

    def __init__(self, process_ids: Mapping[str, int]) -> None:
        self._process_ids = process_ids

    def collect(self) -> Iterator[Metric]:
        """Return the families, with a sample for each process; a process that has just ended has none."""
        build_info = GaugeMetricFamily(
            "bley_build_info", "1, with the versions of bley and Python.", labels=["version", "python"]
        )
        build_info.add_metric([__version__, platform.python_version()], 1)
        yield build_info
        families: dict[str, Metric] = {}
        for name, process_id in self._process_ids.items():
            for family in ProcessCollector(pid=str(process_id).__str__, registry=None).collect():
                samples = [sample._replace(labels={"process": name}) for sample in family.samples]
                merged = families.setdefault(family.name, family)
                merged.samples = samples if merged is family else [*merged.samples, *samples]
        yield from families.values()
