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
from bley.web.access_control import AccessControl
from bley.web.connection_limiter import LIMITS, AcceptLoop, ConnectionLimiter, is_not_bad_http
from bley.web.dashboard_data import DashboardData
from bley.web.disconnection import cancel_on_disconnect
from bley.web.downloads import Downloads
from bley.web.monitored_daemon import MonitoredDaemon
from bley.web.pages import Pages, errors_as_pages

__all__ = ["WebServer"]

_STOP_SECONDS = 1.0
"""Twice so long a stop waits for answers."""

_log = logging.getLogger(__name__)
_log.addFilter(is_not_bad_http)


class WebServer:
    """Shows a running bley, what is counted of it, and what its store tells; read-only."""

    def __init__(self, shown: MonitoredDaemon, counted: Collector = REGISTRY, clock: Clock = utc_now) -> None:
        self._access, self._connections = AccessControl(), ConnectionLimiter()
        self._accepting: AcceptLoop | None = None
        self._source = DashboardData(shown, clock)
        application = web.Application(middlewares=[self._connections.pause_idle_timer])
        self._access.guard(application)
        application.middlewares.extend([errors_as_pages, cancel_on_disconnect])
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
