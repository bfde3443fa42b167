"""Which program runs, and what each of its processes takes, as metrics."""

import platform
from collections.abc import Iterator, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bley import __version__

__all__ = ["ProcessMetrics"]


class ProcessMetrics(Collector):
    """The processes as metrics, by name: prometheus-client's own of each, whoever's it is, with the name as a label."""

    def __init__(self, process_ids: Mapping[str, int]) -> None:
        self._process_ids = process_ids

    def collect(self) -> Iterator[Metric]:
        """The families, each with a sample a process; one that has just ended has none."""
        built = GaugeMetricFamily("bley_build_info", "1, of this program.", labels=["version", "python"])
        built.add_metric([__version__, platform.python_version()], 1)
        yield built
        families: dict[str, Metric] = {}
        for name, process_id in self._process_ids.items():
            for family in ProcessCollector(pid=str(process_id).__str__, registry=None).collect():
                labelled = [sample._replace(labels={"process": name}) for sample in family.samples]
                whole = families.setdefault(family.name, family)
                whole.samples = labelled if whole is family else [*whole.samples, *labelled]
        yield from families.values()
