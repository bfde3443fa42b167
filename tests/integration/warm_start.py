"""bley as started by `python -m bley`, but forked from a process that has already imported bley.

Importing bley takes 0.65 s of processor time, and the integration tests start bley more than a thousand times. Tests of
the interpreter's own start (closed or full standard streams, the locale, a missing driver) start a new one:
`running_bley.BLEY`.

    process = start_bley(["serve", "-c", file], stdout=log, stderr=log)
    assert process.wait(15) == 0
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

__all__ = ["StartedBley", "run_bley", "start_bley"]

_PROJECT = Path(__file__).parents[2]
_PR_SET_CHILD_SUBREAPER = 36
_ORPHANED = b"its parent has ended"
_RUN_SECONDS = 60
"""The limit of a command; only a hang reaches it."""

_ONE_AT_A_TIME = threading.Lock()
"""A lock, since tests start several at once, in threads."""

_LONGEST_REQUEST = 200_000
"""The maximal length of a request in bytes, since the kernel sends it in one piece: arguments and environment."""

_DRIVERS = ["aiomysql", "aiosqlite", "asyncpg", "redis.asyncio.cluster", "redis.asyncio.sentinel"]
_DIALECTS = [f"sqlalchemy.dialects.{name}" for name in ("sqlite.aiosqlite", "postgresql.asyncpg", "mysql.aiomysql")]


class StartedBley:
    """A child of this process; its methods are those of subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or minus the signal that ended it; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status at its end. Raises subprocess.TimeoutExpired after this number of seconds."""
        if self.returncode is None:
            ended = os.pidfd_open(self.pid)
            try:
                select.select([ended], [], [], timeout)
            finally:
                os.close(ended)
        if (status := self.poll()) is None:
            raise subprocess.TimeoutExpired("bley", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send this signal; do nothing if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start_bley(
    arguments: Sequence[str | Path],
    *,
    stdout: IO[bytes],
    stderr: IO[bytes],
    stdin: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> StartedBley:
    """Start `bley` with these arguments. Without `stdin` its input is empty; the environment is ours by default."""
    request = {"arguments": list(map(str, arguments)), "env": dict(env or os.environ), "cwd": str(cwd or Path.cwd())}
    with _ONE_AT_A_TIME, Path(os.devnull).open("rb") as null:
        launcher = _launcher()
        files = [(stdin or null).fileno(), stdout.fileno(), stderr.fileno()]
        # The child of the launcher's child becomes ours when its parent ends, so that we can wait for it.
        _adopt_orphans(True)
        try:
            socket.send_fds(launcher, [json.dumps(request).encode()], files)
            pid = int(launcher.recv(100))
            assert launcher.recv(100) == _ORPHANED
        finally:
            _adopt_orphans(False)
    return StartedBley(pid)


def run_bley(
    arguments: Sequence[str | Path],
    *,
    input: bytes = b"",  # noqa: A002 (the name in subprocess.run)
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command of bley to its end, in the manner of subprocess.run."""
    with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
        stdin.write(input)
        stdin.seek(0)
        process = start_bley(arguments, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd)
        try:
            status = process.wait(_RUN_SECONDS)
        finally:
            process.kill()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(list(arguments), status, stdout.read(), stderr.read())


def _adopt_orphans(wanted: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


@cache
def _launcher() -> socket.socket:
    """Return the socket of the forking process; it ends when the socket is closed, however this process ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=_PROJECT, stdin=subprocess.DEVNULL)

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


def _launch(connection: socket.socket) -> None:
    """Fork for each request; the forked process returns from here as bley."""
    for module in [*_DRIVERS, *_DIALECTS, *(name for _, name, _ in pkgutil.walk_packages(["src/bley"], "bley."))]:
        if module != "bley.__main__":
            importlib.import_module(module)
    assert threading.active_count() == 1, "a fork has one thread only"
    gc.freeze()
    while True:
        request, files, _, _ = socket.recv_fds(connection, _LONGEST_REQUEST, 3)
        if not request:
            os._exit(0)
        if not (parent := os.fork()):
            if not (pid := os.fork()):
                return _become(connection, files, **json.loads(request))
            connection.send(str(pid).encode())
            os._exit(0)
        os.waitpid(parent, 0)
        connection.send(_ORPHANED)
        for file in files:
            os.close(file)


def _become(
    connection: socket.socket, files: Sequence[int], arguments: Sequence[str], env: Mapping[str, str], cwd: str
) -> None:
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(min(files), max(files) + 1)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["bley", *arguments]
    try:
        runpy.run_module("bley", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int) and threading.active_count() == 1:
            _end(end.code)
        raise


def _end(status: int) -> None:
    """End as Python does, but without the removal of all modules, which is most of the time of a short command."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _launch(socket.socket(fileno=int(sys.argv[1])))
