"""The web server at `web_listen`, put together from its access control, limits and routes."""

import logging
import socket
import ssl

from aiohttp import web
from prometheus_client.registry import Collector

from bley.metrics import REGISTRY
from bley.ports import Clock, utc_now
from bley.settings.file import Configuration
from bley.web import health, listeners, lists, metrics
from bley.web.access_control import AccessControl
from bley.web.actions import MAX_BYTES, Actions
from bley.web.compression import compress
from bley.web.connection_limiter import LIMITS, AcceptLoop, ConnectionLimiter, is_not_bad_http
from bley.web.dashboard_data import DashboardData
from bley.web.disconnection import cancel_on_disconnect
from bley.web.downloads import Downloads
from bley.web.error_pages import errors_as_pages, refusals_as_pages
from bley.web.monitored_daemon import MonitoredDaemon
from bley.web.pages import Pages

__all__ = ["WebServer"]

_STOP_SECONDS = 1.0
"""A stop waits at most twice as long for responses in progress."""

_log = logging.getLogger(__name__)
_log.addFilter(is_not_bad_http)


class WebServer:
    """Serves the state, counters and history of a running daemon, and the actions of its operators."""

    def __init__(self, daemon: MonitoredDaemon, counters: Collector = REGISTRY, clock: Clock = utc_now) -> None:
        self._access, self._connections = AccessControl(), ConnectionLimiter()
        self._accept_loop: AcceptLoop | None = None
        self._data = DashboardData(daemon, clock)
        outer = [self._connections.pause_idle_timer, compress, refusals_as_pages]
        application = web.Application(middlewares=outer, client_max_size=MAX_BYTES)
        self._access.protect(application)
        application.middlewares.extend([errors_as_pages, cancel_on_disconnect])
        application.add_routes([*health.routes(daemon), *listeners.routes(daemon), *lists.routes(daemon)])
        application.add_routes(metrics.routes(daemon, counters))
        self._actions = Actions(self._data)
        self._pages = Pages(self._data, self._actions)
        application.add_routes([*self._pages.routes(), *Downloads(self._data).routes()])
        application.add_routes(self._actions.routes())
        self._runner = web.AppRunner(
            application, access_log=None, logger=_log, shutdown_timeout=_STOP_SECONDS, **LIMITS
        )

    async def accept(self, sock: socket.socket, configuration: Configuration, context: ssl.SSLContext | None) -> None:
        """Serve at this socket, by TLS if there is a context."""
        self.reconfigure(configuration)
        await self._runner.setup()
        self._accept_loop = await self._connections.accept(self._runner, sock, context)

    def reconfigure(self, configuration: Configuration) -> None:
        """Apply these settings to all later requests."""
        self._access.reconfigure(configuration)
        self._data.reconfigure(configuration)
        self._pages.reconfigure()

    async def close(self) -> None:
        """Stop accepting, cancel queries to the store, finish responses in progress, and close the socket."""
        if self._accept_loop:
            self._accept_loop.close()
        await self._actions.close()
        await self._data.close()
        await self._runner.cleanup()
