"""The start has no gap: bley listens when its SQLite file is open, so that no first mail passes unchecked."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from bley.core.wire import encode_request
from tests.integration.daemon.test_daemon import BAD, DEFERRED, exchange
from tests.integration.running_bley import BLEY, WAIT_SECONDS, Bley
from tests.integration.test_workers import PASSING, workers

NOT_OPEN_YET = r"bley\[(\d+)\]: store: \S+: not open yet; bley listens when it is"
STRANGER = BAD._replace(sender="stranger@example.com")

SLOW_DISK = """
import os, sqlite3, time

connect = sqlite3.connect

def connect_slowly(database, **options):
    while database.startswith("file:") and not os.path.exists(os.environ["DISK_ANSWERS"]):
        time.sleep(0.01)
    return connect(database, **options)

sqlite3.connect = connect_slowly
from bley.store import batched
batched.OPEN_SECONDS = 300
"""
"""A sitecustomize by which bley's SQLite file opens when another file exists; bley waits long for it."""


class SlowDisk:
    """A disk that answers when the test allows it, for processes with this environment, and their workers."""

    def __init__(self, folder: Path) -> None:
        folder.joinpath("slow").mkdir()
        folder.joinpath("slow/sitecustomize.py").write_text(SLOW_DISK)
        self.answers = folder / "slow/answers"
        self.environment = {"PYTHONPATH": str(folder / "slow"), "DISK_ANSWERS": str(self.answers)}


@pytest.fixture
def disk(tmp_path: Path) -> SlowDisk:
    return SlowDisk(tmp_path)


@contextmanager
def starting(bley: Bley, environment: Mapping[str, str], *launcher: str, passed: int | None = None) -> Iterator[None]:
    """Start a bley that may not listen yet, and kill it at the end; the launcher ends before its command."""
    with bley._log_file.open("ab") as log:
        bley.process = subprocess.Popen(
            [*launcher, *BLEY[1 if launcher else 0 :], "serve", "-c", bley.file],
            pass_fds=() if passed is None else (passed,),
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        bley.process.kill()
        bley.process.wait()
        print(bley.log())


@contextmanager
def notified(folder: Path) -> Iterator[socket.socket]:
    """The socket of systemd's notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(folder / "notify"))
        told.settimeout(WAIT_SECONDS)
        yield told


@pytest.mark.parametrize("number_of_workers", [1, 2])
def test_nobody_is_answered_before_the_store_is_open(tmp_path: Path, disk: SlowDisk, number_of_workers: int) -> None:
    """systemd is not notified either; a reload that is requested meanwhile is not lost."""
    pid_file = tmp_path / "bley.pid"
    bley = Bley(tmp_path, workers=number_of_workers, pid_file=pid_file)
    port = int(bley._settings["listen_port"])
    with (
        notified(tmp_path) as told,
        starting(bley, disk.environment | {"NOTIFY_SOCKET": str(tmp_path / "notify")}),
    ):
        bley.wait_log(NOT_OPEN_YET)
        with pytest.raises(ConnectionRefusedError):
            exchange(port, BAD)
        bley.write_settings(reject_msg="come back")
        bley.process.send_signal(signal.SIGHUP)
        assert not pid_file.exists()
        assert "listens" not in re.sub(NOT_OPEN_YET, "", bley.log())
        disk.answers.touch()
        assert told.recv(1000).decode().startswith(f"READY=1\nMAINPID={bley.process.pid}\nSTATUS=listens on ")
        assert pid_file.read_text() == f"{bley.process.pid}\n"
        bley.wait_log("reloaded")
        assert exchange(port, BAD) == b"action=DEFER_IF_PERMIT come back\n\n"
        assert bley.stop() == 0
    assert "on_store_error" not in bley.log()


@pytest.mark.parametrize("number_of_workers", [1, 2])
def test_requests_wait_in_sockets_that_systemd_has_opened(
    tmp_path: Path, disk: SlowDisk, number_of_workers: int
) -> None:
    """They are answered from the store once it is open."""
    bley = Bley(tmp_path, workers=number_of_workers)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        with (
            starting(bley, disk.environment, sys.executable, "-c", PASSING, str(number), passed=number),
            socket.create_connection(listener.getsockname(), WAIT_SECONDS) as peer,
        ):
            peer.sendall(encode_request(BAD))
            bley.wait_log(NOT_OPEN_YET)
            disk.answers.touch()
            assert peer.recv(4096) == DEFERRED
            assert bley.decisions(at_least=1)[0]["reason"] == "new"


@pytest.mark.parametrize(("number_of_workers", "number"), [(1, signal.SIGTERM), (2, signal.SIGINT)])
def test_a_start_that_waits_for_a_lock_can_be_stopped(
    tmp_path: Path, disk: SlowDisk, number_of_workers: int, number: int
) -> None:
    disk.answers.touch()
    bley = Bley(tmp_path, workers=number_of_workers)
    with locked(tmp_path / "bley.db"), starting(bley, disk.environment):
        bley.wait_log(NOT_OPEN_YET)
        assert bley.stop(number) == 0
    assert bley.log().endswith("stopped\n")
    assert " listens on " not in bley.log()
    assert "Traceback" not in bley.log()


def test_a_worker_that_replaces_another_opens_the_store_before_it_answers(tmp_path: Path, disk: SlowDisk) -> None:
    """systemd's watchdog does not regard it as hanging meanwhile."""
    disk.answers.touch()
    bley = Bley(tmp_path, workers=2)
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000"}
    with notified(tmp_path) as told, starting(bley, disk.environment | environment):
        bley.wait_log(" listens on ")
        disk.answers.unlink()
        before = len(bley.log())  # a slow machine may have logged the same of the first workers
        os.kill(workers(bley)[0], signal.SIGKILL)
        replacement = bley.wait_log(NOT_OPEN_YET, since=before)[1]
        told.setblocking(False)
        with suppress(BlockingIOError):
            while told.recv(100):
                pass
        told.settimeout(WAIT_SECONDS)
        assert {told.recv(100) for _ in range(3)} == {b"WATCHDOG=1"}, "all workers were asked meanwhile"
        assert f"(pid {replacement}) has not answered" not in bley.log()
        assert f"(pid {replacement}) is ready" not in bley.log()
        disk.answers.touch()
        bley.wait_log(rf"\(pid {replacement}\) is ready")


def test_after_five_seconds_it_listens_without_its_store(tmp_path: Path) -> None:
    """It logs that, and uses the store when possible."""
    with locked(tmp_path / "bley.db") as lock, Bley(tmp_path) as bley:
        assert exchange(bley.port, BAD) == b"action=DUNNO\n\n"
        said = re.findall(
            r"not open yet; bley listens when it is, after 5 s|(?<=bley.db: ).* on_store_error| listens on ", bley.log()
        )
        assert said == [
            "not open yet; bley listens when it is, after 5 s",
            "database is locked; answering by on_store_error",
            " listens on ",
        ]
        lock.execute("ROLLBACK")
        bley.wait_log("store: back")
        assert exchange(bley.port, STRANGER) == DEFERRED


@contextmanager
def locked(file: Path) -> Iterator[sqlite3.Connection]:
    """Run another process that has created the file, and holds its lock."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield other
