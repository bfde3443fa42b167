"""The soak itself, in short: bench/soak.py is run for half an hour by hand."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("workers", "minutes"), [(1, 2.0), (2, 0.2)])
def test_all_that_happens_in_a_soak_is_accounted_for(workers: int, minutes: float, tmp_path: Path) -> None:
    """Answers, lines of the log, counts, decisions, records; descriptors, threads, tasks, evaluations.

    Memory has not stopped growing in so short a time, since caches fill: a leak of memory is for the long run to find.
    """
    options = [f"--minutes={minutes}", "--megabytes=80", f"--workers={workers}", "--rate=20"]
    command = [sys.executable, "-m", "bench.soak", *options, str(tmp_path / "soak")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "nothing differs" in ran.stdout
