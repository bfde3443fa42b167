"""What systemd passes and is told."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bley.daemon.systemd import feed_watchdog, notify, passed_sockets

PASSING = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""As systemd does: the socket as descriptor 3, then bley in the same process."""


@pytest.fixture(params=["path", "abstract"])
def notified(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The socket of NOTIFY_SOCKET."""
    name = f"{tmp_path}/notify" if request.param == "path" else f"@bley-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        sock.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def test_a_state_is_told(notified: socket.socket) -> None:
    notify("READY=1")
    assert notified.recv(100) == b"READY=1"


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_where_nobody_listens_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, say, that was given the environment but not the socket."""
    for place in (f"{tmp_path}/missing", "@bley-missing"):
        monkeypatch.setenv("NOTIFY_SOCKET", place)
        notify("READY=1")


async def test_another_process_s_watchdog_is_not_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    """sd_watchdog_enabled(3)."""
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    await asyncio.wait_for(feed_watchdog(), 30)


async def test_the_watchdog_is_fed_twice_in_its_period(
    notified: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await feed_watchdog()
    assert pauses == [0.01] * 3
    assert [notified.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


async def test_without_a_watchdog_nobody_is_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await asyncio.wait_for(feed_watchdog(), 30)


def test_sockets_passed_to_another_process_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert passed_sockets() == []


def test_a_passed_socket_is_listened_at(tmp_path: Path) -> None:
    """Descriptor 3 is the first; the daemon answers there instead of at listen_addr."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        settings = tmp_path / "bley.conf"
        settings.write_text(f"[bley]\ndbpath = {tmp_path}\nlisten_addr = 192.0.2.1\nweb_listen =\n")
        command = [sys.executable, "-c", PASSING, str(listener.fileno()), "-m", "bley", "serve", "-c", str(settings)]
        with subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                told = next(line for line in process.stdout if "listens on" in line)
                assert f"listens on 127.0.0.1:{port}, store" in told
                with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
                    peer.sendall(b"recipient=postmaster@example.org\nclient_address=192.0.2.1\n\n")
                    assert peer.recv(100) == b"action=DUNNO\n\n"
            finally:
                process.terminate()
        assert process.returncode == 0
