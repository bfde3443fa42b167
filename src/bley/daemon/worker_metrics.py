"""The metrics of all workers, collected by the supervisor: counters that survive a worker.

Each worker counts in files of one folder (PROMETHEUS_MULTIPROC_DIR, prometheus-client's multiprocess mode). The files
are named by the worker's number, not by its process id, and survive `kill -9`. A replacement continues them, so that
counters never decrease and the number of files does not grow.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.samples import Sample

from bley.metrics import REGISTRY, WORKER_VARIABLE

__all__ = ["WorkerMetrics", "remove_metrics"]

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class WorkerMetrics:
    """A collector of prometheus-client: the sums over all workers, including those that died.

    The folder must contain nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def environment(self, number: int) -> dict[str, str]:
        """Return the environment variables with which a worker counts in this folder."""
        return {_FOLDER_VARIABLE: str(self._folder), WORKER_VARIABLE: str(number)}

    def remove_gauges(self, number: int) -> None:
        """Remove the gauges of a worker that died; its counters stay."""
        mark_process_dead(number, self._folder)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        """Yield the families of REGISTRY, with the counts of this process added."""
        own = {_key(sample): sample.value for family in REGISTRY.collect() for sample in family.samples}
        for family in MultiProcessCollector(None, self._folder).collect():  # type: ignore[no-untyped-call]
            family.samples = [each._replace(value=each.value + own.get(_key(each), 0)) for each in family.samples]
            yield family

    def list_answers(self, name: str) -> dict[str, int]:
        """Return how many answers about clients a DNS list gave, by their meaning."""
        samples = (sample for family in self.collect() for sample in family.samples)
        return {sample.labels["answer"]: int(sample.value) for sample in samples if sample.labels.get("list") == name}


def remove_metrics() -> None:
    """Remove the folder with the files of all workers; a worker calls it if its supervisor has died."""
    shutil.rmtree(os.environ[_FOLDER_VARIABLE], ignore_errors=True)


def _key(sample: Sample) -> tuple[str, frozenset[tuple[str, str]]]:
    return sample.name, frozenset(sample.labels.items())
