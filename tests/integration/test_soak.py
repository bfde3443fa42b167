"""The soak itself, in short: bench/soak.py is run for half an hour by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

MINUTES = 0.2
MEGABYTES = 80
"""In so short a time what is remembered has not stopped growing; a leak of memory is for the long run to find."""


@pytest.mark.parametrize("workers", [1, 2])
def test_all_that_happens_in_a_soak_is_accounted_for(workers: int, tmp_path: Path) -> None:
    """Answers, lines of the log, counts, decisions, records; descriptors, threads, tasks, evaluations."""
    options = [f"--minutes={MINUTES}", f"--megabytes={MEGABYTES}", f"--workers={workers}", "--rate=20"]
    command = [sys.executable, "-m", "bench.soak", *options, str(tmp_path / "soak")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "nothing differs" in ran.stdout
