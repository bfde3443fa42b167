"""A real journald of the tests, next to the machine's, which it does not affect.

with running_journald() as journal:
    ...  # send to journal.socket
    journal.wait("BLEY_ACTION=greylist")
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.servers import end_group, reachable_folder, require, start_group

__all__ = ["Journal", "in_its_own_world", "running_journald"]

JOURNALD = "/usr/lib/systemd/systemd-journald"
WAIT_SECONDS = 60.0

SETTINGS = """[Journal]
Storage=volatile
Audit=
ReadKMsg=no
ForwardToWall=no
"""
"""Settings by which it neither reads nor changes anything of the machine's."""


def in_its_own_world(run: Path, *command: str | Path) -> list[str | Path]:
    """Return a command line that runs a command with this folder as its private /run."""
    script = 'mount --make-rprivate / && mount --bind "$0" /run && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, run, *command]


class Journal:
    """The entries and the socket of a journald of the tests."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.socket = run / "systemd/journal/socket"

    def entries(self, *matches: str) -> list[dict[str, str]]:
        """Return the entries with all these fields, oldest first, as journalctl reads them back."""
        files = self.run.glob("log/journal/*/*.journal")
        command = ["journalctl", "--quiet", "--all", "--output=json", *(f"--file={file}" for file in files), *matches]
        shown = subprocess.run(command, capture_output=True, check=False, timeout=WAIT_SECONDS)
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def wait(self, *matches: str, text: str = "") -> dict[str, str]:
        """Return the entry with all these fields and this text as soon as it exists; otherwise the test fails."""
        end = time.monotonic() + WAIT_SECONDS
        while not (entries := [entry for entry in self.entries(*matches) if text in entry["MESSAGE"]]):
            assert time.monotonic() < end, f"{matches}, {text!r}: there is {self.entries()}"
            time.sleep(0.05)
        (entry,) = entries
        return entry


@contextmanager
def running_journald() -> Iterator[Journal]:
    """Run a journald. The test is skipped if the kernel allows no private /run, as in most containers."""
    require(JOURNALD, "systemd")
    require("/usr/bin/journalctl", "systemd")
    with reachable_folder() as run:
        if subprocess.run(in_its_own_world(run, "true"), capture_output=True, check=False, timeout=10).returncode:
            pytest.skip("no mount namespace can be made here")
        for folder in ("systemd/journal", "systemd/journald.conf.d", "log/journal"):
            run.joinpath(folder).mkdir(parents=True)
        run.joinpath("systemd/journald.conf.d/test.conf").write_text(SETTINGS)
        with run.joinpath("said").open("wb") as said:
            leader = start_group(in_its_own_world(run, JOURNALD), said)
        try:
            journal = Journal(run)
            journal.wait("MESSAGE_ID=f77379a8490b408bbe5f6940505a777b")  # SD_MESSAGE_JOURNAL_START
            yield journal
        finally:
            end_group(leader)
