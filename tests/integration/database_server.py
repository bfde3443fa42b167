"""The common parts of the real database servers of these tests: their processes, their faults, their user.

`databases.py` and `redis_servers.py` have the servers. Each listens on a free port of 127.0.0.1 and at a Unix socket,
and is administered by its own command line client, never by a driver under test.
"""

import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote, urlsplit

from tests.free_ports import free_port
from tests.integration.servers import end_group, reachable_folder, start_group

# A URL must encode it, and a settings file quote it.
PASSWORD = "s3cret%/@:#?+"
# Only a hang reaches this limit.
WAIT_SECONDS = 60.0
# PostgreSQL refuses to run as root.
SERVER_USER = "nobody"
AS_SERVER_USER = ("setpriv", f"--reuid={SERVER_USER}", "--regid=nogroup", "--clear-groups")

Command = Sequence[str | Path]

# In the form that Python's VERIFY_X509_STRICT requires.
CERTIFICATES = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
subjectAltName = IP:127.0.0.1, DNS:localhost
authorityKeyIdentifier = keyid
"""


class RefusedError(Exception):
    """An error of a server, or of its client when it could not reach the server."""


def run_client(command: Command, seconds: float = WAIT_SECONDS, **environment: str) -> str:
    """Return the output of this command.

    Raises RefusedError with its error, TimeoutError when it takes longer. Of our environment it gets the path only: a
    developer's PGHOST has no effect.
    """
    shown = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment}
    try:
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False, env=shown
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{command[0]} got no answer in {seconds} s") from error
    if run.returncode:
        raise RefusedError((run.stderr + run.stdout).strip())
    return run.stdout.strip()


def wait_until(
    condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS, pause_seconds: float = 0.005
) -> None:
    """Return as soon as the condition holds; otherwise the test fails with the name of the condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in {seconds} s this did not happen: {what}"
        time.sleep(pause_seconds)


def database_of(url: str) -> str:
    """Return the name of the database in this URL."""
    return urlsplit(url).path.removeprefix("/")


class DatabaseServer(ABC):
    """A running server with the user `bley` and its empty database at `url`.

    `folder` gets the log, which is printed at the end, so that pytest shows it with a failed test. The data are in a
    folder that the server's user can read, and are deleted at the end. With `tls` the port accepts nothing else, and
    clients must trust `ca_file`. Entering it raises RuntimeError, with the log, if the server does not start.
    """

    scheme: ClassVar[str]
    # These words in its log mean that it listens.
    ready: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    host = "127.0.0.1"
    user = "bley"
    database = "bley"

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.password = PASSWORD
        self.tls = tls
        self.counter = count(1)
        self._folder = folder
        self._waker: subprocess.Popen[bytes] | None = None
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.place = undo.enter_context(reachable_folder())
            self.data = self._own_folder("data", 0o700)
            self.socket_folder = self._own_folder("socket", 0o755)
            self.port = free_port()
            self._log_file = self._folder / f"{self.scheme}-{self.port}.log"
            undo.callback(lambda: print(self.log()))
            if self.tls:
                self._write_certificates()
            self.prepare()
            self.start()
            undo.callback(self.stop)
            self.create_user()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    @abstractmethod
    def socket_path(self) -> Path:
        """Its Unix socket, open to every user with a password."""

    @property
    def url(self) -> str:
        """The URL of its first database, for the user `bley`."""
        return self.url_of(self.database)

    def url_of(self, database: str) -> str:
        """Return the URL of this database, for the user `bley` and the current password."""
        return f"{self.scheme}://{self.user}:{quote(self.password, safe='')}@{self.host}:{self.port}/{database}"

    @abstractmethod
    def new_database(self) -> str:
        """Return the URL of another, empty database, which belongs to `bley`."""

    @abstractmethod
    def ask(self, statement: str, url: str | None = None, seconds: float = WAIT_SECONDS) -> str:
        """Return the answer to the user of this URL, by default its own; a row is a line.

        Raises RefusedError, and TimeoutError if there is no answer.
        """

    @abstractmethod
    def set_read_only(self, read_only: bool) -> None:
        """Make the server read-only for `bley`, in old connections too, or writable again. A restart undoes it, except
        for PostgreSQL."""

    @abstractmethod
    def change_password(self, new: str) -> None:
        """Change the password of `bley`, and end its connections."""

    @abstractmethod
    def disconnect(self) -> None:
        """End all connections of `bley`."""

    @abstractmethod
    def prepare(self) -> None:
        """Write the files that the server needs before its first start."""

    @abstractmethod
    def command(self) -> Command:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def create_user(self) -> None:
        """Create `bley` and its database, after the first start."""

    def start(self) -> None:
        """Start it again after `kill` or `stop`: same port, same data."""
        begun = len(self.log())
        with self._log_file.open("ab") as log:
            self._leader = start_group([*AS_SERVER_USER, *self.command()], log)
        program = self.command()[0]
        with ExitStack() as undo:
            undo.callback(end_group, self._leader)
            wait_until(lambda: self.ready in self.log()[begun:] or self._leader.poll() is not None, f"{program} starts")
            if self._leader.returncode is not None:
                raise RuntimeError(f"{program} does not start:\n{self.log()[begun:]}")
            undo.pop_all()

    def stop(self) -> None:
        """Stop it cleanly, as an administrator does; do nothing if it has ended."""
        self.thaw()
        for process in self.processes()[:1]:
            os.kill(process, self.stop_signal)
        self._wait_ended([])

    def kill(self) -> None:
        """Kill all its processes at once, frozen or not, without notice to clients."""
        processes = self._pause()
        for process in processes:
            os.kill(process, signal.SIGKILL)
        self._wait_ended(processes)
        self.thaw()

    def freeze(self) -> None:
        """Freeze all its processes until `thaw`: connections stay, new ones are accepted, and there is no answer."""
        if self._waker:
            return
        # It thaws them however this process ends: a stopped child does not notice the death of its server.
        self._waker = subprocess.Popen(
            ["sh", "-c", 'read -r _; kill -CONT "$@"', "sh", *map(str, self._pause())],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def thaw(self) -> None:
        """Continue after `freeze`; do nothing if it is not frozen."""
        if self._waker:
            self._waker.communicate()
            self._waker = None

    def log(self) -> str:
        """Return its log."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def processes(self) -> list[int]:
        """Return the server, then its current children; nothing if it has ended."""
        # It is below the two shells of start_group.
        return _descendants(_children([self._leader.pid]))

    def _pause(self) -> list[int]:
        # The server first: from then on it has no new children.
        for process in self.processes()[:1]:
            os.kill(process, signal.SIGSTOP)
        processes = self.processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        return processes

    def _wait_ended(self, processes: Sequence[int]) -> None:
        # PostgreSQL refuses to start while its predecessor exists, even as a zombie, or shares memory with its child.
        with suppress(subprocess.TimeoutExpired):
            self._leader.wait(WAIT_SECONDS)
        end_group(self._leader)
        # Files are closed after memory is released.
        wait_until(lambda: not any(Path(f"/proc/{process}/fd/0").is_symlink() for process in processes), "all end")

    def _own_folder(self, name: str, mode: int) -> Path:
        folder = self.place / name
        folder.mkdir()
        folder.chmod(mode)
        shutil.chown(folder, SERVER_USER)
        return folder

    def _write_certificates(self) -> None:
        folder = self._own_folder("tls", 0o755)
        self.ca_file, self.certificate_file, self.key_file = (folder / name for name in ("ca", "server", "server.key"))
        settings = folder / "openssl.cnf"
        settings.write_text(CERTIFICATES)
        signed: Command
        for name, signed in (("ca", ()), ("server", ("-CA", self.ca_file, "-CAkey", folder / "ca.key"))):
            files = ("-out", folder / name, "-keyout", folder / f"{name}.key", "-nodes", "-days", "2")
            kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}")
            run_client(
                ["openssl", "req", "-x509", "-config", settings, "-extensions", name, *kind, *files, *signed],
            )
        shutil.chown(self.key_file, SERVER_USER)


def _children(processes: Iterable[int]) -> list[int]:
    found: list[int] = []
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    return found


def _descendants(processes: Iterable[int]) -> list[int]:
    children = _children(processes)
    return [*children, *_descendants(children)] if children else []
