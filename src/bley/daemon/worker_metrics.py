"""What several workers count, for their supervisor: sums that outlive a worker.

Each counts in files of one folder (PROMETHEUS_MULTIPROC_DIR, prometheus-client's multiprocess mode). They are named by
the worker's number, not by its process: who replaces it counts on where it ended.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.samples import Sample

from bley.metrics import REGISTRY, WORKER_VARIABLE

__all__ = ["WorkerMetrics", "remove_counts"]

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class WorkerMetrics:
    """What all workers together have counted, with those that have died: a collector of prometheus-client's.

    The folder is theirs alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def environment(self, number: int) -> dict[str, str]:
        """What a worker's environment must have, so that it counts here."""
        return {_FOLDER_VARIABLE: str(self._folder), WORKER_VARIABLE: str(number)}

    def forget_state(self, number: int) -> None:
        """This worker has died: what it has counted stays, what was so at the time does not."""
        mark_process_dead(number, self._folder)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        """The families of REGISTRY; what this process itself has counted is in them."""
        own = {_key(sample): sample.value for family in REGISTRY.collect() for sample in family.samples}
        for family in MultiProcessCollector(None, self._folder).collect():  # type: ignore[no-untyped-call]
            family.samples = [each._replace(value=each.value + own.get(_key(each), 0)) for each in family.samples]
            yield family

    def list_answers(self, name: str) -> dict[str, int]:
        """How many answers about clients a list gave, by their meaning."""
        samples = (sample for family in self.collect() for sample in family.samples)
        return {sample.labels["answer"]: int(sample.value) for sample in samples if sample.labels.get("list") == name}


def remove_counts() -> None:
    """Take away the files of all workers, of which this is one: for when there is no supervisor that does it."""
    shutil.rmtree(os.environ[_FOLDER_VARIABLE], ignore_errors=True)


def _key(sample: Sample) -> tuple[str, frozenset[tuple[str, str]]]:
    return sample.name, frozenset(sample.labels.items())
