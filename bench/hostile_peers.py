"""Hostile peers for the soak: each does one thing that no Postfix does, and checks the reaction.

A valid request gets its answer; anything else closes the connection without one. Nothing may hang.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import cycle

from bench.mixed_mail import Asked, MixedMail, PolicyPeer
from bley.core.wire import encode_request

__all__ = ["HostilePeers"]

_PIPELINED = 50
_UNREAD = 300
_IDLE = 40
_IDLE_SECONDS = 2.0


class HostilePeers:
    """Hostile peers that take turns; `mail` makes the requests that they send."""

    def __init__(self, port: int, mail: MixedMail, asked: Asked) -> None:
        self._port, self._mail, self._asked = port, mail, asked
        self._chance = random.Random(4712)
        self._deeds = cycle(self._all())

    def _all(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            lambda: self._is_refused(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            lambda: self._is_refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + self._chance.randbytes(400)),
            lambda: self._is_refused(b"sender=" + b"x" * 40_000 + b"\n\n"),
            lambda: self._is_refused(b"".join(b"a%d=\n" % number for number in range(150)) + b"\n"),
            lambda: self._is_refused(b"request=other\n\n"),
            lambda: self._is_refused(b"protocol_state=RCPT\nsender=a\0b@d\n\n"),
            lambda: self._is_refused(b"protocol_state=RCPT\nsender=a@"),
            self._closes_in_the_middle,
            self._sends_bits,
            self._sends_carriage_returns,
            self._sends_other_bytes,
            self._pipelines,
            self._does_not_read,
            self._half_closes,
            self._comes_and_goes,
            self._leaves_before_the_answer,
            self._idles,
            self._varies_the_order,
        ]

    @property
    def number(self) -> int:
        """The number of deeds: after this number of turns, each was done once."""
        return len(self._all())

    async def take_turn(self) -> None:
        """Do the next deed, and note a fault of bley."""
        deed = next(self._deeds)
        try:
            await deed()
        except (TimeoutError, ConnectionError) as error:
            self._asked.faults.append(f"a hostile peer: {deed} {error!r}")

    async def _is_refused(self, data: bytes) -> None:
        async with PolicyPeer.open(self._port) as peer:
            peer.send(data)
            if answer := await peer.answer():
                self._asked.faults.append(f"answered {answer!r} to {data[:60]!r}")

    async def _closes_in_the_middle(self) -> None:
        async with PolicyPeer.open(self._port) as peer:
            peer.send(encode_request(self._mail.request())[:50])

    async def _sends_bits(self) -> None:
        request = self._mail.request()
        data = encode_request(request)[:20_000]
        if not data.endswith(b"\n\n"):
            return
        async with PolicyPeer.open(self._port) as peer:
            step = max(len(data) // 50, 1)
            for at in range(0, len(data), step):
                peer.send(data[at : at + step])
                await asyncio.sleep(0.005)
            self._asked.note(request, await peer.answer())

    async def _sends_carriage_returns(self) -> None:
        """CRLF is accepted as a line end; a lone CR may be refused."""
        request = self._mail.request()
        async with PolicyPeer.open(self._port) as peer:
            peer.send(encode_request(request).replace(b"\n", b"\r\n"))
            self._asked.note(request, await peer.answer())
            request = self._mail.request()
            peer.send(encode_request(request).replace(b"sender=", b"sender=a\rb"))
            if answer := await peer.answer():
                self._asked.given_up[request.instance] = request
                assert answer.startswith(b"action=")

    async def _sends_other_bytes(self) -> None:
        request = self._mail.request()
        async with PolicyPeer.open(self._port) as peer:
            peer.send(encode_request(request._replace(sender="")).replace(b"\n\n", b"\nsender=\xff\xc3@d.example\n\n"))
            answer = await peer.answer()
            self._asked.given_up[request.instance] = request
            if not answer:
                self._asked.faults.append("no answer to a sender that is no UTF-8")

    async def _pipelines(self) -> None:
        requests = [self._mail.request() for _ in range(_PIPELINED)]
        async with PolicyPeer.open(self._port) as peer:
            peer.send(b"".join(map(encode_request, requests)))
            for request in requests:
                self._asked.note(request, await peer.answer())

    async def _does_not_read(self) -> None:
        """Send more requests than fit into any buffer with their answers, and read no answer."""
        requests = [self._mail.request() for _ in range(_UNREAD)]
        self._asked.given_up |= {request.instance: request for request in requests}
        async with PolicyPeer.open(self._port) as peer:
            peer.send(b"".join(map(encode_request, requests)))
            await asyncio.sleep(1)
            peer.reset()

    async def _half_closes(self) -> None:
        request = self._mail.request()
        async with PolicyPeer.open(self._port) as peer:
            peer.send(encode_request(request))
            peer.end()
            self._asked.note(request, await peer.answer())
            if rest := await peer.answer():
                self._asked.faults.append(f"a second answer {rest!r} to {request}")

    async def _comes_and_goes(self) -> None:
        async with PolicyPeer.open(self._port) as peer:
            peer.reset()

    async def _leaves_before_the_answer(self) -> None:
        request = self._mail.request()
        self._asked.given_up[request.instance] = request
        async with PolicyPeer.open(self._port) as peer:
            peer.send(encode_request(request))
            await asyncio.sleep(0.01)
            peer.reset()

    async def _idles(self) -> None:
        opened = [await asyncio.open_connection("127.0.0.1", self._port) for _ in range(_IDLE)]
        await asyncio.sleep(_IDLE_SECONDS)
        for _, writer in opened:
            writer.close()

    async def _varies_the_order(self) -> None:
        """Send the attributes in a new order each time."""
        async with PolicyPeer.open(self._port) as peer:
            for _ in range(20):
                request = self._mail.request()
                lines = encode_request(request).rstrip(b"\n").split(b"\n")
                self._chance.shuffle(lines)
                peer.send(b"\n".join(lines) + b"\n\n")
                self._asked.note(request, await peer.answer())
