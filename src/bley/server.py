"""Listeners and connections: bytes from Postfix or Exim to the service and back.

On one connection answers come in the order of the requests. Exim sends its request, closes its half and waits for
us to close: it is answered, then closed. Whatever a peer does is bounded:

    requests waiting on one connection   MAX_WAITING, then we stop reading until they are answered
    a request begun, then silence        REQUEST_SECONDS between two reads, then closed
    silence between requests, or a peer  IDLE_SECONDS, then closed
    that does not read its answers
    connections                          MAX_CONNECTIONS, then a new one is closed at once
    a request's size and attributes      core.wire
"""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections import deque
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Protocol, cast

from bley.core.errors import Fault, ProtocolError, SettingsError
from bley.core.mail import Action, Request
from bley.core.wire import RequestParser, encode_action

__all__ = ["Server"]

MAX_WAITING = 100
"""Postfix sends one and waits; more is pipelining."""

MAX_CONNECTIONS = 1000
"""Postfix has one a smtpd process, 100 by default (default_process_limit)."""

REQUEST_SECONDS = 4.0
"""Postfix writes a request at once."""

IDLE_SECONDS = 600.0
"""Twice Postfix's smtpd_policy_service_max_idle, so that it is Postfix that closes."""

_SWEEP_SECONDS = 0.5
_BACKLOG = 1024

_log = logging.getLogger(__name__)


class _Service(Protocol):
    def answer(self, request: Request) -> Action | Coroutine[None, None, Action]: ...


class _Connection(asyncio.Protocol):
    """One peer."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._parser = RequestParser()
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_ending = False  # answer what waits, then close
        self._is_choked = False  # the peer does not read
        self._last_event = 0.0
        self._peer = "?"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._last_event = self._loop.time()
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) and peer else "unix socket"
        self._server.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.clear()
        if self._task:
            self._task.cancel()
        self._server.remove(self)

    def data_received(self, data: bytes) -> None:
        self._last_event = self._loop.time()
        self._parser.feed(data)
        try:
            while request := self._parser.next_request():
                self._waiting.append(request)
        except ProtocolError as error:
            _log.warning("%s sent %s: closed", self._peer, error)
            self._transport.pause_reading()
            self._is_ending = True
        self._answer_waiting()

    def eof_received(self) -> bool:
        if not self._parser.is_between_requests and not self._is_ending:
            _log.warning("%s closed in the middle of a request", self._peer)
        self.end()
        return True  # keep our half open: what waits is still answered

    def pause_writing(self) -> None:
        self._is_choked = True

    def resume_writing(self) -> None:
        self._is_choked = False
        self._last_event = self._loop.time()
        self._answer_waiting()

    def end(self) -> None:
        """Take no more requests, answer those that wait, then close."""
        self._is_ending = True
        self._answer_waiting()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def sweep(self, now: float) -> None:
        """Close a peer that has been silent, or does not read, for too long."""
        silent = now - self._last_event
        if self._task or silent < REQUEST_SECONDS:
            return
        if self._is_choked and silent > IDLE_SECONDS:
            _log.warning("%s does not read its answers: closed", self._peer)
            self.abort()
        elif not self._parser.is_between_requests:
            _log.warning("%s was silent for %g s in the middle of a request: closed", self._peer, REQUEST_SECONDS)
            self._transport.close()
        elif silent > IDLE_SECONDS:
            self._transport.close()

    def _answer_waiting(self) -> None:
        """Answer in order; what needs the store or the DNS goes on in a task, and the rest after it."""
        answers = b""
        while self._waiting and not self._task and not self._is_choked:
            answer = self._server.service.answer(self._waiting.popleft())
            if isinstance(answer, Action):
                answers += self._encode(answer)
            else:
                self._task = self._loop.create_task(self._answer_later(answer))
        if answers:
            self._transport.write(answers)
        if self._is_ending and not self._waiting and not self._task:
            self._transport.close()
        elif not self._is_ending:
            self._pace()

    async def _answer_later(self, answer: Coroutine[None, None, Action]) -> None:
        action = await answer
        self._task = None
        self._last_event = self._loop.time()
        self._transport.write(self._encode(action))
        self._answer_waiting()

    def _encode(self, action: Action) -> bytes:
        if self._server.closes_after_answer:
            self._waiting.clear()
            self._is_ending = True
        return encode_action(action)

    def _pace(self) -> None:
        """Stop reading from a peer that is ahead of us."""
        if len(self._waiting) >= MAX_WAITING or self._is_choked:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


class Server:
    """All listeners and connections; `closes_after_answer` is the setting `exim_workaround`."""

    def __init__(self, service: _Service, *, closes_after_answer: bool) -> None:
        self.service, self.closes_after_answer = service, closes_after_answer
        self._connections: set[_Connection] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._is_full = False
        self._listeners: list[asyncio.Server] = []
        self._unix_paths: list[Path] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def listen(self, addresses: Iterable[str], port: int, unix_mode: int) -> list[str]:
        """Listen at each address (`unix:PATH` is a socket of that mode); where, in words.

        Raises SettingsError when an address cannot be used; none is listened at then.
        """
        loop = asyncio.get_running_loop()
        for address in addresses:
            try:
                if address.startswith("unix:"):
                    sock = _unix_socket(Path(address.removeprefix("unix:")), unix_mode)
                    self._unix_paths.append(Path(address.removeprefix("unix:")))
                    self._listeners.append(await loop.create_unix_server(self._connect, sock=sock, backlog=_BACKLOG))
                else:
                    host = address.strip("[]")
                    self._listeners.append(await loop.create_server(self._connect, host, port, backlog=_BACKLOG))
            except OSError as error:
                await self.stop(timeout_seconds=0)
                raise SettingsError(
                    [Fault("listen_addr", 0, f"cannot listen at {address}: {error.strerror}")]
                ) from error
        return self._started()

    async def listen_at(self, sockets: Iterable[socket.socket]) -> list[str]:
        """Listen at sockets that somebody else has opened, systemd say; where, in words."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            sock.setblocking(False)
            create = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
            self._listeners.append(await create(self._connect, sock=sock, backlog=_BACKLOG))
        return self._started()

    async def stop(self, timeout_seconds: float) -> None:
        """Stop accepting, answer what is in flight, for at most this time, and close all connections."""
        for listener in self._listeners:
            listener.close()
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

    def add(self, connection: _Connection) -> None:
        """A peer has come."""
        self._connections.add(connection)
        self._nobody.clear()
        if len(self._connections) <= MAX_CONNECTIONS:
            return
        if not self._is_full:
            _log.warning("more than %d connections: new ones are closed until some end", MAX_CONNECTIONS)
        self._is_full = True
        connection.abort()

    def remove(self, connection: _Connection) -> None:
        """A peer has gone."""
        self._connections.discard(connection)
        if len(self._connections) < MAX_CONNECTIONS:
            self._is_full = False
        if not self._connections:
            self._nobody.set()

    def _connect(self) -> _Connection:
        return _Connection(self)

    def _started(self) -> list[str]:
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        return [_in_words(sock.getsockname()) for listener in self._listeners for sock in listener.sockets]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            for connection in list(self._connections):
                connection.sweep(now)


def _unix_socket(path: Path, mode: int) -> socket.socket:
    """A bound unix socket; one that a dead process left behind is replaced, a living one's is not."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(path)) == 0:
                    raise OSError(None, "another process listens there")
            path.unlink()
    sock = socket.socket(socket.AF_UNIX)
    try:
        old = os.umask(0o777)  # nobody may connect before the mode is set
        try:
            sock.bind(str(path))
        finally:
            os.umask(old)
        path.chmod(mode)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _in_words(name: object) -> str:
    """A socket's name as the settings write it."""
    if not isinstance(name, tuple):
        return f"unix:{name}"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
