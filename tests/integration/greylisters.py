"""Real postgrey and sqlgrey servers of the tests: each on a free port, and stopped at the end of the test.

with postgrey_folder() as folder, running_postgrey(folder) as server:
    server.ask("192.0.2.1", "a@example.com", "b@example.org")
"""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from tests.free_ports import free_port
from tests.integration.servers import end_group, reachable_folder, require, start_group

__all__ = [
    "DELAY",
    "DELAY_OVER_SECONDS",
    "Greylister",
    "ask_policy",
    "postgrey_folder",
    "running_postgrey",
    "running_sqlgrey",
    "write_berkeley_db",
]

POSTGREY = "/usr/sbin/postgrey"
SQLGREY = "/usr/sbin/sqlgrey"
WAIT_SECONDS = 60.0
DELAY = timedelta(seconds=1)
# Both count whole seconds.
DELAY_OVER_SECONDS = 2.1


def ask_policy(port: int, **attributes: str) -> str:
    """Return the answer on this port to one policy request."""
    request = "".join(f"{name}={value}\n" for name, value in {"request": "smtpd_access_policy", **attributes}.items())
    with (
        socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as connection,
        connection.makefile() as answer,
    ):
        connection.sendall(f"{request}\n".encode())
        return answer.readline().strip()


class Greylister:
    """A policy server of another project, in the foreground."""

    def __init__(self, command: Sequence[str | Path], port: int, log_file: Path) -> None:
        self.port, self._log_file = port, log_file
        with log_file.open("ab") as log:
            self._leader = start_group(command, log)

    def wait_until_it_listens(self) -> None:
        """Return as soon as it listens; the test fails if it ends instead."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert self._leader.poll() is None, f"it ended:\n{self.log()}"
                assert time.monotonic() < end, f"it does not listen:\n{self.log()}"
                time.sleep(0.01)
            else:
                return

    def ask(self, client_address: str, sender: str, recipient: str, client_name: str = "unknown") -> str:
        """Return the answer to one request."""
        return ask_policy(
            self.port, client_address=client_address, client_name=client_name, sender=sender, recipient=recipient
        )

    def stop(self, number: int) -> None:
        """Stop it by this signal, and wait until it has ended."""
        pid = re.search(r"starting! pid\((\d+)\)", self.log())
        assert pid
        os.kill(int(pid[1]), number)
        self._leader.wait(WAIT_SECONDS)

    def end(self) -> None:
        """Kill it with all its children; do nothing if it has ended."""
        end_group(self._leader)
        print(self.log())

    def log(self) -> str:
        """Return its log."""
        return self._log_file.read_text()


@contextmanager
def running(command: Sequence[str | Path], port: int, log_file: Path) -> Iterator[Greylister]:
    server = Greylister(command, port, log_file)
    try:
        server.wait_until_it_listens()
        yield server
    finally:
        server.end()


@contextmanager
def postgrey_folder() -> Iterator[Path]:
    """Return a folder for postgrey's files."""
    require(POSTGREY, "postgrey")
    require("db5.3_dump", "db5.3-util")
    with reachable_folder() as folder:
        shutil.chown(folder, "postgrey", "postgrey")
        yield folder


@contextmanager
def running_postgrey(folder: Path, *options: str) -> Iterator[Greylister]:
    """Run postgrey with `DELAY`."""
    port = free_port()
    command = [POSTGREY, f"--inet=127.0.0.1:{port}", f"--dbdir={folder}", f"--delay={int(DELAY.total_seconds())}"]
    with running([*command, *options], port, folder / "output") as server:
        yield server


def write_berkeley_db(file: Path, records: dict[bytes, bytes]) -> None:
    """Write a Btree like postgrey's, with these records."""
    require("db5.3_load", "db5.3-util")
    fields = "".join(f" {key.hex()}\n {value.hex()}\n" for key, value in records.items())
    dump = f"VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n{fields}DATA=END\n"
    subprocess.run(["db5.3_load", file], input=dump.encode(), check=True, timeout=WAIT_SECONDS)


SQLGREY_CONF = """
inet = 127.0.0.1:{port}
# Minutes.
reconnect_delay = 0.02
group_domain_level = 2
# No mails about its state.
admin_mail =
"""


@contextmanager
def running_sqlgrey(folder: Path, dbd: str, **settings: object) -> Iterator[Greylister]:
    """Run sqlgrey with this one of Perl's database drivers, in a folder that its user owns."""
    require(SQLGREY, "sqlgrey")
    if not list(Path("/usr/lib").glob(f"*/perl5/*/DBD/{dbd}.pm")):
        require(f"DBD::{dbd}", f"libdbd-{dbd.lower()}-perl")
    shutil.chown(folder, "sqlgrey", "sqlgrey")
    port = free_port()
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    (folder / "conf").write_text(SQLGREY_CONF.format(port=port) + f"db_type = {dbd}\n" + "".join(lines))
    with running([SQLGREY, "-f", folder / "conf"], port, folder / "output") as server:
        yield server
