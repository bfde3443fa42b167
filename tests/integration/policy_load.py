"""A load as Postfix makes it, over TCP and a unix socket, on kept and new connections; as a program, until stdin ends.

usage: python -m tests.integration.policy_load REQUESTS_PER_SECOND PLACE…

Postfix retries once, on a new connection, if a kept one is closed (smtpd_policy_service_try_limit). Each tenth request
comes in two parts. The program prints the number of answers, and a line for each request that a peer lost.
"""

import asyncio
import sys
from collections.abc import Sequence

from bley.core.mail import Request
from bley.core.wire import encode_request

_KEPT = 10
_RETRY_SECONDS = 0.2
_GAP_SECONDS = 0.02
"""Between the two parts of a request."""


class Load:
    """The peers, and what became of their requests."""

    def __init__(self, places: Sequence[str], per_second: float) -> None:
        self._places, self._pause = places, 2 / per_second  # half of the requests come on kept connections
        self._number = 0
        self.answers = 0
        self.lost: list[str] = []

    async def run(self) -> None:
        """Send requests until standard input ends."""
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        async with asyncio.TaskGroup() as peers:
            for number in range(_KEPT):
                peers.create_task(self._keep(Peer(self._place(number)), ended))
            while not ended.done():
                peers.create_task(self._send_one())
                await asyncio.sleep(self._pause)

    def _place(self, number: int) -> str:
        return self._places[number % len(self._places)]

    async def _keep(self, peer: "Peer", ended: asyncio.Task[str]) -> None:
        while not ended.done():
            await self._send(peer)
            await asyncio.sleep(self._pause * _KEPT)
        peer.close()

    async def _send_one(self) -> None:
        peer = Peer(self._place(self._number))
        await self._send(peer, retries=0)
        peer.close()

    async def _send(self, peer: "Peer", retries: int = 1) -> None:
        self._number += 1
        number = self._number
        request = Request(client_address=f"192.0.2.{number % 250}", sender=f"a{number}@example.com", recipient="b@c.de")
        try:
            await peer.ask(encode_request(request), in_parts=number % 10 == 0)
        except (OSError, EOFError) as error:
            peer.close()
            if not retries:
                self.lost.append(f"request {number}: {error!r}")
                return
            await asyncio.sleep(_RETRY_SECONDS)
            await self._send(peer, retries - 1)
        else:
            self.answers += 1


class Peer:
    """A connection, opened when it is needed."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, data: bytes, *, in_parts: bool) -> None:
        """Send a request and read the answer. Raises OSError and EOFError."""
        reader, writer = self._streams = self._streams or await self._connect()
        if in_parts:
            writer.write(data[:10])
            await asyncio.sleep(_GAP_SECONDS)
        writer.write(data[10:] if in_parts else data)
        await reader.readuntil(b"\n\n")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._place.startswith("/"):
            return await asyncio.open_unix_connection(self._place)
        host, _, port = self._place.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    def close(self) -> None:
        """Close the connection."""
        if self._streams:
            self._streams[1].close()
        self._streams = None


async def _main() -> None:
    load = Load(sys.argv[2:], float(sys.argv[1]))
    await load.run()
    print(load.answers, *load.lost, sep="\n")


if __name__ == "__main__":
    asyncio.run(_main())
