"""The server: its listening sockets, its connections, their limit, and the graceful stop."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Iterable
from typing import Any

from bley.metrics import ACCEPTED, CLOSED
from bley.server.connection import Connection, Service
from bley.server.sockets import BACKLOG, OpenSockets, socket_name
from bley.server.unix_socket import UnixAccess

__all__ = ["Server"]

MAX_CONNECTIONS = 1000
"""Postfix opens one per smtpd process, and runs 100 of them by default (default_process_limit)."""

MAX_DESCRIPTORS = MAX_CONNECTIONS + BACKLOG + 300
"""Enough for all connections, for a full backlog that the kernel accepts at once, and for 300 others: up to 200 DNS
queries in flight, the store, the log and the web."""

_REARM_BELOW = 0.9
"""The warning about the limit is logged again only after the connections fell below this fraction of it."""

_SWEEP_SECONDS = 0.5

_LEAVE_FILE: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""Since Python 3.13 a closed server removes its unix socket's file; systemd's, and that of other workers, must stay."""

_log = logging.getLogger(__name__)


class Server:
    """The listeners and their connections; `closes_after_answer` is the setting `exim_workaround`."""

    def __init__(self, service: Service, *, closes_after_answer: bool) -> None:
        self.service, self.closes_after_answer = service, closes_after_answer
        self._connections: dict[Connection, None] = {}
        """An ordered set, oldest first."""
        self._descriptors = MAX_DESCRIPTORS
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._is_full = self._is_stopping = False
        self._listeners: list[tuple[asyncio.Server, socket.socket]] = []
        self._opened: OpenSockets | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def open_connections(self) -> int:
        """The number of connected peers."""
        return len(self._connections)

    @property
    def most_connections(self) -> int:
        """The connection limit; lower than MAX_CONNECTIONS if the process may open too few descriptors."""
        lacking = max(MAX_DESCRIPTORS - BACKLOG - self._descriptors, 0)
        return max(MAX_CONNECTIONS - lacking, min(MAX_CONNECTIONS, self._descriptors // 2))

    def limit_descriptors(self, number: int) -> None:
        """Lower the connection limit to fit the number of descriptors that the process may open."""
        self._descriptors = number
        if self.most_connections < MAX_CONNECTIONS:
            text = "only %d file descriptors are allowed, so at most %d connections: raise LimitNOFILE or ulimit -Hn"
            _log.warning(text, number, self.most_connections)

    async def listen(self, addresses: Iterable[str], port: int, access: UnixAccess) -> list[str]:
        """Listen at each address and return the names of the sockets; `unix:PATH` is a unix socket with this access.

        Raises SettingsError if an address cannot be used.
        """
        self._opened = OpenSockets(addresses, port, access)
        self._opened.listen()
        return await self.listen_at((*self._opened.tcp, *self._opened.unix))

    async def listen_at(self, sockets: Iterable[socket.socket]) -> list[str]:
        """Listen at bound sockets, which another process may have opened, such as systemd. Return their names."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            sock.setblocking(False)
            if sock.family == socket.AF_UNIX:
                listener = await loop.create_unix_server(self._connect, sock=sock, backlog=BACKLOG, **_LEAVE_FILE)
            else:
                listener = await loop.create_server(self._connect, sock=sock, backlog=BACKLOG)
            self._listeners.append((listener, sock))
        return self._started()

    async def stop(self, timeout_seconds: float) -> None:
        """Stop accepting, answer requests in flight until the timeout, then close all connections."""
        if self._opened:
            self._opened.remove_files()
        while self._listeners:
            await self._stop_listening(*self._listeners.pop())
        self._is_stopping = True
        await asyncio.sleep(0)  # connections that the loop has accepted before are added here
        for connection in list(self._connections):
            connection.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._is_empty.wait()
        if self._sweeper:
            self._sweeper.cancel()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    async def _stop_listening(self, listener: asyncio.Server, sock: socket.socket) -> None:
        """Close a listener, and accept the connections that the kernel has queued, which it would reset otherwise.

        Of a socket that systemd holds, later ones wait for the next bley.
        """
        with contextlib.closing(sock.dup()) as last:
            listener.close()
            for _ in range(BACKLOG):
                try:
                    accepted, _ = last.accept()
                except OSError:
                    return  # none is queued, or too many descriptors are open
                accepted.setblocking(False)
                await asyncio.get_running_loop().connect_accepted_socket(self._connect, accepted)

    def add(self, connection: Connection) -> None:
        """Add a new connection; at the limit, close the one that has been idle longest."""
        ACCEPTED.inc()
        self._is_empty.clear()
        if self._is_stopping:
            connection.end()
        if len(self._connections) >= self.most_connections:
            self._close_one(connection)
        self._connections[connection] = None

    def _close_one(self, new: Connection) -> None:
        """Close the connection that has been idle longest; the new one if all others wait for an answer.

        The search over 1,000 connections takes 0.1 ms, twice as long as accepting one. Postfix opens a new connection
        and sends its request at once, so the idle ones are those that it no longer needs.
        """
        if not self._is_full:
            _log.warning("limit of %d connections reached: each new one closes the longest idle", self.most_connections)
        self._is_full = True
        CLOSED.labels("too-many").inc()
        idle = {other: since for other in self._connections if (since := other.idle_since) is not None}
        closed = min(idle, key=idle.__getitem__, default=new)
        closed.abort()
        self._connections.pop(closed, None)

    def remove(self, connection: Connection) -> None:
        """Remove a connection that was lost or closed."""
        self._connections.pop(connection, None)
        if len(self._connections) < _REARM_BELOW * self.most_connections:
            self._is_full = False
        if not self._connections:
            self._is_empty.set()

    def _connect(self) -> Connection:
        return Connection(self)

    def _started(self) -> list[str]:
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        return [socket_name(sock.getsockname()) for listener, _ in self._listeners for sock in listener.sockets]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """Close the connections that exceeded a time limit."""
        for connection in list(self._connections):
            connection.sweep()
