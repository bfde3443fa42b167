"""A network with faults: a TCP proxy between a client and a server of 127.0.0.1."""

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from threading import Thread
from typing import NamedTuple, Self, TypeVar

WAIT_SECONDS = 60.0
# SO_LINGER: the next close sends a reset (RFC 9293 3.10.7.4, "abort") instead of an end.
RESET_AT_CLOSE = struct.pack("ii", 1, 0)

Result = TypeVar("Result")


class Answers(NamedTuple):
    """A fault of the answer to every request that contains one of these words, such as COMMIT.

    It is delayed by this number of seconds; without seconds it is lost, and both ends of the connection are reset.
    """

    words: tuple[bytes, ...]
    late_seconds: float = 0


class TcpProxy:
    """A free port of 127.0.0.1, `port`, that leads to this one.

    A client gets no notice of a cut network: the kernel accepts what it sends, and answers keepalive probes in the
    server's place. Only a timeout of its own can help it. `faults`: the number of answers that `spoil` has affected.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._whole = asyncio.Event()
        self._spoilt: Answers | None = None
        self.faults = 0
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._forward, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, url: str) -> str:
        """Return this URL of the server, by way of the proxy."""
        return url.replace(f":{self._target_port}/", f":{self.port}/")

    def cut(self) -> None:
        """Stop all traffic, including the end of a connection. New connections are accepted and get no answer."""
        self._run(self._set_whole(False))

    def mend(self) -> None:
        """Resume all traffic, first what was sent in the meantime."""
        self._run(self._set_whole(True))

    def spoil(self, answers: Answers | None) -> None:
        """Delay or lose these answers from now on; None: no answers."""
        self._spoilt = answers

    def _run(self, work: Coroutine[object, object, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    async def _set_whole(self, whole: bool) -> None:
        if whole:
            self._whole.set()
        else:
            self._whole.clear()

    async def _reset(self, ends: set[asyncio.StreamWriter]) -> None:
        for end in ends:
            if not end.is_closing():
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
                end.transport.abort()
        # The loop closes an aborted connection in its next turn.
        await asyncio.sleep(0)

    async def _end(self) -> None:
        self._server.close()
        self._whole.set()
        # A connection that is being opened has a second end in a moment.
        while self._tasks:
            await self._reset(self._ends)
            await asyncio.sleep(0.001)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = {writer}
        self._ends |= ends
        try:
            await self._whole.wait()
            target_reader, target = await asyncio.open_connection("127.0.0.1", self._target_port)
            ends.add(target)
            self._ends |= ends
            is_asked = asyncio.Event()  # its answer is to be spoilt
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, target, lambda data: self._look_at(data, is_asked)))
                both.create_task(self._copy(target_reader, writer, lambda _: self._spoil(is_asked)))
        except* OSError:  # Both ends are treated alike.
            await self._reset(ends)
        finally:
            self._ends -= ends
            for end in ends:
                end.close()

    async def _look_at(self, request: bytes, is_asked: asyncio.Event) -> None:
        if self._spoilt and any(words in request.upper() for words in self._spoilt.words):
            is_asked.set()

    async def _spoil(self, is_asked: asyncio.Event) -> None:
        if not (is_asked.is_set() and self._spoilt):
            return
        is_asked.clear()
        self.faults += 1
        if not self._spoilt.late_seconds:
            raise ConnectionResetError("the answer is lost")
        await asyncio.sleep(self._spoilt.late_seconds)

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        judge_host_name: Callable[[bytes], Coroutine[object, object, None]],
    ) -> None:
        more = True
        while more:
            try:
                data = await reader.read(65536)
            finally:
                # Not even a reset gets through.
                await self._whole.wait()
            if more := bool(data):
                await judge_host_name(data)
                writer.write(data)
                await writer.drain()
        writer.write_eof()
