"""What bley is compared with, two responders in Python and gross, and a resolver.

gross is Debian's (C, threads, Bloom filters in memory instead of a database). It finds its resolver in /etc/resolv.conf
only, so it gets one of its own in a private mount namespace.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.running import cpu_seconds, free_port, wait_until_it_listens

__all__ = ["Responder", "bare_responder", "cold_responder", "dns_answers", "gross", "missing_gross"]

HERE = Path(__file__).parent
GROSS = "grossd"
GROSS_SETTINGS = """\
protocol = postfix
host = 127.0.0.1
port = {port}
grey_threshold = 0
"""
"""With this threshold gross greylists each stranger."""
GROSS_NAMESPACE = 'mount --bind "$1" /etc/resolv.conf && exec grossd -d -f "$2"'


@dataclass(frozen=True)
class Responder:
    """A running policy server of one process."""

    port: int
    process_id: int

    @property
    def ports(self) -> tuple[int, ...]:
        """Its port."""
        return (self.port,)

    @property
    def cpu_seconds(self) -> float:
        """Its CPU time."""
        return cpu_seconds(self.process_id)


@contextmanager
def bare_responder() -> Iterator[Responder]:
    """Run the responder that answers each empty line."""
    port = free_port()
    with _running([sys.executable, HERE / "bare_responder.py", str(port)], port) as responder:
        yield responder


@contextmanager
def cold_responder(parent: Path) -> Iterator[Responder]:
    """Run the responder that stores strangers, in a new folder that is removed afterwards."""
    port = free_port()
    with (
        TemporaryDirectory(prefix="cold", dir=parent) as folder,
        _running([sys.executable, HERE / "cold_responder.py", str(port), f"{folder}/cold.db"], port) as responder,
    ):
        yield responder


def missing_gross() -> str:
    """Return why gross cannot run here; empty if it can."""
    if not shutil.which(GROSS):
        return "skipped: no gross (Debian package)"
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
        return "skipped: gross needs root and unshare"
    return ""


@contextmanager
def gross(resolver: str = "127.0.0.1", lists: Sequence[str] = ()) -> Iterator[list[Responder]]:
    """Run gross with its log in a file and a resolver at port 53 of this address; yield none if it is missing."""
    if missing_gross():
        yield []
        return
    port = free_port()
    with TemporaryDirectory(prefix="gross") as name, Path(name, "gross.log").open("wb") as log:
        Path(name).chmod(0o755)  # it reads its settings as the user nobody
        settings, resolv_conf = Path(name, "grossd.conf"), Path(name, "resolv.conf")
        settings.write_text(GROSS_SETTINGS.format(port=port) + "".join(f"dnsbl = {each}\n" for each in lists))
        if lists:
            with settings.open("a") as file:
                print("check = dnsbl", file=file)
        resolv_conf.write_text(f"nameserver {resolver}\n")
        command: list[str | Path] = ["unshare", "-m", "sh", "-c", GROSS_NAMESPACE, "gross", resolv_conf, settings]
        with _running(command, port, output=log.fileno()) as responder:
            yield [responder]


@contextmanager
def dns_answers(folder: Path, *, port: int | None = None, milliseconds: int = 0) -> Iterator[str]:
    """Run the resolver, whose answers take so long; yield its address, which no other measurement has at this time."""
    number = os.getpid()
    address = f"127.{64 + number // 65536 % 64}.{number // 256 % 256}.{number % 256}"
    words: list[str | Path] = [folder / "dns_answers", "-d", str(milliseconds), address, str(port or free_port())]
    with _running(words):
        time.sleep(0.1)
        yield f"{address}:{words[-1]}"


@contextmanager
def _running(command: list[str | Path], port: int = 0, output: int | None = None) -> Iterator[Responder]:
    """Run a command, for a server that listens at this port."""
    with subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            if port:
                wait_until_it_listens(port, process)
            yield Responder(port, process.pid)
        finally:
            process.terminate()
