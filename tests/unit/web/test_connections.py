"""Who connects and says nothing, or asks for too much, keeps nobody else out."""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadStatusLine

from bley.web.connections import LIMITS, Connections, is_own_fault

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
SOON, LATER = 0.1, 30.0
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """A server whose answer comes when `may_answer`."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._opened: list[asyncio.StreamWriter] = []

    async def start(self, connections: Connections) -> None:
        application = web.Application(middlewares=[connections.keep_while_answered])
        application.router.add_get("/", self._show)
        self.runner = web.AppRunner(application, access_log=None, logger=logging.getLogger("quiet"), **LIMITS)
        await self.runner.setup()
        self.server = await connections.accept(self.runner, socket.create_server(("127.0.0.1", 0)), None)

    async def _show(self, _: web.Request) -> web.Response:
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
    """Whether there is an answer before the end."""
    try:
        async with asyncio.timeout(5):
            return (await stream[0].read(12)) == b"HTTP/1.1 200"
    except ConnectionError:
        return False


async def has_ended(stream: Stream) -> bool:
    try:
        async with asyncio.timeout(5):
            return await stream[0].read() == b""
    except ConnectionError:
        return True


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.close()


@pytest.mark.parametrize("text", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_who_sends_no_whole_request_is_cut_off(site: Site, text: bytes) -> None:
    await site.start(Connections(first_seconds=SOON, next_seconds=LATER))
    assert await has_ended(await site.connect(text))


async def test_who_sends_no_second_request_is_cut_off(site: Site) -> None:
    await site.start(Connections(first_seconds=LATER, next_seconds=SOON))
    stream = await site.connect(REQUEST + b"GET / HT")
    assert await is_answered(stream)
    await stream[0].readuntil(b"mail")
    assert await has_ended(stream)


async def test_who_asks_on_is_kept(site: Site) -> None:
    await site.start(Connections(first_seconds=LATER, next_seconds=LATER))
    stream = await site.connect()
    for _ in range(3):
        stream[1].write(REQUEST)
        assert await is_answered(stream)
        await stream[0].readuntil(b"mail")


async def test_who_waits_for_an_answer_is_kept(site: Site) -> None:
    await site.start(Connections(first_seconds=0.02, next_seconds=LATER))
    site.may_answer.clear()
    stream = await site.connect(REQUEST)
    assert await has_ended(await site.connect()), "by when this one's first request is overdue as well"
    site.may_answer.set()
    assert await is_answered(stream)


async def test_one_too_many_is_closed_until_another_goes(site: Site) -> None:
    await site.start(Connections(most=2, first_seconds=LATER, next_seconds=LATER))
    first, second = await site.connect(REQUEST), await site.connect()
    assert await is_answered(first)
    assert await has_ended(await site.connect(REQUEST))
    first[1].close()
    await first[1].wait_closed()
    second[1].write(REQUEST)
    assert await is_answered(second)
    assert await is_answered(await site.connect(REQUEST))


@pytest.mark.parametrize(
    "text", [b"GET /" + 5000 * b"a", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 10000 * b"a", b"\x16\x03\x01\x00"]
)
async def test_what_is_too_long_or_no_http_is_refused(site: Site, text: bytes) -> None:
    await site.start(Connections())
    stream = await site.connect(text + b"\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await stream[0].read(12)) == b"HTTP/1.0 400"


def test_a_stranger_s_bytes_are_no_fault_of_ours() -> None:
    def record(error: Exception) -> logging.LogRecord:
        try:
            raise error
        except type(error):
            return logging.LogRecord("bley", logging.ERROR, "", 0, "Error handling request", (), sys.exc_info())

    assert not is_own_fault(record(BadStatusLine("GET")))
    assert is_own_fault(record(ValueError()))
    assert is_own_fault(logging.LogRecord("bley", logging.ERROR, "", 0, "other", (), None))
