"""The daemon that the web server shows: a process, or a supervisor with its workers."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from aiohttp import web

from bley.status import StateReport

__all__ = ["MonitoredDaemon", "state_or_503"]


class MonitoredDaemon(Protocol):
    """A running daemon, of one process or several."""

    @property
    def settings_file(self) -> str:
        """The absolute name of `bley.conf`; empty if there is none."""

    @property
    def places(self) -> Sequence[str]:
        """The names of the sockets that accept policy requests, as `bley ask --at` takes them."""

    async def is_alive(self) -> bool:
        """Return whether at least one worker answers."""

    async def report_state(self) -> StateReport | None:
        """Return the present state, or None if no worker answers."""

    def read_local_lists(self) -> None:
        """Reload now if a list file of `bley allow` has changed, instead of within 20 seconds."""

    def process_ids(self) -> Mapping[str, int]:
        """Return the process ids: of `main`, and of the workers by their numbers."""


async def state_or_503(daemon: MonitoredDaemon) -> StateReport:
    """Return the present state. Raises HTTPServiceUnavailable if no worker answers."""
    report = await daemon.report_state()
    if report is None:
        raise web.HTTPServiceUnavailable(text="no worker answers\n")
    return report
