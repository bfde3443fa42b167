"""Listeners: where peers connect, how many, and how all of it stops."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterable
from pathlib import Path

from bley.core.errors import SettingsError
from bley.metrics import ACCEPTED, CLOSED
from bley.server.connection import Connection, Service
from bley.server.sockets import BACKLOG, in_words, naming, unix_socket

__all__ = ["Server"]

MAX_CONNECTIONS = 1000
"""Postfix has one a smtpd process, 100 by default (default_process_limit)."""

MAX_DESCRIPTORS = MAX_CONNECTIONS + BACKLOG + 300
"""Of connections, of those that are accepted together before the first of them is seen, of 200 patient questions to the
DNS, and of store, log and web."""

_FULL_AGAIN = 0.9
"""The limit is warned of again when less than this part of it was in use meanwhile."""

_SWEEP_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Server:
    """All listeners and connections; `closes_after_answer` is the setting `exim_workaround`."""

    def __init__(self, service: Service, *, closes_after_answer: bool) -> None:
        self.service, self.closes_after_answer = service, closes_after_answer
        self._connections: dict[Connection, None] = {}
        """In the order in which they came."""
        self._descriptors = MAX_DESCRIPTORS
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._is_full = self._is_stopping = False
        self._listeners: list[asyncio.Server] = []
        self._unix_paths: list[Path] = []
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def open_connections(self) -> int:
        """How many peers there are."""
        return len(self._connections)

    @property
    def most_connections(self) -> int:
        """How many there are at most: fewer than usual where the process may have few descriptors."""
        lacking = max(MAX_DESCRIPTORS - BACKLOG - self._descriptors, 0)
        return max(MAX_CONNECTIONS - lacking, min(MAX_CONNECTIONS, self._descriptors // 2))

    def limit_descriptors(self, number: int) -> None:
        """Use no more of them than there are."""
        self._descriptors = number
        if self.most_connections < MAX_CONNECTIONS:
            text = "the process may have %d descriptors only: at most %d connections; see LimitNOFILE, or ulimit -Hn"
            _log.warning(text, number, self.most_connections)

    async def listen(self, addresses: Iterable[str], port: int, unix_mode: int) -> list[str]:
        """Listen at each address (`unix:PATH` is a socket of that mode); where, in words.

        Raises SettingsError when an address cannot be used; none is listened at then.
        """
        for address in addresses:
            try:
                with naming(address):
                    self._listeners.append(await self._listen(address, port, unix_mode))
            except SettingsError:
                await self.stop(timeout_seconds=0)
                raise
        return self._started()

    async def _listen(self, address: str, port: int, unix_mode: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if not address.startswith("unix:"):
            return await loop.create_server(self._connect, address.strip("[]"), port, backlog=BACKLOG)
        path = Path(address.removeprefix("unix:"))
        sock = unix_socket(path, unix_mode)
        self._unix_paths.append(path)
        return await loop.create_unix_server(self._connect, sock=sock, backlog=BACKLOG)

    async def listen_at(self, sockets: Iterable[socket.socket]) -> list[str]:
        """Listen at sockets that somebody else has opened, systemd say; where, in words."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            sock.setblocking(False)
            create = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
            self._listeners.append(await create(self._connect, sock=sock, backlog=BACKLOG))
        return self._started()

    async def stop(self, timeout_seconds: float) -> None:
        """Stop accepting, answer what is in flight, for at most this time, and close all connections."""
        self._is_stopping = True
        for listener in self._listeners:
            listener.close()
        await asyncio.sleep(0)  # whom the kernel has accepted already is added, and closed
        for path in self._unix_paths:
            path.unlink(missing_ok=True)
        if self._sweeper:
            self._sweeper.cancel()
        for connection in list(self._connections):
            connection.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._nobody.wait()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    def add(self, connection: Connection) -> None:
        """A peer has come; if there are too many, the one that has been idle for the longest time goes."""
        ACCEPTED.inc()
        self._nobody.clear()
        if self._is_stopping:
            connection.abort()
        if len(self._connections) >= self.most_connections:
            self._close_one(connection)
        self._connections[connection] = None

    def _close_one(self, new: Connection) -> None:
        """Close the longest idle connection; the new one if each other waits for an answer.

        A thousand looks take a tenth of a millisecond, twice as long as to accept a connection.
        """
        if not self._is_full:
            _log.warning("more than %d connections: for each new one the longest idle is closed", self.most_connections)
        self._is_full = True
        CLOSED.labels("too-many").inc()
        idle = {other: since for other in self._connections if (since := other.idle_since) is not None}
        closed = min(idle, key=idle.__getitem__, default=new)
        closed.abort()
        self._connections.pop(closed, None)

    def remove(self, connection: Connection) -> None:
        """A peer has gone."""
        self._connections.pop(connection, None)
        if len(self._connections) < _FULL_AGAIN * self.most_connections:
            self._is_full = False
        if not self._connections:
            self._nobody.set()

    def _connect(self) -> Connection:
        return Connection(self)

    def _started(self) -> list[str]:
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        return [in_words(sock.getsockname()) for listener in self._listeners for sock in listener.sockets]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """Close the connections whose time is over."""
        for connection in list(self._connections):
            connection.sweep()
