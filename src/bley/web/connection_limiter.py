"""Limits for the connections of `web_listen`: their number, and how long each may stay idle.

At the limit, the longest idle connection is closed for a new one, so that slow peers do not lock others out. Idle means
in the TLS handshake, before the first request is complete, or between a response and the next request.

Connections are accepted here, one by one. aiohttp's own listeners limit neither their number nor the time for the first
request, and asyncio's server reveals a connection only after its TLS handshake.
"""

import asyncio
import logging
import socket
import ssl
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

__all__ = ["LIMITS", "AcceptLoop", "ConnectionLimiter", "is_not_bad_http"]

_MAX_CONNECTIONS = 100
_FIRST_REQUEST_SECONDS = 10.0
"""From the connection to the end of its first request, TLS handshake included."""
_HANDSHAKE_SECONDS = 10.0
_NEXT_REQUEST_SECONDS = 60.0
"""From a response to the end of the next request. It includes the time to read the response."""
_RETRY_ACCEPT_SECONDS = 1.0
"""Pause after an error of accept(2), for example when this process has no descriptor left."""
LIMITS: dict[str, Any] = {"max_line_size": 4096, "max_field_size": 8190, "keepalive_timeout": 45.0}
"""aiohttp's limits: bytes of the request line, bytes of all headers, and idle seconds before it closes a connection.
The last is shorter than _NEXT_REQUEST_SECONDS, so that most connections are closed cleanly."""

_log = logging.getLogger(__name__)


class ConnectionLimiter:
    """Accepts the connections of a web server and closes idle ones."""

    def __init__(
        self,
        max_connections: int = _MAX_CONNECTIONS,
        first_seconds: float = _FIRST_REQUEST_SECONDS,
        next_seconds: float = _NEXT_REQUEST_SECONDS,
    ) -> None:
        self._max, self._first_seconds, self._next_seconds = max_connections, first_seconds, next_seconds
        self._idle: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        """The timer that aborts each idle connection, the longest idle one first."""
        self._handshakes: dict[web.RequestHandler, asyncio.Task[None]] = {}
        """Connections whose transport is being set up."""

    async def accept(self, runner: web.AppRunner, sock: socket.socket, context: ssl.SSLContext | None) -> "AcceptLoop":
        """Accept the socket's connections for a runner that is set up; with a context, by TLS."""
        assert runner.server
        sock.setblocking(False)
        task = asyncio.create_task(self._accept_all(runner.server, sock, context))
        task.add_done_callback(lambda _: sock.close())
        return AcceptLoop(sock, task)

    async def _accept_all(self, server: web.Server, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            while True:
                try:
                    connection, _ = await asyncio.get_running_loop().sock_accept(sock)
                except OSError as error:
                    _log.warning("web_listen: a connection could not be accepted: %s", error.strerror)
                    await asyncio.sleep(_RETRY_ACCEPT_SECONDS)
                else:
                    self._open(server, connection, context)
        finally:
            for handshake in self._handshakes.values():
                handshake.cancel()

    def _open(self, server: web.Server, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        handshakes = sum(protocol.transport is None for protocol in self._handshakes)
        if len(server.connections) + handshakes >= self._max and not self._abort_longest_idle():
            connection.close()
            return
        protocol = server()
        self._start_idle_timer(self._first_seconds, protocol)
        self._handshakes[protocol] = asyncio.create_task(self._shake_hands(connection, protocol, context))

    async def _shake_hands(
        self, connection: socket.socket, protocol: web.RequestHandler, context: ssl.SSLContext | None
    ) -> None:
        timeout = _HANDSHAKE_SECONDS if context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, connection, ssl=context, ssl_handshake_timeout=timeout
            )
        except (OSError, asyncio.CancelledError):  # disconnected, no TLS, or closed in favor of another connection
            connection.close()
        finally:
            del self._handshakes[protocol]

    @web.middleware
    async def pause_idle_timer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Stop the idle timer while a request is handled."""
        protocol = request.protocol
        if timer := self._idle.pop(protocol, None):
            timer.cancel()
        try:
            return await handler(request)
        finally:
            self._start_idle_timer(self._next_seconds, protocol)

    def _start_idle_timer(self, seconds: float, protocol: web.RequestHandler) -> None:
        self._idle[protocol] = asyncio.get_running_loop().call_later(seconds, self._abort, protocol)

    def _abort_longest_idle(self) -> bool:
        """Return whether there was an open one."""
        return any(self._abort(protocol) for protocol in list(self._idle))

    def _abort(self, protocol: web.RequestHandler) -> bool:
        """Abort an idle connection. Return whether it was open."""
        self._idle.pop(protocol).cancel()
        handshake = self._handshakes.get(protocol)
        if handshake:
            handshake.cancel()
        if protocol.transport:
            protocol.transport.abort()
        return bool(handshake or protocol.transport)


class AcceptLoop:
    """The task that accepts connections at a socket, until `close`."""

    def __init__(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        self.sockets, self._task = [sock], task

    def close(self) -> None:
        """Stop accepting; the socket is closed soon after."""
        self._task.cancel()


def is_not_bad_http(record: logging.LogRecord) -> bool:
    """Filter aiohttp's log: malformed HTTP is the peer's fault, and strangers must not be able to fill our log."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
