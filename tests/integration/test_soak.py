"""The soak in short; bench/soak.py runs for half an hour by hand."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def test_all_that_happens_in_a_soak_is_accounted_for(tmp_path: Path) -> None:
    """It compares answers, log lines, counts, decisions, records; descriptors, threads, tasks, evaluations.

    One process and two workers run at the same time, since mostly they wait. Memory still grows in so short a time,
    since caches fill: only the long run finds a leak of memory.
    """

    def soak(workers: int) -> subprocess.CompletedProcess[str]:
        options = ["--minutes=0.3", "--megabytes=80", f"--workers={workers}", "--rate=20"]
        command = [sys.executable, "-m", "bench.soak", *options, str(tmp_path / str(workers))]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    with ThreadPoolExecutor(2) as pool:
        for ran in pool.map(soak, (1, 2)):
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert "nothing differs" in ran.stdout
