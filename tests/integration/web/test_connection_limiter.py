"""Idle clients, and requests that are too long, do not lock others out."""

import asyncio
import logging
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadStatusLine

from bley.web.connection_limiter import LIMITS, ConnectionLimiter, is_not_bad_http

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
SOON, LATER = 0.1, 60.0
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """A server that responds once `may_answer` is set."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._opened: list[asyncio.StreamWriter] = []
        self._asking = 0

    async def start(self, connections: ConnectionLimiter, context: ssl.SSLContext | None = None) -> None:
        application = web.Application(middlewares=[connections.pause_idle_timer])
        application.router.add_get("/", self._show)
        self.runner = web.AppRunner(application, access_log=None, logger=logging.getLogger("quiet"), **LIMITS)
        await self.runner.setup()
        self.server = await connections.accept(self.runner, socket.create_server(("127.0.0.1", 0)), context)

    async def are_asking(self, number: int) -> None:
        """Wait until so many requests are being handled."""
        async with asyncio.timeout(30):
            while self._asking < number:  # noqa: ASYNC110 (there is no event to wait for)
                await asyncio.sleep(0.01)

    async def _show(self, _: web.Request) -> web.Response:
        self._asking += 1
        await self.may_answer.wait()
        return web.Response(text="mail")

    async def connect(self, text: bytes = b"") -> Stream:
        stream = await asyncio.open_connection(*self.server.sockets[0].getsockname())
        self._opened.append(stream[1])
        stream[1].write(text)
        return stream

    async def close(self) -> None:
        for each in self._opened:
            each.close()
        self.server.close()
        await self.runner.cleanup()


async def is_answered(stream: Stream) -> bool:
    """Return whether a response comes before the end of the connection."""
    try:
        async with asyncio.timeout(30):
            return (await stream[0].read(12)) == b"HTTP/1.1 200"
    except ConnectionError:
        return False


async def has_ended(stream: Stream) -> bool:
    try:
        async with asyncio.timeout(30):
            return await stream[0].read() == b""
    except ConnectionError:
        return True


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.close()


@pytest.mark.parametrize("text", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_a_connection_without_a_complete_request_is_closed(site: Site, text: bytes) -> None:
    await site.start(ConnectionLimiter(first_seconds=SOON, next_seconds=LATER))
    assert await has_ended(await site.connect(text))


async def test_a_connection_without_a_second_request_is_closed(site: Site) -> None:
    await site.start(ConnectionLimiter(first_seconds=LATER, next_seconds=SOON))
    stream = await site.connect(REQUEST + b"GET / HT")
    assert await is_answered(stream)
    await stream[0].readuntil(b"mail")
    assert await has_ended(stream)


async def test_a_connection_with_further_requests_stays_open(site: Site) -> None:
    await site.start(ConnectionLimiter(first_seconds=LATER, next_seconds=LATER))
    stream = await site.connect()
    for _ in range(3):
        stream[1].write(REQUEST)
        assert await is_answered(stream)
        await stream[0].readuntil(b"mail")


async def test_a_connection_that_waits_for_a_response_stays_open() -> None:
    """On a slow machine the request may start too late; then the limit is longer."""
    assert await _is_kept(0.02) or await _is_kept(1) or await _is_kept(15)


async def _is_kept(first_seconds: float) -> bool:
    """Return whether a waiting connection is answered after the limit for its first request has passed."""
    site = Site()
    await site.start(ConnectionLimiter(first_seconds=first_seconds, next_seconds=LATER))
    site.may_answer.clear()
    stream = await site.connect(REQUEST)
    assert await has_ended(await site.connect())
    site.may_answer.set()
    is_kept = await is_answered(stream)
    await site.close()
    return is_kept


async def test_the_longest_idle_connection_is_closed_for_a_new_one(site: Site) -> None:
    """It is idle since it was accepted, or since its last response."""
    await site.start(ConnectionLimiter(max_connections=3, first_seconds=LATER, next_seconds=LATER))
    asked, silent, asking = await site.connect(REQUEST), await site.connect(b"GET"), await site.connect()
    assert await is_answered(asked)
    asking[1].write(REQUEST)
    assert await is_answered(asking)
    await asyncio.gather(asking[0].readuntil(b"mail"), asked[0].readuntil(b"mail"))
    assert await is_answered(await site.connect(REQUEST))
    assert await has_ended(silent), "it is the longest idle one"
    assert await is_answered(await site.connect(REQUEST))
    assert await has_ended(asked)
    asking[1].write(REQUEST)
    assert await is_answered(asking), "it was not the longest idle one"


async def test_a_hundred_that_say_nothing_keep_nobody_out(site: Site) -> None:
    await site.start(ConnectionLimiter())
    idle = [await site.connect(REQUEST if number % 2 else b"GET / HT") for number in range(150)]
    for _ in range(5):
        assert await is_answered(await site.connect(REQUEST))
    assert await has_ended(idle[0])


async def test_one_that_waits_for_its_answer_is_not_closed_for_another(site: Site) -> None:
    await site.start(ConnectionLimiter(max_connections=2, first_seconds=LATER, next_seconds=LATER))
    site.may_answer.clear()
    waiting = [await site.connect(REQUEST), await site.connect(REQUEST)]
    await site.are_asking(2)
    assert await has_ended(await site.connect(REQUEST))
    site.may_answer.set()
    assert all([await is_answered(each) for each in waiting])
    assert await is_answered(await site.connect(REQUEST))


async def test_those_that_begin_no_tls_keep_nobody_out(site: Site, tmp_path: Path) -> None:
    await site.start(ConnectionLimiter(max_connections=4), make_context(tmp_path))
    idle = [await site.connect(b"\x16\x03\x01") for _ in range(20)]
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    trusting.check_hostname = False
    stream = await asyncio.open_connection(*site.server.sockets[0].getsockname(), ssl=trusting)
    stream[1].write(REQUEST)
    assert await is_answered(stream)
    assert await has_ended(idle[0])
    stream[1].close()


def make_context(folder: Path) -> ssl.SSLContext:
    """Return a TLS context with a self-signed certificate, cert.pem."""
    make = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run(
        ["openssl", *make, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.mark.parametrize(
    "text", [b"GET /" + 5000 * b"a", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 10000 * b"a", b"\x16\x03\x01\x00"]
)
async def test_requests_that_are_too_long_or_invalid_are_refused(site: Site, text: bytes) -> None:
    await site.start(ConnectionLimiter())
    stream = await site.connect(text + b"\r\n\r\n")
    async with asyncio.timeout(30):
        assert (await stream[0].read(12)) == b"HTTP/1.0 400"


def test_invalid_http_is_not_logged() -> None:
    def record(error: Exception) -> logging.LogRecord:
        try:
            raise error
        except type(error):
            return logging.LogRecord("bley", logging.ERROR, "", 0, "Error handling request", (), sys.exc_info())

    assert not is_not_bad_http(record(BadStatusLine("GET")))
    assert is_not_bad_http(record(ValueError()))
    assert is_not_bad_http(logging.LogRecord("bley", logging.ERROR, "", 0, "other", (), None))
