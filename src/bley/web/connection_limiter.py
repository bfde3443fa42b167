"""How many may be connected to `web_listen`, and how long they may say nothing: slow peers must not keep others out.

At the limit the connection that has been idle for longest is closed for a new one. Idle is a connection in its TLS
handshake, before its first request is there as a whole, and between an answer and the next request.
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

_MOST = 100
_FIRST_REQUEST_SECONDS = 10.0
"""Until the first request is there as a whole."""
_HANDSHAKE_SECONDS = 10.0
"""Of these for TLS."""
_NEXT_REQUEST_SECONDS = 60.0
"""From an answer to the next request as a whole: the time to read the answer, too."""
_ACCEPT_AGAIN_SECONDS = 1.0
"""After an error, when this process has no descriptor left, say."""
LIMITS: dict[str, Any] = {"max_line_size": 4096, "max_field_size": 8190, "keepalive_timeout": 45.0}
"""aiohttp's: bytes of the request line, and of all others; seconds after which it closes, before we break off."""

_log = logging.getLogger(__name__)


class ConnectionLimiter:
    """Bounds the connections of a web server."""

    def __init__(
        self,
        most: int = _MOST,
        first_seconds: float = _FIRST_REQUEST_SECONDS,
        next_seconds: float = _NEXT_REQUEST_SECONDS,
    ) -> None:
        self._most, self._first_seconds, self._next_seconds = most, first_seconds, next_seconds
        self._ends: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        """When each idle connection is cut off, in the order in which they became idle."""
        self._greeting: dict[web.RequestHandler, asyncio.Task[None]] = {}
        """Connections that are being set up."""

    async def accept(self, runner: web.AppRunner, sock: socket.socket, context: ssl.SSLContext | None) -> "AcceptLoop":
        """Accept connections at a socket for it once it is set up, with TLS if there is a context."""
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
                    await asyncio.sleep(_ACCEPT_AGAIN_SECONDS)
                else:
                    self._take(server, connection, context)
        finally:
            for greeting in self._greeting.values():
                greeting.cancel()

    def _take(self, server: web.Server, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        greeting = sum(protocol.transport is None for protocol in self._greeting)
        if len(server.connections) + greeting >= self._most and not self._end_longest_idle():
            connection.close()
            return
        protocol = server()
        self._end_after(self._first_seconds, protocol)
        self._greeting[protocol] = asyncio.create_task(self._greet(connection, protocol, context))

    async def _greet(
        self, connection: socket.socket, protocol: web.RequestHandler, context: ssl.SSLContext | None
    ) -> None:
        timeout = _HANDSHAKE_SECONDS if context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, connection, ssl=context, ssl_handshake_timeout=timeout
            )
        except (OSError, asyncio.CancelledError):  # it has gone, speaks no TLS, or was closed for another
            connection.close()
        finally:
            del self._greeting[protocol]

    @web.middleware
    async def pause_idle_timer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a peer that has sent a request wait for its answer."""
        protocol = request.protocol
        if end := self._ends.pop(protocol, None):
            end.cancel()
        try:
            return await handler(request)
        finally:
            self._end_after(self._next_seconds, protocol)

    def _end_after(self, seconds: float, protocol: web.RequestHandler) -> None:
        self._ends[protocol] = asyncio.get_running_loop().call_later(seconds, self._end, protocol)

    def _end_longest_idle(self) -> bool:
        """Whether there was one that is open."""
        return any(self._end(protocol) for protocol in list(self._ends))

    def _end(self, protocol: web.RequestHandler) -> bool:
        """Cut it off; whether it was open."""
        self._ends.pop(protocol).cancel()
        greeting = self._greeting.get(protocol)
        if greeting:
            greeting.cancel()
        if protocol.transport:
            protocol.transport.abort()
        return bool(greeting or protocol.transport)


class AcceptLoop:
    """A socket at which connections are accepted, until `close`."""

    def __init__(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        self.sockets, self._task = [sock], task

    def close(self) -> None:
        """Accept no more, and close the socket soon."""
        self._task.cancel()


def is_not_bad_http(record: logging.LogRecord) -> bool:
    """A filter for aiohttp's log: bytes that are no HTTP are the peer's fault, and strangers must not fill our log."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
