"""Listens at `web_listen` and answers whom it may; what it shows is in the modules beside, each with its routes."""

import asyncio
import logging

from aiohttp import web
from prometheus_client.registry import Collector

from bley.config_file import Configuration
from bley.core.errors import Fault, SettingsError
from bley.metrics import REGISTRY
from bley.ports import Clock, utc_now
from bley.web import health, lists, metrics
from bley.web.access import Access
from bley.web.connections import LIMITS, Connections, is_own_fault
from bley.web.downloads import Downloads
from bley.web.pages import Pages, errors_as_pages
from bley.web.shown import Shown
from bley.web.source import Source
from bley.web.tls import Certificate

__all__ = ["Web"]

_log = logging.getLogger(__name__)
_log.addFilter(is_own_fault)


class Web:
    """Shows a running bley, what is counted of it, and what its store tells; read-only."""

    def __init__(self, shown: Shown, counted: Collector = REGISTRY, clock: Clock = utc_now) -> None:
        self._access, self._connections = Access(), Connections()
        self._certificate: Certificate | None = None
        self._server: asyncio.Server | None = None
        self._source = Source(shown, clock)
        application = web.Application(middlewares=[self._connections.keep_while_answered])
        self._access.guard(application)
        application.middlewares.append(errors_as_pages)
        application.add_routes([*health.routes(shown), *lists.routes(shown), *metrics.routes(shown, counted)])
        application.add_routes([*Pages(self._source).routes(), *Downloads(self._source).routes()])
        self._runner = web.AppRunner(application, access_log=None, logger=_log, **LIMITS)

    async def listen(self, host: str, port: int, configuration: Configuration | None = None) -> str:
        """Listen, for those whom the configuration lets in (this machine only), and say where.

        Raises SettingsError when that cannot be.
        """
        if configuration:
            self._access.take(configuration)
            self._source.take(configuration)
            self._certificate = _certificate(configuration)
        await self._runner.setup()
        context = self._certificate.context if self._certificate else None
        try:
            self._server = await self._connections.listen(self._runner, host, port, context)
        except OSError as error:
            raise SettingsError([Fault("web_listen", 0, f"cannot listen at {host} port {port}: {error}")]) from error
        host, port, *_ = self._server.sockets[0].getsockname()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def reconfigure(self, configuration: Configuration) -> None:
        """Let in whom this configuration lets in, and show the certificate that its files have now."""
        self._access.take(configuration)
        self._source.take(configuration)
        if self._certificate:
            try:
                self._certificate.read()
            except SettingsError as error:
                _log.error("%s: the old one stays", error)

    async def close(self) -> None:
        """Finish what is in flight and let go of the port."""
        if self._server:
            self._server.close()
        await self._runner.cleanup()
        await self._source.close()


def _certificate(configuration: Configuration) -> Certificate | None:
    settings = configuration.settings
    if not settings.web_tls_cert:
        return None
    key = configuration.beside(settings.web_tls_key) if settings.web_tls_key else None
    return Certificate(configuration.beside(settings.web_tls_cert), key)
