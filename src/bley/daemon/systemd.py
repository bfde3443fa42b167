"""What systemd passes and wants to know: sockets, readiness, watchdog. Nothing to do where it is not there.

Source: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
"""

import asyncio
import contextlib
import os
import socket
from datetime import timedelta

__all__ = ["VARIABLES", "feed_watchdog", "notify", "passed_sockets", "watchdog_period"]

VARIABLES = frozenset({"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
"""Of the environment: not for child processes."""

_FIRST_PASSED_DESCRIPTOR = 3  # SD_LISTEN_FDS_START


def passed_sockets() -> list[socket.socket]:
    """The listening sockets that systemd has opened for this process."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=_FIRST_PASSED_DESCRIPTOR + number) for number in range(count)]


def notify(state: str) -> None:
    """Tell a state, `READY=1` say."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        # Whoever wanted to be told may have gone.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.sendall(state.encode())


def watchdog_period() -> timedelta:
    """Within which this process must tell that it is alive; 0 where nobody watches."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return timedelta(0)
    return timedelta(microseconds=int(os.environ.get("WATCHDOG_USEC", "0")))


async def feed_watchdog() -> None:
    """Tell that the loop turns, twice in each of the watchdog's periods."""
    while period := watchdog_period():
        notify("WATCHDOG=1")
        await asyncio.sleep(period.total_seconds() / 2)
