"""The server over real sockets, on asyncio's event loop and on uvloop's, with a service that is told what to say."""

import asyncio
import contextlib
import errno
import functools
import gc
import inspect
import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
import uvloop

from bley.core.endpoint import split_endpoint
from bley.core.errors import SettingsError
from bley.core.mail import Action, RawRequest, Request
from bley.core.wire import MAX_ATTRIBUTES, MAX_REQUEST_BYTES
from bley.server import connection
from bley.server import listeners as server_module
from bley.server.connection import IDLE_SECONDS, MAX_BURST, REQUEST_MOST, REQUEST_SECONDS
from bley.server.listeners import Server
from bley.server.unix_socket import UnixAccess
from tests.counted import counted

_PATIENCE_SECONDS = 15.0
_ACCESS = UnixAccess()
_BIG = "x" * 30_000

_T = TypeVar("_T")
_Dialogue = Callable[..., Coroutine[None, None, None]]


def _run_on(*loops: Any) -> Callable[[_Dialogue], Callable[..., None]]:
    """A test that is run on each of these event loops, and ends in time."""

    def decorate(dialogue: _Dialogue) -> Callable[..., None]:
        @functools.wraps(dialogue)
        def run(*args: object, new_loop: Callable[[], asyncio.AbstractEventLoop], **fixtures: object) -> None:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(asyncio.wait_for(dialogue(*args, **fixtures), 4 * _PATIENCE_SECONDS))

        del vars(run)["__wrapped__"]  # pytest must see the signature below
        own = inspect.signature(dialogue)
        loop = inspect.Parameter("new_loop", inspect.Parameter.KEYWORD_ONLY)
        vars(run)["__signature__"] = own.replace(parameters=[*own.parameters.values(), loop])
        return pytest.mark.parametrize("new_loop", loops)(run)

    return decorate


_ASYNCIO = pytest.param(asyncio.new_event_loop, id="asyncio")
_UVLOOP = pytest.param(uvloop.new_event_loop, id="uvloop")
on_both_loops = _run_on(_ASYNCIO, _UVLOOP)
on_uvloop = _run_on(_UVLOOP)


class FakeService:
    """Answers with the recipient. The sender tells how: now, later, gate (when it is opened), big, fail, fail-later."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.cancelled = 0

    def answer(self, raw: RawRequest) -> Action | Coroutine[None, None, Action]:
        request = raw.parse()
        self.asked.append(request.recipient)
        if request.sender == "fail":
            raise RuntimeError("the service is told to fail")
        if request.sender == "big":
            return Action("PREPEND", _BIG)
        return Action("OK", request.recipient) if request.sender == "now" else self._answer_later(request)

    async def _answer_later(self, request: Request) -> Action:
        try:
            if request.sender == "gate":
                await self.gate.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if request.sender == "fail-later":
            raise RuntimeError("the service is told to fail later")
        return Action("OK", request.recipient)


def _request(how: str, recipient: str = "r") -> bytes:
    return f"request=smtpd_access_policy\nsender={how}\nrecipient={recipient}\n\n".encode()


def _answer(recipient: str = "r") -> bytes:
    return f"action=OK {recipient}\n\n".encode()


class Peer:
    """A client of the server."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            await self._in_time(self._loop.sock_sendall(self._socket, part))

    async def receive(self, wanted: bytes) -> None:
        """As many bytes as `wanted`, which they are."""
        received = b""
        while len(received) < len(wanted):
            part = await self._in_time(self._loop.sock_recv(self._socket, len(wanted) - len(received)))
            assert part, f"closed after {received!r}"
            received += part
        assert received == wanted

    async def receive_all(self) -> bytes:
        """What still comes until the server closes."""
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := await self._in_time(self._loop.sock_recv(self._socket, 65536)):
                received += part
        return received

    async def is_answered(self) -> bool:
        """Whether a request is answered, or the connection closed."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            await self.send(_request("now", "alive"))
            return bool(await self._in_time(self._loop.sock_recv(self._socket, 1)))
        return False

    def end(self) -> None:
        """Half-close, as Exim does."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Go without a word."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    async def _in_time(self, something: Awaitable[_T]) -> _T:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await something


class RunningServer:
    """A server that listens at `addresses` (ports are free ones) while the block lasts."""

    def __init__(self, *addresses: str, closes_after_answer: bool = False) -> None:
        self.service = FakeService()
        self.server = Server(self.service, closes_after_answer=closes_after_answer)
        self.places: list[str] = []
        self._addresses = addresses or ("127.0.0.1",)

    async def __aenter__(self) -> Self:
        self.places = await self.server.listen(self._addresses, 0, _ACCESS)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop(timeout_seconds=0)

    def peer(self, place: int = 0) -> Peer:
        return Peer(_connected(self.places[place]))


def _connected(place: str) -> socket.socket:
    if place.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        address: str | tuple[str, int] = place.removeprefix("unix:")
    else:
        address = split_endpoint(place, 0)
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


async def _eventually(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await is_so():  # noqa: ASYNC110 (no event to await)
            await asyncio.sleep(0.01)


async def _most_in_a_turn(asked: list[str]) -> int:
    """How many requests are answered at the most between two turns of the event loop, until this is cancelled."""
    most = 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            before = len(asked)
            await asyncio.sleep(0)
            most = max(most, len(asked) - before)
    return most


@pytest.fixture(params=["tcp", "unix"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "127.0.0.1" if request.param == "tcp" else f"unix:{tmp_path}/socket"


class Clock:
    """The time of the connections, which stands still until a test lets it pass."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def passes(self, running: RunningServer, seconds: float) -> None:
        """Advance the clock, then run a sweep."""
        self._now += seconds
        running.server.sweep()

    async def passes_after_news(self, running: RunningServer, seconds: float, peers: int = 1) -> None:
        """Advance the clock once the server has received something from so many peers since the last sweep."""
        await _eventually(lambda: _is(sum(each._is_active for each in running.server._connections) == peers))
        self.passes(running, 0)
        self.passes(running, seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(connection, "time", clock)
    monkeypatch.setattr(server_module, "_SWEEP_SECONDS", 3600)
    return clock


class TestAnswers:
    @on_both_loops
    async def test_a_request_is_answered_and_the_connection_kept(self, address: str) -> None:
        async with RunningServer(address) as running:
            with running.peer() as peer:
                for number in range(50):
                    how = "later" if number % 3 else "now"
                    await peer.send(_request(how, str(number)))
                    await peer.receive(_answer(str(number)))

    @on_both_loops
    async def test_requests_of_one_segment_are_answered_in_their_order(self, address: str) -> None:
        """Also when the first needs the store or the DNS and the others do not."""
        hows = ["later", "now", "now", "gate", "now", "later", "later", "now"]
        async with RunningServer(address) as running:
            with running.peer() as peer:
                await peer.send(b"".join(_request(how, str(number)) for number, how in enumerate(hows)))
                await peer.receive(b"".join(_answer(str(number)) for number in range(3)))
                running.service.gate.set()
                await peer.receive(b"".join(_answer(str(number)) for number in range(3, len(hows))))

    @on_both_loops
    async def test_a_request_may_come_byte_by_byte(self, address: str) -> None:
        request = _request("now") + _request("later", "s")
        async with RunningServer(address) as running:
            with running.peer() as peer:
                for place in range(len(request)):
                    await peer.send(request[place : place + 1])
                    await asyncio.sleep(0)
                await peer.receive(_answer() + _answer("s"))

    @on_both_loops
    async def test_lines_may_end_in_crlf(self) -> None:
        async with RunningServer() as running:
            with running.peer() as peer:
                await peer.send(_request("now").replace(b"\n", b"\r\n"))
                await peer.receive(_answer())

    @on_both_loops
    async def test_two_peers_never_get_each_others_answers(self) -> None:
        async with RunningServer() as running:

            async def ask(name: int) -> None:
                with running.peer() as peer:
                    for number in range(30):
                        await peer.send(_request("later" if (name + number) % 3 else "now", f"{name}.{number}"))
                        await peer.receive(_answer(f"{name}.{number}"))

            await asyncio.gather(*(ask(name) for name in range(30)))

    @on_both_loops
    async def test_a_peer_far_ahead_of_the_answers_has_to_wait_and_loses_none(self, address: str) -> None:
        padding = "x" * 1000
        requests = [_request("gate", f"{number}{padding}") for number in range(20_000)]
        async with RunningServer(address) as running:
            with running.peer() as peer:
                sending = asyncio.create_task(peer.send(*requests))
                await _eventually(lambda: _is(bool(running.service.asked)))
                await asyncio.sleep(0.2)
                assert not sending.done(), "all of 20 MB was taken in"
                assert len(running.service.asked) == 1
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                running.service.gate.set()
                await peer.receive(b"".join(_answer(f"{number}{padding}") for number in range(100)))

    @pytest.mark.parametrize("flood", [b"\n" * 1_000_000, _request("now") * 20_000], ids=["line ends", "requests"])
    @on_both_loops
    async def test_a_flood_of_requests_does_not_hold_up_the_others(self, flood: bytes) -> None:
        async with RunningServer() as running:
            with running.peer() as flooding, running.peer() as other:
                sending = asyncio.create_task(flooding.send(*[flood] * 20))
                counting = asyncio.create_task(_most_in_a_turn(running.service.asked))
                for _ in range(20):
                    await other.send(_request("now"))
                    await other.receive(_answer())
                assert not sending.done(), "the other was served after it"
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                counting.cancel()
                assert await counting <= 2 * MAX_BURST

    @on_both_loops
    async def test_several_addresses_are_listened_at(self, tmp_path: Path) -> None:
        async with RunningServer("127.0.0.1", "::1", "[::1]", "localhost", f"unix:{tmp_path}/socket") as running:
            assert len(running.places) >= 5
            assert running.places[0].startswith("127.0.0.1:")
            assert running.places[1].startswith("[::1]:")
            assert running.places[-1] == f"unix:{tmp_path}/socket"
            for place in range(len(running.places)):
                with running.peer(place) as peer:
                    assert await peer.is_answered()

    @on_both_loops
    async def test_sockets_that_others_opened_are_listened_at(self, tmp_path: Path) -> None:
        listening = [socket.socket(), socket.socket(socket.AF_UNIX)]
        listening[0].bind(("127.0.0.1", 0))
        listening[1].bind(str(tmp_path / "socket"))
        running = RunningServer()
        running.places = await running.server.listen_at(listening)
        for place in range(2):
            with running.peer(place) as peer:
                assert await peer.is_answered()
        await running.server.stop(timeout_seconds=0)
        assert (tmp_path / "socket").exists()  # systemd's, not ours


class TestHalfClose:
    """Exim sends its request, closes its half and waits for us to close."""

    @pytest.mark.parametrize("how", ["now", "later"])
    @on_both_loops
    async def test_a_half_closed_connection_is_answered_then_closed(self, address: str, how: str) -> None:
        async with RunningServer(address) as running:
            with running.peer() as peer:
                await peer.send(_request(how))
                peer.end()
                assert await peer.receive_all() == _answer()

    @on_both_loops
    async def test_all_that_was_asked_before_is_answered(self, address: str) -> None:
        async with RunningServer(address) as running:
            with running.peer() as peer:
                await peer.send(_request("gate", "0") + _request("now", "1") + _request("later", "2"))
                peer.end()
                await asyncio.sleep(0.02)
                running.service.gate.set()
                assert await peer.receive_all() == b"".join(map(_answer, "012"))

    @on_both_loops
    async def test_half_a_request_is_not_answered(self, address: str, caplog: pytest.LogCaptureFixture) -> None:
        async with RunningServer(address) as running:
            with running.peer() as peer:
                await peer.send(_request("now") + b"sender=now\n")
                peer.end()
                assert await peer.receive_all() == _answer()
        assert "in the middle of a request" in caplog.text

    @on_both_loops
    async def test_nothing_is_asked_and_the_connection_closed(
        self, address: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with RunningServer(address) as running:
            with running.peer() as peer:
                peer.end()
                assert await peer.receive_all() == b""
        assert not caplog.records

    @pytest.mark.parametrize("how", ["now", "later"])
    @on_both_loops
    async def test_closes_after_answer_closes_after_one_answer(self, address: str, how: str) -> None:
        async with RunningServer(address, closes_after_answer=True) as running:
            with running.peer() as peer:
                await peer.send(_request(how, "1") + _request("now", "2"))
                assert await peer.receive_all() == _answer("1")


class TestBadBytes:
    @pytest.mark.parametrize(
        "garbage",
        [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\0\x01",
            b"sender=a\0b\n\n",
            b"sender=now\nrecipient=" + b"x" * MAX_REQUEST_BYTES + b"\n\n",
            b"x" * 10_000_000,
            b"".join(b"name%d=x\n" % number for number in range(MAX_ATTRIBUTES + 1)) + b"\n",
            b"request=something_else\n\n",
            b"=x\n\n",
        ],
        ids=["http", "tls", "NUL", "too long", "endless", "too many attributes", "another type", "no name"],
    )
    @pytest.mark.parametrize("how", ["now", "later"])
    @on_both_loops
    async def test_what_is_no_request_is_not_answered_but_closed_and_what_was_asked_before_is_answered(
        self, garbage: bytes, how: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with RunningServer() as running:
            with running.peer() as peer, running.peer() as other:
                await peer.send(_request(how))
                if how == "now":
                    await peer.receive(_answer())
                sending = asyncio.create_task(peer.send(garbage + _request("now", "2")))
                # Where garbage is left unread the kernel resets the connection, and may drop the answer with it.
                assert await peer.receive_all() in (b"", _answer() if how == "later" else b"")
                assert "2" not in running.service.asked
                assert await other.is_answered()
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "127.0.0.1:" in caplog.text

    @on_both_loops
    async def test_what_was_asked_before_in_the_same_segment_is_answered(self, address: str) -> None:
        async with RunningServer(address) as running:
            with running.peer() as peer:
                await peer.send(_request("now", "1") + _request("later", "2") + b"garbage\n")
                assert await peer.receive_all() == _answer("1") + _answer("2")


class TestFailingService:
    @pytest.mark.parametrize("how", ["fail", "fail-later"])
    @on_both_loops
    async def test_a_request_that_cannot_be_answered_closes_its_connection_and_no_other(
        self, how: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Always an answer or a clean close; the traceback is in the log."""
        async with RunningServer() as running:
            with running.peer() as peer, running.peer() as other:
                await peer.send(_request("now", "1"))
                await peer.receive(_answer("1"))
                await peer.send(_request(how) + _request("now", "2"))
                assert await peer.receive_all() == b""
                assert await other.is_answered()
        assert any(record.exc_info and "told to fail" in str(record.exc_info[1]) for record in caplog.records)

    @on_both_loops
    async def test_a_request_behind_one_that_was_awaited_closes_its_connection_too(self) -> None:
        async with RunningServer() as running:
            with running.peer() as peer:
                await peer.send(_request("later", "1") + _request("fail"))
                assert await peer.receive_all() in (b"", _answer("1"))


class TestTimeLimits:
    @on_both_loops
    async def test_silence_in_the_middle_of_a_request_closes_the_connection(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with RunningServer() as running:
            with running.peer() as peer:
                await peer.send(_request("now") + b"sender=now\n")
                await peer.receive(_answer())
                await clock.passes_after_news(running, REQUEST_SECONDS)
                assert not caplog.records
                clock.passes(running, 0.1)
                assert await peer.receive_all() == b""
        assert [record.getMessage().partition(" ")[2] for record in caplog.records] == [
            "was silent for 4 s in the middle of a request: closed"
        ]

    @on_both_loops
    async def test_a_slow_but_steady_peer_is_served(self, clock: Clock) -> None:
        request = _request("now")
        async with RunningServer() as running:
            with running.peer() as peer:
                for part in request[:12], request[12:40], request[40:50]:
                    await peer.send(part)
                    await clock.passes_after_news(running, REQUEST_SECONDS)
                await peer.send(request[50:])
                await peer.receive(_answer())

    @on_both_loops
    async def test_a_peer_that_drips_is_closed(
        self, address: str, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is never silent, but a request must be there within five times as long."""
        async with RunningServer(address) as running:
            with running.peer() as peer:
                await peer.send(_request("now"))
                await peer.receive(_answer())
                clock.passes(running, 0)
                for _ in range(REQUEST_MOST):
                    await peer.send(b"x")
                    await clock.passes_after_news(running, REQUEST_SECONDS)
                assert not caplog.records
                await peer.send(b"x")
                await clock.passes_after_news(running, 0.1)
                assert await peer.receive_all() == b""
        assert "has not ended a request within 20 s: closed" in caplog.text

    @on_both_loops
    async def test_a_peer_that_drips_and_does_not_read_is_closed_too(self, tmp_path: Path, clock: Clock) -> None:
        """Though its answers cannot be sent."""
        async with RunningServer(f"unix:{tmp_path}/socket") as running:
            with running.peer() as peer:
                await peer.send(*[_request("big")] * 3)
                await _eventually(lambda: _is(len(running.service.asked) == 3))
                for _ in range(200):
                    await asyncio.sleep(0)
                    if not running.server.open_connections:
                        break
                    with contextlib.suppress(ConnectionError):
                        await peer.send(b"x")
                    clock.passes(running, REQUEST_SECONDS)
                await _eventually(lambda: _is(running.server.open_connections == 0))

    @on_both_loops
    async def test_each_request_has_its_own_time(self, clock: Clock) -> None:
        """Not the connection: who sends half a request with the end of each is served."""
        whole, half = _request("now"), len(_request("now")) // 2
        async with RunningServer() as running:
            with running.peer() as peer:
                await peer.send(whole[:half])
                for _ in range(2 * REQUEST_MOST):
                    await clock.passes_after_news(running, REQUEST_SECONDS)
                    await peer.send(whole[half:] + whole[:half])
                    await peer.receive(_answer())

    @on_both_loops
    async def test_waiting_for_an_answer_is_not_silence(self, clock: Clock) -> None:
        async with RunningServer() as running:
            with running.peer() as peer:
                await peer.send(_request("gate") + b"sender=now\nrecipient=2")
                await _eventually(lambda: _is(running.service.asked == ["r"]))
                clock.passes(running, 0)
                clock.passes(running, 2 * IDLE_SECONDS)
                running.service.gate.set()
                await peer.receive(_answer())
                await peer.send(b"\n\n")
                await peer.receive(_answer("2"))

    @on_both_loops
    async def test_an_idle_connection_is_closed(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        async with RunningServer() as running:
            with running.peer() as peer:
                await peer.send(_request("now"))
                await peer.receive(_answer())
                await clock.passes_after_news(running, IDLE_SECONDS)
                assert await peer.is_answered()
                await peer.receive(_answer("alive")[1:])
                await clock.passes_after_news(running, IDLE_SECONDS + 0.1)
                assert await peer.receive_all() == b""
        assert not caplog.records  # nothing is wrong with that

    @on_both_loops
    async def test_the_server_looks_again_and_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "_SWEEP_SECONDS", 0.02)
        async with RunningServer() as running:
            with running.peer() as peer:
                for _ in range(2):
                    assert await peer.is_answered()
                    await peer.receive(_answer("alive")[1:])
                    await _eventually(lambda: _is(not any(each._is_active for each in running.server._connections)))
                monkeypatch.setattr(connection, "IDLE_SECONDS", 0)
                assert await peer.receive_all() == b""


class TestMetrics:
    @on_both_loops
    async def test_connections_are_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 2)
        with counted("bley_connections_accepted_total") as accepted, counted("bley_connections_closed_total") as closed:
            async with RunningServer() as running:
                with running.peer() as first, running.peer() as second, running.peer() as third:
                    assert await second.is_answered()
                    assert await third.is_answered()
                    assert not await first.is_answered()
                    assert running.server.open_connections == 2
        assert (accepted, closed) == ({"": 3}, {"too-many": 1})

    @on_both_loops
    async def test_who_is_closed_for_silence_is_counted(self, clock: Clock) -> None:
        with counted("bley_connections_closed_total") as closed:
            async with RunningServer() as running:
                with running.peer() as idle, running.peer() as unfinished:
                    assert await idle.is_answered()
                    await idle.receive(_answer("alive")[1:])
                    await unfinished.send(b"sender=now\n")
                    await clock.passes_after_news(running, IDLE_SECONDS + 1, peers=2)
                    assert await unfinished.receive_all() == await idle.receive_all() == b""
        assert closed == {"idle": 1, "unfinished": 1}

    @on_both_loops
    async def test_who_does_not_read_is_counted(self, tmp_path: Path, clock: Clock) -> None:
        with counted("bley_connections_closed_total") as closed:
            async with RunningServer(f"unix:{tmp_path}/socket") as running:
                with running.peer() as peer:
                    await peer.send(_request("big") * 60)
                    await clock.passes_after_news(running, IDLE_SECONDS + 1)
                    assert len(await peer.receive_all()) < 60 * len(_BIG)
        assert closed == {"unread": 1}

    @pytest.mark.parametrize("how", ["fail", "fail-later"])
    @on_both_loops
    async def test_internal_errors_are_counted(self, how: str) -> None:
        with counted("bley_connections_closed_total") as closed:
            async with RunningServer() as running:
                with running.peer() as peer:
                    await peer.send(_request(how))
                    assert await peer.receive_all() == b""
        assert closed == {"internal-error": 1}

    @pytest.mark.parametrize(
        ("garbage", "kind"),
        [
            (b"GET / HTTP/1.1\r\n", "no-attribute"),
            (b"sender=" + b"x" * MAX_REQUEST_BYTES + b"\n\n", "too-long"),
            (b"".join(b"name%d=x\n" % number for number in range(MAX_ATTRIBUTES + 1)) + b"\n", "too-many-attributes"),
            (b"request=something_else\n\n", "other-request"),
            (b"sender=a\n", "cut-off"),
        ],
    )
    @on_both_loops
    async def test_what_is_no_request_is_counted_by_what_is_wrong(self, garbage: bytes, kind: str) -> None:
        with counted("bley_protocol_errors_total") as errors:
            async with RunningServer() as running:
                with running.peer() as peer:
                    await peer.send(garbage)
                    peer.end()
                    assert await peer.receive_all() == b""
        assert errors == {kind: 1}


class TestAnswerTimes:
    """Of what is answered at once, a sample is measured."""

    @on_both_loops
    async def test_the_first_request_of_a_connection_is_measured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "_SWEEP_SECONDS", 3600)
        with (
            counted("bley_answer_seconds_count") as measured,
            counted("bley_answer_seconds_sum") as seconds,
        ):
            async with RunningServer() as running:
                with running.peer() as first, running.peer() as second:
                    for peer in (first, second):
                        for number in range(20):
                            await peer.send(_request("now", str(number)))
                            await peer.receive(_answer(str(number)))
        assert measured == {"memory": 2}
        assert seconds["memory"] > 0

    @on_both_loops
    async def test_and_the_first_after_each_sweep(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "_SWEEP_SECONDS", 3600)
        with counted("bley_answer_seconds_count") as measured:
            async with RunningServer() as running:
                with running.peer() as peer:
                    for _ in range(3):
                        for _ in range(2):
                            assert await peer.is_answered()
                            await peer.receive(_answer("alive")[1:])
                        running.server.sweep()
        assert measured == {"memory": 3}

    @pytest.mark.parametrize("part", [b"", b"sender=now\n", b"garbage\n"])
    @on_both_loops
    async def test_what_is_answered_later_or_not_at_all_is_not(self, part: bytes) -> None:
        with counted("bley_answer_seconds_count") as measured:
            async with RunningServer() as running:
                with running.peer() as peer:
                    await peer.send(part or _request("later"))
                    if not part:
                        await peer.receive(_answer())
                    peer.end()
                    assert await peer.receive_all() == b""
        assert measured == {}


@pytest.mark.usefixtures("clock")
class TestPeersThatDoNotRead:
    """On unix sockets, whose buffers the kernel does not grow."""

    async def _fill(self, running: RunningServer, peer: Peer, answers: int) -> int:
        """Ask for so many big answers and read none; how many the server has taken up, unless it closes before."""
        with contextlib.suppress(ConnectionError):
            for number in range(answers):
                await peer.send(_request("big", str(number)))
                await asyncio.sleep(0.001)
        return len(running.service.asked)

    @on_both_loops
    async def test_their_answers_are_not_kept_without_end(
        self, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with RunningServer(f"unix:{tmp_path}/socket") as running:
            with running.peer() as peer, running.peer() as other:
                assert await self._fill(running, peer, 60) < 30
                assert await other.is_answered()
                await clock.passes_after_news(running, IDLE_SECONDS + 1, peers=2)
                assert len(await peer.receive_all()) < 30 * len(_BIG)
        assert caplog.text.count("does not read") == 1

    @on_both_loops
    async def test_they_get_everything_when_they_read_at_last(self, tmp_path: Path) -> None:
        async with RunningServer(f"unix:{tmp_path}/socket") as running:
            with running.peer() as peer:
                assert await self._fill(running, peer, 40) < 40
                await peer.receive(f"action=PREPEND {_BIG}\n\n".encode() * 40)
                assert await peer.is_answered()

    @pytest.mark.parametrize(
        ("ending", "kept"),
        [
            ("idle", "little"),
            ("idle", "much"),
            ("half a request", "little"),
            ("garbage", "little"),
            ("half-close", "little"),
        ],
    )
    @on_both_loops
    async def test_they_cannot_hold_their_connection(
        self,
        tmp_path: Path,
        clock: Clock,
        ending: str,
        kept: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """However little waits to be sent: there is room for another soon, and the log is not flooded."""
        async with RunningServer(f"unix:{tmp_path}/socket") as running:
            with running.peer() as measured:
                most = await self._fill(running, measured, 60)
            monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 1)
            await _eventually(self._room_in(running, clock))
            before = len(caplog.records)
            with running.peer() as peer:
                await self._fill(running, peer, most - (kept == "little"))
                if ending == "half-close":
                    peer.end()
                else:
                    await peer.send({"idle": b"", "half a request": b"sender=", "garbage": b"garbage\n"}[ending])
                await _eventually(self._room_in(running, clock))
            assert len(caplog.records) - before < 6

    def _room_in(self, running: RunningServer, clock: Clock) -> Callable[[], Awaitable[bool]]:
        async def is_room() -> bool:
            clock.passes(running, IDLE_SECONDS)
            with running.peer() as peer:
                return await peer.is_answered()

        return is_room


class TestConnectionLimit:
    @on_both_loops
    async def test_the_longest_idle_is_closed_for_the_one_above(
        self, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Idle peers never shut Postfix out; that is warned of once, until there was room again."""
        monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 3)
        async with RunningServer(address) as running:
            for times_full in (1, 2):
                with contextlib.ExitStack() as stack:
                    peers = [stack.enter_context(running.peer()) for _ in range(3)]
                    await _eventually(lambda: _is(running.server.open_connections == 3))
                    assert await peers[0].is_answered()
                    for _ in range(3):
                        one_above = stack.enter_context(running.peer())
                        assert await one_above.is_answered()
                    assert not await peers[1].is_answered()
                    assert not await peers[2].is_answered()
                    await peers[0].receive_all()  # until it is closed, for the third above
                    assert running.server.open_connections == 3
                    assert caplog.text.count("limit of 3 connections reached") == times_full
                await _eventually(lambda: _is(running.server.open_connections == 0))

    @on_both_loops
    async def test_who_waits_for_an_answer_is_not_idle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """When all of them do, the new one is closed."""
        monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 2)
        async with RunningServer() as running:
            with running.peer() as waiting, running.peer() as idle:
                await waiting.send(_request("gate", "1"))
                await _eventually(lambda: _is(running.service.asked == ["1"]))
                with running.peer() as other:
                    await other.send(_request("gate", "2"))
                    await _eventually(lambda: _is(running.service.asked == ["1", "2"]))
                    assert not await idle.is_answered()
                    with running.peer() as one_above:
                        assert not await one_above.is_answered()
                    running.service.gate.set()
                    await waiting.receive(_answer("1"))
                    await other.receive(_answer("2"))

    @on_both_loops
    async def test_many_that_come_at_once_are_served_in_their_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many are accepted before the first of them is seen."""
        monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 5)
        with counted("bley_connections_closed_total") as closed:
            async with RunningServer() as running:
                with contextlib.ExitStack() as stack:
                    peers = [stack.enter_context(running.peer()) for _ in range(30)]
                    await _eventually(lambda: _is(running.server.open_connections == 5))
                    await asyncio.sleep(0.02)
                    answered = [await peer.is_answered() for peer in peers]
        assert answered == [False] * 25 + [True] * 5
        assert closed == {"too-many": 25}

    @pytest.mark.parametrize(
        ("descriptors", "most"), [(10**6, 1000), (1300, 1000), (1299, 999), (1024, 724), (512, 256), (64, 32)]
    )
    async def test_there_are_no_more_than_the_process_has_descriptors_for(
        self, descriptors: int, most: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = Server(FakeService(), closes_after_answer=False)
        server.limit_descriptors(descriptors)
        assert server.most_connections == most
        assert len(caplog.records) == (most < 1000)


class TestPeersThatGo:
    @on_both_loops
    async def test_what_a_peer_that_has_gone_still_waits_for_is_given_up(self) -> None:
        async with RunningServer() as running:
            with running.peer() as peer:
                await peer.send(_request("gate", "1") + _request("gate", "2"))
                await _eventually(lambda: _is(running.service.asked == ["1"]))
                peer.reset()
                await _eventually(lambda: _is(running.service.cancelled == 1))
            running.service.gate.set()
            with running.peer() as other:
                assert await other.is_answered()
            assert running.service.asked == ["1", "alive"]

    @pytest.mark.parametrize("goer", ["peer", "server"])
    @on_both_loops
    async def test_at_whatever_moment_one_goes_nothing_is_left_that_nobody_awaits(self, goer: str) -> None:
        for moment in range(20):
            async with RunningServer() as running:
                with running.peer() as peer:
                    await peer.send(_request("later") * 50)
                    await peer.receive(_answer())
                    for _ in range(moment):
                        await asyncio.sleep(0)
                    if goer == "peer":
                        peer.reset()
                        await asyncio.sleep(0.001)
        gc.collect()

    @on_both_loops
    async def test_no_descriptor_is_left(self, address: str) -> None:
        """Not of those who were answered, half-closed, reset, said nothing, or rubbish."""
        async with RunningServer(address) as running:
            before = _descriptors()
            for number in range(200):
                with running.peer() as peer:
                    match number % 8:
                        case 0:
                            assert await peer.is_answered()
                        case 1:
                            await peer.send(_request("later"))
                            peer.end()
                            assert await peer.receive_all() == _answer()
                        case 2:
                            await peer.send(_request("gate") + b"half a request=")
                            peer.reset()
                        case 3:
                            await peer.send(b"rubbish\n")
                            assert await peer.receive_all() == b""
                        case 4:
                            peer.end()
                        case 5:
                            await peer.send(_request("gate"))
                        case 6:
                            await peer.send(_request("gate"))
                            peer.end()
            running.service.gate.set()
            await _eventually(lambda: _is(_descriptors() <= before))
        await _eventually(lambda: _is(_descriptors() <= before - 1))  # the listener


async def _is(truth: bool) -> bool:
    return truth


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class TestUnixSockets:
    @pytest.mark.parametrize("mode", [0o660, 0o600, 0o666])
    @on_both_loops
    async def test_the_socket_has_the_mode_that_is_wanted_and_goes_at_the_end(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "socket"
        server = Server(FakeService(), closes_after_answer=False)
        await server.listen([f"unix:{path}"], 0, UnixAccess(mode))
        assert stat.S_IMODE(path.stat().st_mode) == mode
        await server.stop(timeout_seconds=0)
        assert not path.exists()

    @on_both_loops
    async def test_a_socket_that_a_dead_process_left_is_replaced(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "socket"))
            dead.listen()
        async with RunningServer(f"unix:{tmp_path}/socket") as running:
            with running.peer() as peer:
                assert await peer.is_answered()

    @on_both_loops
    async def test_a_living_socket_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "socket"
        async with RunningServer(f"unix:{path}") as living:
            await _refused(f"unix:{path}", "another process listens there")
            with living.peer() as peer:
                assert await peer.is_answered()

    @on_both_loops
    async def test_a_living_socket_whose_process_is_busy_is_left_alone_without_waiting(self, tmp_path: Path) -> None:
        """Nobody takes its connections, and its queue is full."""
        path = tmp_path / "socket"
        with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as stack:
            busy.bind(str(path))
            busy.listen(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                    waiting.setblocking(False)
                    waiting.connect(str(path))
            rescued = threading.Event()
            rescue = threading.Timer(_PATIENCE_SECONDS, _rescue, [rescued, busy])
            rescue.start()
            await _refused(f"unix:{path}", "another process")
            assert not rescued.is_set()
            rescue.cancel()
            assert path.exists()

    @on_both_loops
    async def test_a_socket_of_another_kind_is_left_alone(self, tmp_path: Path) -> None:
        """`/dev/log` say: that it cannot be connected to does not mean that its process is dead."""
        path = tmp_path / "socket"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(str(path))
            await _refused(f"unix:{path}", "")
            assert path.is_socket()

    @on_both_loops
    async def test_a_file_is_left_alone_and_named(self, tmp_path: Path) -> None:
        path = tmp_path / "precious"
        path.write_text("mail")
        await _refused(f"unix:{path}", "is not a socket")
        assert path.read_text() == "mail"

    @on_both_loops
    async def test_the_sockets_of_another_process_are_of_any_kind_and_stay(self, tmp_path: Path) -> None:
        """systemd passes TCP sockets, unix sockets and abstract ones, all of one unit."""
        name = f"bley-{os.getpid()}"
        with contextlib.ExitStack() as stack:
            passed = [stack.enter_context(socket.socket(family)) for family in (socket.AF_INET, *[socket.AF_UNIX] * 2)]
            passed[0].bind(("127.0.0.1", 0))
            passed[1].bind(f"{tmp_path}/socket")
            passed[2].bind(f"\0{name}")
            for sock in passed:
                sock.listen()
            server = Server(FakeService(), closes_after_answer=False)
            port = passed[0].getsockname()[1]
            places = await server.listen_at(passed)
            assert places == [f"127.0.0.1:{port}", f"unix:{tmp_path}/socket", f"unix:@{name}"]
            await server.stop(timeout_seconds=0)
            assert tmp_path.joinpath("socket").is_socket()


def _rescue(rescued: threading.Event, busy: socket.socket) -> None:
    """End a wait for somebody who takes no connections."""
    rescued.set()
    busy.close()


async def _refused(address: str, why: str, port: int = 0) -> None:
    """Listening there, after a good address, is a SettingsError that says where and why, and nothing is left open."""
    before = 0
    for _ in range(2):  # uvloop keeps one descriptor from its first listener on
        before = _descriptors()
        server = Server(FakeService(), closes_after_answer=False)
        with pytest.raises(SettingsError) as caught:
            await server.listen(["127.0.0.1", address], port, _ACCESS)
        text = str(caught.value)
        assert text.startswith(f"listen_addr: cannot listen at {address}: ")
        assert why in text
        assert "None" not in text
    await _eventually(lambda: _is(_descriptors() <= before))


class TestAddressesThatCannotBeUsed:
    @on_both_loops
    async def test_an_address_in_use_is_named_and_nothing_keeps_listening(self, tmp_path: Path) -> None:
        async with RunningServer("127.0.0.2") as living:
            port = split_endpoint(living.places[0], 0)[1]
            await _refused("127.0.0.2", "Address already in use", port)
            with pytest.raises(ConnectionRefusedError):
                _connected(f"127.0.0.1:{port}")
            with living.peer() as peer:
                assert await peer.is_answered()

    @on_both_loops
    async def test_a_unix_socket_opened_before_the_bad_address_is_gone(self, tmp_path: Path) -> None:
        path = tmp_path / "socket"
        server = Server(FakeService(), closes_after_answer=False)
        with pytest.raises(SettingsError):
            await server.listen([f"unix:{path}", "192.0.2.1"], 0, _ACCESS)
        assert not path.exists()

    @pytest.mark.parametrize(
        ("bad", "why"),
        [
            ("192.0.2.1", os.strerror(errno.EADDRNOTAVAIL)),
            ("no-such-host.invalid", ""),
            ("a..b", ""),
            ("unix:/no/such/folder/socket", os.strerror(errno.ENOENT)),
            (f"unix:/tmp/{'x' * 108}", "too long"),
            ("unix:/proc/socket", ""),
        ],
    )
    @on_both_loops
    async def test_the_error_names_the_address_and_the_cause(self, bad: str, why: str) -> None:
        await _refused(bad, why)


class TestStop:
    @on_both_loops
    async def test_what_is_in_flight_is_answered_and_then_nobody_is_served(
        self, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a peer has sent before its connection is closed is in flight too."""
        for limit in ("REQUEST_SECONDS", "_FIRST_SECONDS"):
            monkeypatch.setattr(connection, limit, 0.1)
        async with RunningServer(address) as running:
            with running.peer() as asking, running.peer() as idle, running.peer() as half:
                await asking.send(_request("gate", "1") + _request("now", "2"))
                await half.send(b"sender=")
                await _eventually(lambda: _is(running.service.asked == ["1"]))
                stopping = asyncio.create_task(running.server.stop(timeout_seconds=_PATIENCE_SECONDS))
                assert await idle.receive_all() == b""
                assert await half.receive_all() == b""
                with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
                    running.peer()
                assert not stopping.done()
                await asking.send(_request("now", "3"))
                running.service.gate.set()
                assert await asking.receive_all() == _answer("1") + _answer("2") + _answer("3")
                await stopping

    @on_both_loops
    async def test_a_request_that_is_half_sent_is_awaited(self, address: str) -> None:
        """The first one of a connection too: Exim does not retry."""
        async with RunningServer(address) as running:
            with running.peer() as half, running.peer() as new, running.peer() as idle:
                await idle.send(_request("now", "1"))
                await idle.receive(_answer("1"))
                first, rest = _request("now", "2")[:10], _request("now", "2")[10:]
                await half.send(first)
                await _eventually(lambda: _is(running.server.open_connections == 3))
                stopping = asyncio.create_task(running.server.stop(timeout_seconds=_PATIENCE_SECONDS))
                assert await idle.receive_all() == b""
                await half.send(rest)
                await new.send(_request("now", "3"))
                assert await half.receive_all() == _answer("2")
                assert await new.receive_all() == _answer("3")
                await stopping

    @on_uvloop
    async def test_what_the_kernel_has_queued_is_answered(self) -> None:
        """The loop has seen neither these connections nor their requests when it stops to listen."""
        async with RunningServer() as running:
            peers = [running.peer() for _ in range(20)]
            for number, peer in enumerate(peers):
                peer._socket.setblocking(True)
                peer._socket.sendall(_request("now", str(number)))
                peer._socket.setblocking(False)
            await running.server.stop(timeout_seconds=_PATIENCE_SECONDS)
            for number, peer in enumerate(peers):
                assert await peer.receive_all() == _answer(str(number))
                peer._socket.close()

    @on_both_loops
    async def test_a_stuck_request_is_given_up_when_the_time_is_over(self) -> None:
        async with RunningServer() as running:
            with running.peer() as peer:
                await peer.send(_request("gate"))
                await _eventually(lambda: _is(bool(running.service.asked)))
                start = time.monotonic()
                await running.server.stop(timeout_seconds=0.2)
                assert time.monotonic() - start >= 0.19  # uvloop's clock counts whole milliseconds
                assert await peer.receive_all() == b""
                await _eventually(lambda: _is(running.service.cancelled == 1))

    @on_both_loops
    async def test_a_peer_that_does_not_read_is_given_up_when_the_time_is_over(self, tmp_path: Path) -> None:
        async with RunningServer(f"unix:{tmp_path}/socket") as running:
            with running.peer() as peer:
                await peer.send(_request("big") * 60)
                await _eventually(lambda: _is(bool(running.service.asked)))
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await running.server.stop(timeout_seconds=0.2)

    @on_uvloop
    async def test_it_may_come_at_any_moment_of_a_connection(self) -> None:
        """Every connection is closed, also one that the kernel has already taken in our name.

        Not on asyncio's loop, which loses the socket of a connection half accepted when its listener closes.
        """
        for moment in range(12):
            async with RunningServer() as running:
                with running.peer() as peer:
                    await peer.send(_request("later"))
                    for _ in range(moment):
                        await asyncio.sleep(0)
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        await running.server.stop(timeout_seconds=2 * _PATIENCE_SECONDS)
                    assert await peer.receive_all() in (b"", _answer())
        gc.collect()  # warns of what is lost

    @on_both_loops
    async def test_a_server_that_never_listened_stops(self) -> None:
        await Server(FakeService(), closes_after_answer=False).stop(timeout_seconds=1)

    @on_both_loops
    async def test_it_may_be_told_twice(self) -> None:
        async with RunningServer() as running:
            await running.server.stop(timeout_seconds=1)
