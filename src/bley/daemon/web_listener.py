"""The listener of `web_listen`, and the lazy import of the web server.

The web server needs much memory and start time. So it is imported in a thread at the first connection, which waits in
the socket's backlog meanwhile.
"""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from bley.core.endpoint import format_endpoint
from bley.core.errors import Fault, SettingsError, StartError
from bley.daemon.transaction import Prepared
from bley.metrics import REGISTRY
from bley.ports import Clock, utc_now
from bley.server.occupants import describe_occupant
from bley.settings.file import Configuration
from bley.web.tls import Certificate, configured_certificate

if TYPE_CHECKING:
    from bley.web.monitored_daemon import MonitoredDaemon
    from bley.web.server import WebServer

__all__ = ["WebListener", "check_web_address"]

_BACKLOG = 100

_log = logging.getLogger(__name__)


class WebListener:
    """The web interface of the bley `shown`, between `open` and `close`; `counted` is the source of its metrics."""

    def __init__(
        self,
        shown: "MonitoredDaemon",
        configuration: Configuration,
        counted: Collector = REGISTRY,
        clock: Clock = utc_now,
    ) -> None:
        self._shown, self._configuration, self._counted, self._clock = shown, configuration, counted, clock
        self._certificate: Certificate | None = None
        self._socket: socket.socket | None = None
        self._starting: asyncio.Task[None] | None = None
        self._web: WebServer | None = None
        self.place = ""
        """The URL without a path; empty if `web_listen` is off."""

    def open(self) -> None:
        """Listen, and log the URLs. Raises SettingsError if the address or the certificate cannot be used."""
        settings = self._configuration.settings
        if settings.web_place is None:
            return
        self._certificate = configured_certificate(self._configuration)
        self._socket = _listening(*settings.web_place)
        asyncio.get_running_loop().add_reader(self._socket, self._start, self._socket)
        self.place = f"{settings.web_scheme}://{format_endpoint(*self._socket.getsockname()[:2])}"
        _log.info("dashboard at %s/", self.place)
        _log.info("metrics at %s/metrics", self.place)

    def _start(self, sock: socket.socket) -> None:
        """Start the web server at the first connection."""
        asyncio.get_running_loop().remove_reader(sock)
        self._starting = asyncio.create_task(self._answer(sock))

    async def _answer(self, sock: socket.socket) -> None:
        try:
            module = await asyncio.to_thread(import_module, "bley.web.server")
            self._web = module.WebServer(self._shown, self._counted, clock=self._clock)
            context = self._certificate.context if self._certificate else None
            await self._web.accept(sock, self._configuration, context)
        except Exception:  # noqa: BLE001 (mail does not depend on it; logged)
            _log.exception("web_listen: internal error, the web interface is off; please report it")
            sock.close()

    def prepare(self, configuration: Configuration) -> Prepared:
        """Read the certificate's files again and prepare the switch. Raises SettingsError if they cannot be used."""
        certificate = self._certificate
        try:
            context = certificate.load() if certificate else None
        except SettingsError as error:
            old = "the old one stays in force"
            raise SettingsError([replace(fault, text=f"{fault.text}: {old}") for fault in error.faults]) from error

        def commit() -> None:
            self._configuration = configuration
            if self._web:
                self._web.reconfigure(configuration)
            if certificate and context:
                certificate.use(context)

        return Prepared(commit)

    async def close(self) -> None:
        """Finish the requests in flight, and close the socket."""
        if self._starting:
            await self._starting
        elif self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)
        if self._web:
            await self._web.close()
        if self._socket:
            self._socket.close()


def check_web_address(place: tuple[str, int], is_own: Callable[[object], bool]) -> None:
    """Raise the SettingsError of `WebListener.open` about the address, and listen for a moment at most.

    An address in use is no fault if `is_own` returns True for it.
    """
    try:
        _listening(*place).close()
    except SettingsError as error:
        cause = error.__cause__
        if not (isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE and is_own(place)):
            raise


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        occupant = describe_occupant((host, port)) if error.errno == errno.EADDRINUSE else ""
        what = f"cannot listen at {host} port {port}: {os.strerror(error.errno or 0)}{occupant}"
        raise StartError([Fault("web_listen", 0, what)]) from error
    sock.setblocking(False)
    return sock
