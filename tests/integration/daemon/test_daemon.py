"""The daemon's life: start, reload, stop, and what bley 2's users type."""

import contextlib
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bley.core.mail import Request
from bley.core.wire import encode_request
from tests.dns_server import SILENT, DnsServer, Zone
from tests.free_ports import free_port
from tests.integration.database_server import wait_until
from tests.integration.running_bley import BLEY, WAIT_SECONDS, Bley

BAD = Request(client_address="198.51.100.7", helo_name="friend", sender="a@example.com", recipient="b@example.org")
GOOD = Request(
    client_address="192.0.2.1", client_name="mx.example.com", helo_name="mx.example.com", recipient="b@example.org"
)
DEFERRED = b"action=DEFER_IF_PERMIT greylisted, try again later\n\n"


def exchange(port: int, request: Request) -> bytes:
    """The answer to one request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as peer:
        peer.sendall(encode_request(request))
        peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(4096), b""))


def test_it_says_where_it_listens_and_what_it_stores_in(tmp_path: Path) -> None:
    with Bley(tmp_path, listen_addr="127.0.0.1, ::1") as bley:
        assert len(bley.places) == 2
        assert bley.places[1].startswith("[::1]:")
        assert f"store {tmp_path}/bley.db" in bley.log()
        assert exchange(bley.port, BAD) == DEFERRED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_finishes_what_is_in_flight(tmp_path: Path, number: int) -> None:
    """The request whose DNS answer is still missing is answered, then bley exits with 0."""
    zone: Zone = {"2.0.0.127.bl.example": {"A": ["127.0.0.2"]}, "1.2.0.192.bl.example": SILENT}
    with DnsServer(zone) as dns:
        settings = {"dnsbls": "bl.example", "resolver": dns.address, "check_timeout": "1s"}
        with Bley(tmp_path, **settings) as bley, socket.create_connection(("127.0.0.1", bley.port)) as peer:
            peer.sendall(encode_request(GOOD))
            wait_until(lambda: ("1.2.0.192.bl.example", "A") in dns.questions, "the list is asked")
            bley.process.send_signal(number)
            bley.process.send_signal(number)
            assert peer.recv(4096) == b"action=DUNNO\n\n"
            assert peer.recv(4096) == b""
            assert bley.process.wait(WAIT_SECONDS) == 0
        assert bley.log().endswith("stopped\n")


def test_a_stopped_bley_takes_no_connections_and_loses_no_record(tmp_path: Path) -> None:
    with Bley(tmp_path, greylist_period="0.2s") as bley:
        assert exchange(bley.port, BAD) == DEFERRED
        assert exchange(bley.port, GOOD) == b"action=DUNNO\n\n"
        assert bley.stop() == 0
        with pytest.raises(ConnectionRefusedError):
            exchange(bley.port, BAD)
        time.sleep(0.2)
        bley.start()
        assert exchange(bley.port, BAD).startswith(b"action=PREPEND X-Greylist: ")
        exchange(bley.port, GOOD)
    assert [decision["reason"] for decision in bley.decisions()][-1] == "known"


def deferred_until_closed(port: int, name: str, answered: list[str]) -> None:
    """Send one stranger after the other on a connection; note the recipients whose deferral was answered."""
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as peer, contextlib.suppress(ConnectionError):
        for number in range(100_000):
            recipient = f"{name}x{number}y@example.org"
            peer.sendall(encode_request(BAD._replace(recipient=recipient)))
            if peer.recv(4096) != DEFERRED:
                break
            answered.append(recipient)


def test_kill_9_under_load_loses_no_deferral_that_was_answered(tmp_path: Path) -> None:
    """Every recipient that heard 450 is in the store."""
    answered: list[str] = []
    with Bley(tmp_path) as bley, ThreadPoolExecutor(8) as peers:
        deferred = [peers.submit(deferred_until_closed, bley.port, f"peer{number}", answered) for number in range(8)]
        wait_until(lambda: len(answered) > 500, "strangers are deferred")
        bley.stop(signal.SIGKILL)
        for peer in deferred:
            peer.result()
    with contextlib.closing(sqlite3.connect(tmp_path / "bley.db")) as database:
        stored = {recipient for (recipient,) in database.execute("SELECT recipient FROM triplets")}
    assert set(answered) <= stored


def test_reload_takes_new_settings_and_lists(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        with socket.create_connection(("127.0.0.1", bley.port)) as peer:
            peer.sendall(encode_request(BAD))
            assert peer.recv(4096) == DEFERRED
            bley.write_settings(reject_msg="come back", listen_port=1)
            bley.reload()
            peer.sendall(encode_request(BAD))
            assert peer.recv(4096) == b"action=DEFER_IF_PERMIT come back\n\n", "the connection has lived on"
        assert "listen_port has changed: takes effect after a restart" in bley.log()
        tmp_path.joinpath("whitelist_clients").write_text("198.51.100.7\n")
        bley.reload()
        assert exchange(bley.port, BAD) == b"action=DUNNO\n\n"


def test_reload_keeps_the_old_settings_when_the_new_are_bad(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        bley.write_settings(reject_mgs="come back")
        bley.reload()
        assert "unknown key 'reject_mgs', did you mean 'reject_msg'?" in bley.log()
        assert "not reloaded: the old settings stay" in bley.log()
        assert exchange(bley.port, BAD) == DEFERRED


def test_the_log_file_is_opened_anew_when_it_was_rotated(tmp_path: Path) -> None:
    log = tmp_path / "decisions.log"
    with Bley(tmp_path) as bley:
        bley.write_settings(log_file=log)
        bley.process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.exists() and "reloaded" in log.read_text(), "it is reloaded")
        log.rename(tmp_path / "decisions.log.1")
        exchange(bley.port, BAD)
        wait_until(lambda: log.exists() and "action=greylist" in log.read_text(), "the decision is logged")


def test_the_pid_file(tmp_path: Path) -> None:
    file = tmp_path / "bley.pid"
    with Bley(tmp_path, pid_file=file) as bley:
        assert file.read_text() == f"{bley.process.pid}\n"
    assert not file.exists()


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"listen_addr": "192.0.2.1"}, "listen_addr: cannot listen at 192.0.2.1"),
        ({"listen_addr": "unix:/nowhere/bley.sock"}, "listen_addr: cannot listen at unix:/nowhere/bley.sock"),
        ({"pid_file": "/nowhere/bley.pid"}, "pid_file: /nowhere/bley.pid cannot be written: No such file"),
        ({"log_file": "/nowhere/bley.log"}, "log_file: /nowhere/bley.log cannot be opened: No such file"),
        ({"resolver": "127.0.0.1:5_3"}, "resolver = 127.0.0.1:5_3: '127.0.0.1:5_3' is not a server"),
        ({"resolver": "127.0.0.1:5_3", "workers": "2"}, "resolver = 127.0.0.1:5_3: '127.0.0.1:5_3' is not a server"),
    ],
)
def test_what_prevents_the_start_is_named(tmp_path: Path, settings: dict[str, str], fault: str) -> None:
    """Exit status 2, one line; 1 if a later start may succeed."""
    bley = Bley(tmp_path, **settings)
    assert fault in bley.run("serve", status=1 if "cannot listen" in fault else 2)


def test_a_port_in_use_prevents_the_start(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        bley.write_settings(listen_port=bley.port)
        said = bley.run("serve", status=1)
    assert "cannot listen at 127.0.0.1: Address already in use: by " in said


def test_a_port_of_another_bley_is_named_so(tmp_path: Path) -> None:
    """A start by hand beside the unit, say. It is a fresh interpreter: a fork has the command line of its parent."""
    bley = Bley(tmp_path, listen_port=free_port())
    with subprocess.Popen([*BLEY, "serve", "-c", bley.file], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert any(b"listens on" in line for line in process.stdout)
            said = bley.run("serve", status=1)
        finally:
            process.terminate()
    assert f"Address already in use: by another bley, process {process.pid}\n" in said


def test_a_store_that_cannot_be_opened_does_not_prevent_the_start(tmp_path: Path) -> None:
    """It answers by on_store_error, says so once, takes the store when it can, and then knows who has passed."""
    with Bley(tmp_path, dbpath=tmp_path / "later") as bley:
        assert exchange(bley.port, BAD) == b"action=DUNNO\n\n"
        assert exchange(bley.port, BAD) == b"action=DUNNO\n\n"
        tmp_path.joinpath("later").mkdir()
        bley.wait_log("store: back")
        assert exchange(bley.port, BAD) == b"action=DUNNO\n\n"
        bley.wait_log("reason=known")
        assert exchange(bley.port, BAD._replace(sender="stranger@example.com")) == DEFERRED
    assert bley.log().count("answering by on_store_error") == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_standard_streams_that_were_closed_are_nobody_s_number(workers: int, tmp_path: Path) -> None:
    """Else what is printed would go to the database, or to a connection."""
    log = tmp_path / "own.log"
    bley = Bley(tmp_path, workers=workers, log_file=log)
    closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *BLEY, "serve", "-c", str(bley.file)]
    with subprocess.Popen(closing) as process:
        wait_until(lambda: log.exists() and "listens on" in log.read_text(), "it listens")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == (workers if workers > 1 else 0)
        for pid in (process.pid, *children):
            assert [str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in range(3)] == ["/dev/null"] * 3
        process.terminate()


def test_a_reload_without_descriptors_left_is_refused_and_bley_goes_on(tmp_path: Path) -> None:
    with Bley(tmp_path, reject_msg="old words") as bley, socket.create_connection(("127.0.0.1", bley.port)) as peer:
        exchange(bley.port, GOOD)
        before = resource.prlimit(bley.process.pid, resource.RLIMIT_NOFILE)
        bley.write_settings(reject_msg="new words")
        for limit in (3, before[0]):  # so many that none is left, and enough
            resource.prlimit(bley.process.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
            bley.reload()
            peer.sendall(encode_request(BAD))
            words = b"old words" if limit == 3 else b"new words"
            assert peer.recv(4096) == b"action=DEFER_IF_PERMIT " + words + b"\n\n"
        assert "Too many open files" in bley.log()


@pytest.mark.parametrize("key", ["whitelist_clients_file", "log_file", "web_password_file", "dbpass_file"])
def test_a_reload_with_a_name_that_cannot_be_one_is_refused_and_bley_goes_on(key: str, tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        bley.write_settings(**{key: "a\0b"})
        bley.reload()
        assert "not reloaded: the old settings stay" in bley.log()
        assert exchange(bley.port, BAD) == DEFERRED


def test_garbage_is_closed_and_others_are_served(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley, socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS) as other:
        other.sendall(encode_request(BAD)[:40])
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0" * 100, b"x" * 100_000 + b"\n"):
            with (
                socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS) as peer,
                contextlib.suppress(ConnectionResetError, BrokenPipeError),
            ):
                peer.sendall(garbage)
                assert peer.recv(4096) == b"", "closed at once, not when it has been idle for minutes"
        other.sendall(encode_request(BAD)[40:])
        assert other.recv(4096) == DEFERRED


def test_no_descriptor_is_leaked(tmp_path: Path) -> None:
    """After 300 connections of every kind as many are open as before."""
    with Bley(tmp_path) as bley:
        exchange(bley.port, BAD)
        folder = Path(f"/proc/{bley.process.pid}/fd")
        before = len(list(folder.iterdir()))
        for number in range(300):
            with socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS) as peer:
                peer.sendall((b"garbage\n", encode_request(BAD), b"recipient=b@")[number % 3])
        wait_until(lambda: len(list(folder.iterdir())) <= before, "no more descriptors are open")


def test_bley_2_s_words_run_it_in_the_background(tmp_path: Path) -> None:
    """`bley -c FILE -p PIDFILE` returns when bley listens; kill by the pid file stops it."""
    bley = Bley(tmp_path, log_file=tmp_path / "own.log")
    pid_file = tmp_path / "given.pid"
    subprocess.run([*BLEY, "-c", bley.file, "-p", pid_file], check=True, timeout=WAIT_SECONDS)
    pid = int(pid_file.read_text())
    assert os.getsid(pid) != os.getsid(0)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pid_file.exists(), "it stops")


def test_in_the_background_a_failed_start_is_told_too(tmp_path: Path) -> None:
    bley = Bley(tmp_path, listen_addr="192.0.2.1", log_file=tmp_path / "own.log")
    ran = subprocess.run([*BLEY, "-c", bley.file], check=False, timeout=WAIT_SECONDS, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 2
    assert "cannot listen at 192.0.2.1" in ran.stderr


@pytest.mark.parametrize("words", [["-f"], ["-f", "-v"], ["-d"]])
def test_bley_2_s_words_run_it_in_the_foreground(tmp_path: Path, words: list[str]) -> None:
    bley = Bley(tmp_path)
    with subprocess.Popen([*BLEY, "-c", bley.file, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert next(line for line in process.stdout if "listens on" in line)
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 0


def test_systemd_is_told(tmp_path: Path) -> None:
    """Readiness and the watchdog's food come through NOTIFY_SOCKET."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(path))
        notified.settimeout(WAIT_SECONDS)
        bley = Bley(tmp_path)
        environment = os.environ | {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "100000"}
        with subprocess.Popen([*BLEY, "serve", "-c", bley.file], env=environment, stdout=subprocess.DEVNULL) as process:
            states = {notified.recv(1000).decode() for _ in range(3)}
            process.terminate()
        status = f"listens on 127.0.0.1:{bley._settings['listen_port']}, store {tmp_path}/bley.db"
        assert states == {f"READY=1\nMAINPID={process.pid}\nSTATUS={status}", "WATCHDOG=1"}
