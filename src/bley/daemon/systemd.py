"""The interface to systemd: passed sockets, readiness and the watchdog. Without systemd all of it does nothing.

Source: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
"""

import asyncio
import contextlib
import os
import socket
from datetime import timedelta

__all__ = ["VARIABLES", "feed_watchdog", "notify", "notify_ready", "notify_status", "passed_sockets", "watchdog_period"]

VARIABLES = frozenset({"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
"""The environment variables that child processes must not inherit."""

_FIRST_PASSED_DESCRIPTOR = 3  # SD_LISTEN_FDS_START


def passed_sockets() -> list[socket.socket]:
    """Return the listening sockets that systemd opened for this process."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=_FIRST_PASSED_DESCRIPTOR + number) for number in range(count)]


def notify(state: str) -> None:
    """Send a state such as `READY=1` to systemd; errors are ignored, since the receiver may be gone."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.sendall(state.encode())


def notify_ready(status: str) -> None:
    """Notify systemd that bley answers; `status` is a line for `systemctl status`."""
    notify(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")


def notify_status(status: str) -> None:
    """Replace the line for `systemctl status`."""
    notify(f"STATUS={status}")


def watchdog_period() -> timedelta:
    """Return the watchdog's timeout; 0 without a watchdog."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return timedelta(0)
    return timedelta(microseconds=int(os.environ.get("WATCHDOG_USEC", "0")))


async def feed_watchdog() -> None:
    """Notify the watchdog twice in each of its timeouts, which shows that the event loop runs."""
    while period := watchdog_period():
        notify("WATCHDOG=1")
        await asyncio.sleep(period.total_seconds() / 2)
