"""What is counted for Prometheus while requests are answered; docs/metrics.md describes it. Shown by web/.

A worker of several counts in files of a folder that its supervisor reads (PROMETHEUS_MULTIPROC_DIR, prometheus-client's
multiprocess mode). They are named by the worker's number, not by its process: who replaces it counts on where it ended.
"""

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, values
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.samples import Sample

from bley.core.decision import Outcome
from bley.core.evidence import ALWAYS_TOLD, Fact
from bley.core.policy import Reason

__all__ = [
    "FOUND",
    "LIST_ANSWERS",
    "LOG_DROPPED",
    "REGISTRY",
    "STORE_DOWN",
    "STORE_DROPPED",
    "UNKNOWN_FINDINGS",
    "WorkersMetrics",
    "count",
    "remove_counts",
]

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_WORKER_VARIABLE = "BLEY_WORKER"
"""The number of the worker that this process is."""

disable_created_metrics()  # type: ignore[no-untyped-call] # nobody asks since when a counter counts

if worker := os.environ.get(_WORKER_VARIABLE):
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()

_DECISIONS = Counter(
    "bley_decisions", "Requests answered, by what became of them and why.", ["action", "reason"], registry=REGISTRY
)
_decisions_of = cache(_DECISIONS.labels)
_decisions_of("pass", Reason.KNOWN.value)  # so that one is there, with 0, from the start


def count(outcome: Outcome, reason: Reason, number: int = 1) -> None:
    """Count decisions."""
    _decisions_of(outcome, reason.value).inc(number)


UNKNOWN_FINDINGS = Counter(
    "bley_unknown_findings",
    "Findings that counted nothing since they were late or failed.",
    ["check"],
    registry=REGISTRY,
)

for _check in ALWAYS_TOLD:
    UNKNOWN_FINDINGS.labels(_check.value)  # so that each is there, with 0, from the start

FOUND = Counter("bley_findings", "What was found about strangers.", ["finding"], registry=REGISTRY)

for _fact in Fact:
    FOUND.labels(_fact.value)

STORE_DOWN = Gauge(
    "bley_store_down", "1 while the store cannot be used, else 0.", registry=REGISTRY, multiprocess_mode="livemax"
)

STORE_DROPPED = Counter(
    "bley_store_dropped", "What was given up since too much waited for the store.", ["what"], registry=REGISTRY
)

for _what in ("writes", "decisions"):
    STORE_DROPPED.labels(_what)

LIST_ANSWERS = Counter("bley_list_answers", "Answers about clients.", ["list", "answer"], registry=REGISTRY)

LOG_DROPPED = Counter("bley_log_dropped", "Lines of the log that could not be written.", registry=REGISTRY)


class WorkersMetrics:
    """What all workers together have counted, with those that have died: a collector of prometheus-client's.

    The folder is theirs alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def environment(self, number: int) -> dict[str, str]:
        """What a worker's environment must have, so that it counts here."""
        return {_FOLDER_VARIABLE: str(self._folder), _WORKER_VARIABLE: str(number)}

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
