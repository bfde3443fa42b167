"""A running bley of the tests: `bley serve` as a user would start it, on a free port.

with Bley(tmp_path, greylist_period="1s") as bley:
    assert bley.ask(client_address="192.0.2.1", recipient="b@example.org") == "action=DUNNO"
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.free_ports import free_port
from tests.integration.warm_start import StartedBley, run_bley, start_bley

WAIT_SECONDS = 60.0
"""A limit that only a hang reaches."""

DEFAULTS = {
    "web_listen": "",
    "dnsbls": "",
    "dnswls": "",
    "check_names": "0",
    "use_spf": "0",
    "cache_valid": "0",
}
"""Settings without DNS, client cache and web, unless a test changes them."""

BLEY = (sys.executable, "-m", "bley")


class Bley:
    """A running bley; keyword arguments are settings. `lists` are list files by name, in the folder of bley.conf."""

    waits_for_store = True

    def __init__(self, folder: Path, lists: Mapping[str, str] | None = None, /, **settings: object) -> None:
        self.file = folder / "bley.conf"
        self._log_file = folder / "bley.log"
        # Not port 0: after a restart it listens at the same address, which must stay free meanwhile.
        own = {"dbpath": str(folder), "listen_port": str(free_port())}
        self._settings = DEFAULTS | own | {key: str(value) for key, value in settings.items()}
        for name, text in (lists or {}).items():
            folder.joinpath(name).write_text(text)
        self.write_settings(**self._settings)

    def write_settings(self, **settings: object) -> None:
        """Write these settings over those of the file; a running bley reads them at `reload`."""
        self._settings |= {key: str(value) for key, value in settings.items()}
        new = self.file.with_suffix(".new")
        new.write_text("[bley]\n" + "".join(f"{key} = {value}\n" for key, value in self._settings.items()))
        new.replace(self.file)  # a concurrent reload reads all of them, or all of the old ones

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        print(self.log())

    def start(self) -> None:
        """Start it; wait until it listens and its store answers, for which bley itself waits a second at most."""
        begun = len(self.log())
        with self._log_file.open("ab") as log:
            self.process: StartedBley | subprocess.Popen[bytes] = start_bley(
                ["serve", "-c", self.file], stdout=log, stderr=log
            )
        listening = self.wait_log(r"listens on (.*), store", since=begun)
        self.places = listening[1].split(", ")
        if port := re.search(r":(\d+)$", self.places[0]):
            self.port = int(port[1])
        if self.waits_for_store:
            late = len(re.findall("no answer within .*; answering by on_store_error", self.log()[begun:]))
            self.wait_log(rf"(?s)(store: back.*){{{late}}}", since=begun)  # once for each worker

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send this signal; return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_SECONDS)

    def reload(self) -> None:
        """Send SIGHUP and wait until the reload is applied or refused."""
        begun = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        self.wait_log("reloaded", since=begun)

    def end_waits(self) -> None:
        """Let all deferred triplets pass at their next attempt, however soon that is."""
        self.write_settings(greylist_period="0", greylist_penalty="0")
        self.reload()

    def log(self) -> str:
        """Return all lines that bley has written, without an incomplete last one."""
        text = self._log_file.read_text() if self._log_file.exists() else ""
        return text[: text.rfind("\n") + 1]

    def wait_log(self, pattern: str, since: int = 0) -> re.Match[str]:
        """Return the match in the log as soon as there is one; otherwise the test fails."""
        end = time.monotonic() + WAIT_SECONDS
        while not (match := re.search(pattern, self.log()[since:])):
            assert self.process.poll() is None, f"bley ended with {self.process.returncode}:\n{self.log()}"
            assert time.monotonic() < end, f"{pattern!r} is not in the log:\n{self.log()}"
            time.sleep(0.01)
        return match

    def decisions(self, at_least: int = 0) -> list[dict[str, str]]:
        """Return the decisions in the log by field; findings are fields by their names.

        While bley runs, a line follows its answer a moment later: wait for `at_least` this number.
        """
        self.wait_log(rf"(?s)(]: action=.*){{{at_least}}}")
        lines = re.findall(r"]: (action=.*)", self.log())
        return [dict(re.findall(r"([a-z_]+)=([^, ]*)", line)) for line in lines]

    def run(self, *arguments: str | Path, status: int = 0) -> str:
        """Run a command of bley with these settings; return its output."""
        command, *options = arguments
        ran = run_bley([command, "-c", self.file, *options], env=os.environ | {"COLUMNS": "200"})
        said = (ran.stdout + ran.stderr).decode()
        assert ran.returncode == status, said
        return said

    def ask(self, **attributes: str) -> str:
        """Run `bley ask` with these attributes; return the answer."""
        return self.run("ask", *request_options(**attributes)).strip()


def request_options(**attributes: str) -> list[str]:
    """Return the options of `bley ask` and `bley explain` for these attributes."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in attributes.items()]
