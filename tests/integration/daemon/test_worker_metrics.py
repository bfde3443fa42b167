"""What several workers count is summed, and stays when they die."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bley.daemon.worker_metrics import WorkerMetrics
from bley.metrics import LOG_DROPPED, REGISTRY

COUNTING = """
from bley.core.reasons import Reason
from bley.metrics import BATCH_SIZE, LIST_ANSWERS, LOG_DROPPED, STORE_DOWN, count, observe_answer
count("pass", Reason.KNOWN, 3)
count("greylist", Reason.HELO)
LIST_ANSWERS.labels("of-workers.example", "listed").inc(2)
LOG_DROPPED.inc()
STORE_DOWN.set(1)
BATCH_SIZE.observe(3)
observe_answer(Reason.EARLY, 0.003)
observe_answer(Reason.HELO, 0.2)
"""


@pytest.fixture
def metrics(tmp_path: Path) -> WorkerMetrics:
    return WorkerMetrics(tmp_path)


def _work(metrics: WorkerMetrics, number: int, program: str = COUNTING) -> None:
    """Run a worker of this number, which ends as one that crashes."""
    program += "\nimport os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    environment = os.environ | metrics.environment(number)
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == -signal.SIGKILL


def _values(metrics: WorkerMetrics) -> dict[str, float]:
    """Without what this process itself has counted, in other tests say."""
    found: dict[str, float] = {}
    for family in metrics.collect():
        for sample in family.samples:
            own = REGISTRY.get_sample_value(sample.name, sample.labels) or 0
            found[" ".join((sample.name, *sample.labels.values()))] = sample.value - own
    return found


def test_counters_are_summed_over_workers(metrics: WorkerMetrics) -> None:
    _work(metrics, 1)
    _work(metrics, 2)
    values = _values(metrics)
    assert values["bley_decisions_total pass known"] == 6
    assert values["bley_decisions_total greylist helo"] == 2
    assert metrics.list_answers("of-workers.example") == {"listed": 4}


def test_histograms_are_summed_over_workers(metrics: WorkerMetrics) -> None:
    for number in (1, 2, 3):
        _work(metrics, number)
    values = _values(metrics)
    assert values["bley_answer_seconds_count store"] == values["bley_answer_seconds_count checks"] == 3
    assert values["bley_answer_seconds_sum checks"] == pytest.approx(0.6)
    assert values["bley_answer_seconds_bucket store 0.0025"] == 0
    assert values["bley_answer_seconds_bucket store 0.005"] == values["bley_answer_seconds_bucket store +Inf"] == 3
    assert (values["bley_store_batch_size_bucket 2.0"], values["bley_store_batch_size_bucket 5.0"]) == (0, 3)


def test_who_replaces_a_dead_worker_counts_on(metrics: WorkerMetrics, tmp_path: Path) -> None:
    """In the same files, so that they do not become more and more."""
    _work(metrics, 1)
    files = sorted(tmp_path.iterdir())
    metrics.remove_gauges(1)
    _work(metrics, 1)
    assert _values(metrics)["bley_decisions_total pass known"] == 6
    assert sorted(tmp_path.iterdir()) == files


def test_a_dead_worker_s_store_is_not_down(metrics: WorkerMetrics) -> None:
    _work(metrics, 1)
    _work(metrics, 2, "import bley.metrics")
    assert _values(metrics)["bley_store_down"] == 1
    metrics.remove_gauges(1)
    assert _values(metrics)["bley_store_down"] == 0


def test_all_that_one_process_shows_is_shown(metrics: WorkerMetrics) -> None:
    _work(metrics, 1, "import bley.metrics")
    shown = {family.name for family in metrics.collect()} | {"bley_list_answers"}  # which has no samples at the start
    assert shown == {family.name for family in REGISTRY.collect()}


def test_what_the_supervisor_itself_counts_is_in_the_sum(metrics: WorkerMetrics) -> None:
    """Lines of its own log."""
    _work(metrics, 1)
    own = REGISTRY.get_sample_value("bley_log_dropped_total") or 0
    LOG_DROPPED.inc()
    (dropped,) = (family for family in metrics.collect() if family.name == "bley_log_dropped")
    assert dropped.samples[0].value == 1 + own + 1
