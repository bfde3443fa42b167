"""A network that a test can cut: a TCP proxy between a client and a server of 127.0.0.1."""

import asyncio
import socket
import struct
from collections.abc import Coroutine
from threading import Thread
from typing import Self, TypeVar

WAIT_SECONDS = 20.0
# SO_LINGER: the next close sends a reset (RFC 9293 3.10.7.4, "abort") instead of an end.
RESET_AT_CLOSE = struct.pack("ii", 1, 0)

Result = TypeVar("Result")


class TcpProxy:
    """A free port of 127.0.0.1, `port`, that leads to this one.

    Of a cut network a client is not told: the kernel takes what it sends, and answers keepalive
    probes in the server's place. Only a timeout of its own can help it.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._whole = asyncio.Event()
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
        """This url of the server, by way of the proxy."""
        return url.replace(f":{self._target_port}/", f":{self.port}/")

    def cut(self) -> None:
        """Let nothing pass, no end of a connection either. New ones are taken and get no answer."""
        self._run(self._set_whole(False))

    def mend(self) -> None:
        """Let all pass again, first what was sent in the meantime."""
        self._run(self._set_whole(True))

    def close_all(self) -> None:
        """Reset all connections, at both ends."""
        self._run(self._reset(self._ends))

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
        # An aborted connection is closed at the loop's next turn.
        await asyncio.sleep(0)

    async def _end(self) -> None:
        self._server.close()
        self._whole.set()
        # One that is just reaching the server has a second end in a moment.
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
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, target))
                both.create_task(self._copy(target_reader, writer))
        except* OSError:  # What happens to one end happens to the other.
            await self._reset(ends)
        finally:
            self._ends -= ends
            for end in ends:
                end.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        more = True
        while more:
            try:
                data = await reader.read(65536)
            finally:
                # Not even a reset gets through.
                await self._whole.wait()
            if more := bool(data):
                writer.write(data)
                await writer.drain()
        writer.write_eof()
