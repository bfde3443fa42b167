"""What the web shows: a bley of one process, or of several."""

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from bley.status import StateReport

__all__ = ["MonitoredDaemon", "state_or_503"]


class MonitoredDaemon(Protocol):
    """A running bley."""

    async def is_alive(self) -> bool:
        """Whether anybody answers requests."""

    async def report_state(self) -> StateReport | None:
        """How it does at this moment; None: nobody can tell."""

    def process_ids(self) -> Mapping[str, int]:
        """Its processes: `main`, and the workers by their numbers."""


async def state_or_503(shown: MonitoredDaemon) -> StateReport:
    """How it does. Raises HTTPServiceUnavailable where nobody can tell."""
    report = await shown.report_state()
    if report is None:
        raise web.HTTPServiceUnavailable(text="no worker answers\n")
    return report
