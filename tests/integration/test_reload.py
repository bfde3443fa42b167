"""Reloads under load: every answered request has one line, and no connection reads anything but its answers.

`BLEY_RELOADS=200 pytest tests/integration/test_reload.py` takes a minute for each case.
"""

import contextlib
import itertools
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from bley.core.mail import Request
from bley.core.wire import encode_request
from tests.integration.daemon.test_daemon import BAD, GOOD
from tests.integration.database_server import wait_until
from tests.integration.running_bley import BLEY, Bley
from tests.integration.test_workers import workers as workers_of

RELOADS = int(os.environ.get("BLEY_RELOADS", "32"))

ANSWER = re.compile(rb"action=(DUNNO|DEFER_IF_PERMIT words \d+)\n\n")
INSTANCE = re.compile(r'instance(?:=|": ")(i\d+x\d+)')
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ bley\[\d+\]: \S.*")


def _load(number: int, kind: int, name: str) -> Request:
    """Return a request of known mail, an exempt recipient, or a stranger."""
    match kind % 10:
        case 0:
            return BAD._replace(sender=f"{name}y@example.com", instance=name)
        case 1:
            return GOOD._replace(recipient="postmaster@example.org", instance=name)
    return GOOD._replace(sender=f"known{number}@example.com", instance=name)


class Peer(threading.Thread):
    """A peer that sends requests, on one connection after the other, until `stopping`."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__()
        self._port, self._number = port, number
        self._stopping = threading.Event()
        self.answered: list[str] = []
        self.wrong: list[object] = []

    def run(self) -> None:
        counter = itertools.count()
        while not self._stopping.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), 30) as peer:
                    self._ask(peer, itertools.islice(counter, 40))
            except OSError as error:
                self.wrong.append(error)

    def _ask(self, peer: socket.socket, counter: Iterator[int]) -> None:
        for count in counter:
            name = f"i{self._number}x{count}"
            peer.sendall(encode_request(_load(self._number, count, name)))
            answer = peer.recv(65536)
            if not ANSWER.fullmatch(answer):
                self.wrong.append(answer)
                return
            self.answered.append(name)
            if self._stopping.wait(0.002):
                break
        peer.settimeout(0.02)  # a misdirected log line would come later than the answer
        with contextlib.suppress(TimeoutError):
            self.wrong.append(peer.recv(65536))

    def stop(self) -> None:
        self._stopping.set()
        self.join(60)


def _settings(folder: Path, number: int) -> Mapping[str, object]:
    """Yield valid, invalid, and partially valid settings, in turn."""
    good = {
        "reject_msg": f"words {number}",
        "resolver": "127.0.0.1:5353",
        "log_file": ("-", folder / "first.log", folder / "second.log")[number % 3],
        "log_format": "json" if number % 5 == 0 else "text",
        "whitelist_clients_file": "whitelist_clients",
        "rfc_threshold": 2,
    }
    wrong: Sequence[Mapping[str, object]] = (
        {"resolver": "127.0.0.1:5_3"},
        {"log_file": folder / "none" / "bley.log"},
        {"resolver": "[fe80::1%nope]:53"},
        {"whitelist_clients_file": "not there"},
        {"log_file": folder},
        {"rfc_threshold": "many"},
    )
    return good if number % 2 == 0 else {**good, **wrong[number // 2 % len(wrong)]}


def _reload(bley: Bley, folder: Path) -> None:
    """Reload, and wait until a log file shows that it was applied or refused."""
    before = _log_of(folder).count("reloaded")
    bley.process.send_signal(signal.SIGHUP)
    wait_until(lambda: _log_of(folder).count("reloaded") > before, "it reloads")


def _log_of(folder: Path) -> str:
    return "".join(file.read_text() for file in folder.glob("*.log"))


def _rotate(folder: Path, number: int) -> None:
    for file in (folder / "first.log", folder / "second.log"):
        with contextlib.suppress(FileNotFoundError):
            file.rename(folder / f"{file.stem}.{number}.log")


@pytest.mark.parametrize("workers", [1, 2])
def test_no_line_is_lost_and_none_goes_astray(workers: int, tmp_path: Path) -> None:
    """Settings alternate between valid and invalid, and the log is rotated. No worker ends."""
    with Bley(tmp_path, workers=workers, reject_msg="words 0") as bley:
        alive = workers_of(bley) if workers > 1 else []
        peers = [Peer(bley.port, number) for number in range(4)]
        for peer in peers:
            peer.start()
        for number in range(RELOADS):
            bley.write_settings(**_settings(tmp_path, number))
            _reload(bley, tmp_path)
            if number % 7 == 0:
                _rotate(tmp_path, number)
        wait_until(lambda: min(len(peer.answered) for peer in peers) > 30, "all are answered")
        for peer in peers:
            peer.stop()
        assert bley.process.poll() is None
        assert alive == (workers_of(bley) if workers > 1 else [])
        bley.write_settings(**_settings(tmp_path, 0))
        bley.reload()
        assert bley.stop() == 0
    assert [wrong for peer in peers for wrong in peer.wrong] == []
    _check_logs(tmp_path, [name for peer in peers for name in peer.answered])


def _check_logs(folder: Path, answered: list[str]) -> None:
    text = _log_of(folder)
    assert text.endswith("\n")
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []
    assert "Traceback" not in text
    logged = Counter(INSTANCE.findall(text))
    assert {name: logged[name] for name in answered if logged[name] != 1} == {}
    assert text.count(": reloaded\n") > 1
    assert text.count("not reloaded: the old settings stay") > 1
    assert len(set(re.findall("reason=([a-z-]+)", text))) > 2


@pytest.mark.parametrize("workers", [1, 2])
def test_many_signals_at_once_are_few_reloads_and_the_last_settings_hold(workers: int, tmp_path: Path) -> None:
    with Bley(tmp_path, workers=workers) as bley:
        for number in range(50):
            bley.write_settings(reject_msg=f"words {number}")
            bley.process.send_signal(signal.SIGHUP)
        bley.reload()

        def is_last() -> bool:
            with socket.create_connection(("127.0.0.1", bley.port), 30) as peer:
                peer.sendall(encode_request(BAD))
                return peer.recv(4096) == b"action=DEFER_IF_PERMIT words 49\n\n"

        end = time.monotonic() + 30
        while not all(is_last() for _ in range(20)):
            assert time.monotonic() < end
        assert bley.log().count(": reloaded\n") <= 51
        assert "Traceback" not in bley.log()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_while_it_starts_or_stops_ends_nothing(workers: int, tmp_path: Path) -> None:
    """systemd would take that for a clean end, and not restart it."""
    log = tmp_path / "own.log"
    bley = Bley(tmp_path, workers=workers, log_file=log)
    with subprocess.Popen([*BLEY, "serve", "-c", bley.file]) as process:
        while process.poll() is None and not (log.exists() and "reloaded" in log.read_text()):
            time.sleep(0.002)
            if log.exists():  # before, it has not begun
                process.send_signal(signal.SIGHUP)
        process.terminate()
        while process.poll() is None:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.002)
    assert process.returncode == 0
    assert log.read_text().endswith("stopped\n")
    assert "Traceback" not in log.read_text()


ENTER_AND_LEAVE = """
import asyncio, uvloop
from bley.daemon.reload import block_sighup, handling_sighup

async def enter_and_leave():
    for _ in range(3000):
        with handling_sighup(lambda: None):
            print(flush=True)

block_sighup()
uvloop.run(enter_and_leave())
"""


def test_no_instant_has_the_default_of_the_signal() -> None:
    with subprocess.Popen([sys.executable, "-c", ENTER_AND_LEAVE], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # before, it has not begun
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        while process.poll() is None:
            process.send_signal(signal.SIGHUP)
        drain.join()
    assert process.returncode == 0


def test_a_worker_that_hangs_prevents_the_reload_and_all_go_on_as_before(tmp_path: Path) -> None:
    """When it continues, it has nothing of the new settings."""
    with Bley(tmp_path, workers=2, reject_msg="old words") as bley:
        hanging, _ = workers_of(bley)
        os.kill(hanging, signal.SIGSTOP)
        try:
            bley.write_settings(reject_msg="new words")
            begun = len(bley.log())
            bley.process.send_signal(signal.SIGHUP)
            bley.wait_log(r"worker \d \(pid \d+\) has not answered for 10 s\n.*not reloaded", since=begun)
        finally:
            os.kill(hanging, signal.SIGCONT)
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", bley.port), 30) as peer:
                peer.sendall(encode_request(BAD))
                assert peer.recv(4096) == b"action=DEFER_IF_PERMIT old words\n\n"
        bley.reload()
        assert bley.log().endswith(": reloaded\n")


def test_what_one_worker_cannot_do_none_does(tmp_path: Path) -> None:
    """An example is a lack of descriptors. The error is logged."""
    log = tmp_path / "own.log"
    with Bley(tmp_path, workers=2, reject_msg="old words") as bley:
        poor, _ = workers_of(bley)
        before = resource.prlimit(poor, resource.RLIMIT_NOFILE)
        bley.write_settings(reject_msg="new words", log_file=log)
        resource.prlimit(poor, resource.RLIMIT_NOFILE, (3, before[1]))
        bley.reload()
        resource.prlimit(poor, resource.RLIMIT_NOFILE, before)
        assert f"log_file: {log} cannot be opened: Too many open files\n" in bley.log()
        assert bley.log().count("not reloaded: the old settings stay") == 1
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", bley.port), 30) as peer:
                peer.sendall(encode_request(BAD))
                assert peer.recv(4096) == b"action=DEFER_IF_PERMIT old words\n\n"
        assert "action=" not in log.read_text()
        bley.write_settings(log_file="-")
        bley.reload()
        assert bley.log().endswith(": reloaded\n")


def test_a_worker_that_dies_in_a_reload_is_replaced_by_one_with_the_settings_in_force(tmp_path: Path) -> None:
    with Bley(tmp_path, workers=2, reject_msg="words 0") as bley:
        for number in range(1, 4):
            victim = workers_of(bley)[number % 2]
            begun = len(bley.log())
            bley.write_settings(reject_msg=f"words {number}")
            bley.process.send_signal(signal.SIGHUP)
            time.sleep(0.01 * number)
            os.kill(victim, signal.SIGKILL)
            bley.wait_log(": reloaded\n", since=begun)
            bley.wait_log(r"worker \d \(pid \d+\) is ready", since=begun)
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", bley.port), 30) as peer:
                    peer.sendall(encode_request(BAD))
                    assert peer.recv(4096) == f"action=DEFER_IF_PERMIT words {number}\n\n".encode()
