"""The processes of a measurement: bley, and the load generator. The others are in bench/responders.py."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, Self

from bley.core.endpoint import split_endpoint

__all__ = [
    "KNOWN",
    "PASSING",
    "Bley",
    "Load",
    "Server",
    "build",
    "cpu_seconds",
    "free_port",
    "fresh_bley",
    "policy_load",
    "wait_until_it_listens",
]

HERE = Path(__file__).parent
START_SECONDS = 30.0
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
KNOWN = 1000
"""The number of triplets in the caches when known mail is measured."""
PASSING = {"s": 0, "h": 0}
"""Options of policy_load for strangers that pass: their HELO is their name."""


@dataclass(frozen=True)
class Load:
    """Results of `policy_load`; latencies are in microseconds."""

    requests: int
    seconds: float
    rate: float
    p50: float
    p99: float
    longest: float
    actions: dict[str, int] = field(default_factory=dict)


def build(folder: Path) -> None:
    """Compile the programs in C into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in HERE.glob("*.c"):
        subprocess.run(["cc", "-O2", "-o", folder / source.stem, source], check=True)


def policy_load(folder: Path, *ports: int, **options: int) -> Load:
    """Load the ports; the letters of the options are those of policy_load.c. Raises CalledProcessError for a missing
    answer."""
    words = [word for letter, number in options.items() for word in (f"-{letter}", str(number))]
    ran = subprocess.run([folder / "policy_load", *words, *map(str, ports)], stdout=subprocess.PIPE, check=True)
    return Load(**json.loads(ran.stdout))


class Server(Protocol):
    """A server under load."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Its ports on 127.0.0.1."""

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of all its processes."""


class Bley:
    """A bley with these settings and its files in the folder; it logs to a file and exports metrics."""

    def __init__(self, folder: Path, python: str = sys.executable, /, **settings: object) -> None:
        self.folder, self._python = folder, python
        self._file = folder / "bley.conf"
        self.port = free_port()
        self._settings: dict[str, object] = {
            "listen_port": self.port,
            "web_listen": f"127.0.0.1:{free_port()}",
            "log_file": folder / "bley.log",
            "dbpath": folder,
            "dnsbls": "",
            "dnswls": "",
            "check_names": int("resolver" in settings),  # else the answers would depend on the machine's DNS
            "trusted_networks": "::1",
            "cache_valid": 0,  # each stranger is judged by itself
        } | settings
        self.log_file = folder / "bley.log"
        self.complaints: Path | None = None
        """A file for its standard error; None: that of this process."""
        self.write_settings()

    def write_settings(self, **settings: object) -> None:
        """Write the settings file, with these settings over the first ones, for `reload`."""
        lines = "".join(f"{key} = {value}\n" for key, value in (self._settings | settings).items())
        self._file.write_text(f"[bley]\n{lines}")

    def reload(self) -> None:
        """Have it reload its settings, without waiting."""
        self.process.send_signal(signal.SIGHUP)

    @property
    def web_place(self) -> str:
        """The address and port of its web pages."""
        return str(self._settings["web_listen"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> float:
        """Start it; return the seconds until the first answer."""
        begun = time.monotonic()
        with self.complaints.open("ab") if self.complaints else nullcontext() as stderr:
            command: list[str | Path] = [self._python, "-m", "bley", "serve", "-c", self._file]
            self.process = subprocess.Popen(command, stderr=stderr)
        wait_until_it_listens(self.port, self.process)
        with socket.create_connection(("127.0.0.1", self.port)) as peer:
            peer.sendall(b"protocol_state=RCPT\nclient_address=192.0.2.1\nrecipient=postmaster@example.org\n\n")
            peer.recv(100)
        seconds = time.monotonic() - begun
        if self.web_place:  # one of several workers may answer before the web pages are ready
            wait_until_it_listens(split_endpoint(self.web_place, 0)[1], self.process)
        return seconds

    def stop(self) -> None:
        """Stop it as systemd does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def restart(self) -> None:
        """Restart it, so that its caches are empty."""
        self.stop()
        self.start()

    def run(self, command: str, *words: str | Path) -> None:
        """Run a command of bley with these settings; print only its errors."""
        words = (self._python, "-m", "bley", command, "-c", self._file, *words)
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)

    @property
    def ports(self) -> tuple[int, ...]:
        """The port for policy requests."""
        return (self.port,)

    @property
    def process_ids(self) -> list[int]:
        """The processes: its own and those of its workers."""
        return _family(self.process.pid)

    @property
    def rss_megabytes(self) -> float:
        """The resident memory of all its processes, in 10^6 bytes."""
        return sum(map(_rss, self.process_ids)) / 1e6

    @property
    def outages(self) -> int:
        """The number of times that its store went down, as its log says."""
        with self.log_file.open() as log:
            return sum("answering by on_store_error until it is back" in line for line in log)

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of all its processes."""
        return sum(map(cpu_seconds, self.process_ids))


@contextmanager
def fresh_bley(parent: Path, python: str = sys.executable, /, **settings: object) -> Iterator[Bley]:
    """Run a bley with a store in a new folder, which is removed afterwards."""
    with TemporaryDirectory(prefix="bley", dir=parent) as folder, Bley(Path(folder), python, **settings) as bley:
        yield bley


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its threads, of user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def free_port() -> int:
    """Return a free TCP port on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the port accepts connections. Raises ConnectionRefusedError if the process ends or takes too long."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.005)
        else:
            return
