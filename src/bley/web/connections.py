"""How many may be connected to `web_listen`, and how long they may say nothing: slow peers must not keep others out."""

import asyncio
import logging
import socket
import ssl
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

__all__ = ["LIMITS", "Connections", "is_own_fault"]

_MOST = 100
_FIRST_REQUEST_SECONDS = 10.0
"""Until the first request is there as a whole."""
_HANDSHAKE_SECONDS = 10.0
"""Of these for TLS."""
_NEXT_REQUEST_SECONDS = 60.0
"""From an answer to the next request as a whole: the time to read the answer, too."""
LIMITS: dict[str, Any] = {"max_line_size": 4096, "max_field_size": 8190, "keepalive_timeout": 45.0}
"""aiohttp's: bytes of the request line, and of all others; seconds after which it closes, before we break off."""


class Connections:
    """Bounds the connections of a web server."""

    def __init__(
        self,
        most: int = _MOST,
        first_seconds: float = _FIRST_REQUEST_SECONDS,
        next_seconds: float = _NEXT_REQUEST_SECONDS,
    ) -> None:
        self._most, self._first_seconds, self._next_seconds = most, first_seconds, next_seconds
        self._ends: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._silent: set[web.RequestHandler] = set()

    async def accept(
        self, runner: web.AppRunner, sock: socket.socket, context: ssl.SSLContext | None
    ) -> asyncio.Server:
        """Accept connections at a socket for it once it is set up, with TLS if there is a context."""
        server = runner.server
        assert server

        def accept() -> asyncio.Protocol:
            greeting = sum(protocol.transport is None for protocol in self._silent)
            if len(server.connections) + greeting >= self._most:
                return _Refusal()
            protocol = server()
            self._silent.add(protocol)
            self._end_after(self._first_seconds, protocol)
            return protocol

        return await asyncio.get_running_loop().create_server(
            accept, sock=sock, ssl=context, ssl_handshake_timeout=_HANDSHAKE_SECONDS if context else None
        )

    @web.middleware
    async def keep_while_answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who has asked may wait for the answer."""
        protocol = request.protocol
        self._silent.discard(protocol)
        if end := self._ends.pop(protocol, None):
            end.cancel()
        try:
            return await handler(request)
        finally:
            self._end_after(self._next_seconds, protocol)

    def _end_after(self, seconds: float, protocol: web.RequestHandler) -> None:
        self._ends[protocol] = asyncio.get_running_loop().call_later(seconds, self._end, protocol)

    def _end(self, protocol: web.RequestHandler) -> None:
        del self._ends[protocol]
        self._silent.discard(protocol)
        if protocol.transport:
            protocol.transport.abort()


class _Refusal(asyncio.Protocol):
    """One too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def is_own_fault(record: logging.LogRecord) -> bool:
    """A filter for aiohttp's log: bytes that are no HTTP are the peer's fault, and strangers must not fill our log."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
