"""Answers whom it may at `web_listen`; what it shows is in the modules beside, each with its routes."""

import logging
import socket
import ssl

from aiohttp import web
from prometheus_client.registry import Collector

from bley.metrics import REGISTRY
from bley.ports import Clock, utc_now
from bley.settings.file import Configuration
from bley.web import health, lists, metrics
from bley.web.access import Access
from bley.web.connections import LIMITS, Accepting, Connections, is_own_fault
from bley.web.dashboard_data import DashboardData
from bley.web.downloads import Downloads
from bley.web.pages import Pages, errors_as_pages
from bley.web.readers import end_with_reader
from bley.web.running_bley import RunningBley

__all__ = ["Web"]

_STOP_SECONDS = 1.0
"""Twice so long a stop waits for answers."""

_log = logging.getLogger(__name__)
_log.addFilter(is_own_fault)


class Web:
    """Shows a running bley, what is counted of it, and what its store tells; read-only."""

    def __init__(self, shown: RunningBley, counted: Collector = REGISTRY, clock: Clock = utc_now) -> None:
        self._access, self._connections = Access(), Connections()
        self._accepting: Accepting | None = None
        self._source = DashboardData(shown, clock)
        application = web.Application(middlewares=[self._connections.keep_while_answered])
        self._access.guard(application)
        application.middlewares.extend([errors_as_pages, end_with_reader])
        application.add_routes([*health.routes(shown), *lists.routes(shown), *metrics.routes(shown, counted)])
        application.add_routes([*Pages(self._source).routes(), *Downloads(self._source).routes()])
        self._runner = web.AppRunner(
            application, access_log=None, logger=_log, shutdown_timeout=_STOP_SECONDS, **LIMITS
        )

    async def accept(self, sock: socket.socket, configuration: Configuration, context: ssl.SSLContext | None) -> None:
        """Answer at this socket those whom the configuration lets in, by TLS if there is a context."""
        self.reconfigure(configuration)
        await self._runner.setup()
        self._accepting = await self._connections.accept(self._runner, sock, context)

    def reconfigure(self, configuration: Configuration) -> None:
        """Let in whom this configuration lets in, and show what it is about."""
        self._access.take(configuration)
        self._source.take(configuration)

    async def close(self) -> None:
        """End what is being looked for, answer the rest of what is in flight, and let go of the port."""
        if self._accepting:
            self._accepting.close()
        await self._source.close()
        await self._runner.cleanup()
