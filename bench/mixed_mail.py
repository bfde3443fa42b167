"""Mixed mail for the soak: known and strange requests at a steady rate, each with an instance of its own."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from bench.hostile_dns import SENDER_DOMAINS
from bley.core.mail import Request
from bley.core.wire import encode_request

__all__ = ["Asked", "MixedMail", "PolicyPeer"]

ANSWER_SECONDS = 15.0
"""A limit far above check_timeout plus the store's second: a longer answer is a fault."""

_NO_ANSWER_BYTES = 200
_KNOWN = 100
_RETRIED = 300
_CONNECTIONS = 30


@dataclass
class Asked:
    """Requests by instance, with their answers."""

    answered: dict[str, tuple[Request, bytes]] = field(default_factory=dict)
    given_up: dict[str, Request] = field(default_factory=dict)
    """Requests whose peer disconnected, so that they have an answer or none."""
    faults: list[str] = field(default_factory=list)

    def note(self, request: Request, answer: bytes) -> None:
        """Note an answer, and a fault if it is empty or not one line with an action."""
        if not answer:
            self.faults.append(f"no answer to {request}")
        elif not answer.startswith(b"action=") or b"\n" in answer:
            self.faults.append(f"{answer[:200]!r} is no answer to {request}")
        self.answered[request.instance] = request, answer


class PolicyPeer:
    """A connection in the manner of Postfix: a request, its answer, and so on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator["PolicyPeer"]:
        """Connect, and close at the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort() if writer.is_closing() else writer.close()

    def send(self, data: bytes) -> None:
        """Send without waiting."""
        self._writer.write(data)

    def end(self) -> None:
        """Close the sending half, as Exim does."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Reset the connection."""
        self._writer.transport.abort()

    async def answer(self) -> bytes:
        """Return the next answer; empty if bley closes instead, and malformed data as it is. Raises TimeoutError."""
        async with asyncio.timeout(ANSWER_SECONDS):
            try:
                return (await self._reader.readuntil(b"\n\n")).strip()
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""
            except asyncio.LimitOverrunError:
                return await self._reader.read(_NO_ANSWER_BYTES)

    async def ask(self, request: Request, asked: Asked) -> bytes:
        """Send a request and note its answer."""
        self.send(encode_request(request))
        try:
            answer = await self.answer()
        except TimeoutError:
            answer = b""
        asked.note(request, answer)
        return answer


class MixedMail:
    """A source of requests: the same ones in each run, except for their order among connections."""

    def __init__(self, port: int, rate: float, asked: Asked) -> None:
        self._port, self._rate, self._asked = port, rate, asked
        self._chance = random.Random(4711)
        self._numbers = count(1)
        self._deferred: deque[Request] = deque(maxlen=_RETRIED)
        self._queue: asyncio.Queue[Request] = asyncio.Queue()
        self._connections: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Open the permanent connections."""
        self._connections = [asyncio.create_task(self._connection()) for _ in range(_CONNECTIONS)]

    async def close(self) -> None:
        """Close them."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def send_for(self, seconds: float) -> None:
        """Send requests for this time, and wait for the last answer."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        at = loop.time()
        while at < end:
            self._queue.put_nowait(self.request())
            at += self._chance.expovariate(self._rate)
            await asyncio.sleep(max(at - loop.time(), 0))
        await self._queue.join()

    def request(self) -> Request:
        """Return the next request."""
        kinds = (self._known, self._retry, self._good, self._half_good, self._bad, self._odd)
        (kind,) = self._chance.choices(kinds, weights=(40, 15, 10, 15, 12, 8))
        return kind()._replace(instance=f"soak.{next(self._numbers)}", queue_id="4Xy")

    async def _connection(self) -> None:
        async with PolicyPeer.open(self._port) as peer:
            while True:
                request = await self._queue.get()
                answer = await peer.ask(request, self._asked)
                if answer.startswith(b"action=DEFER"):
                    self._deferred.append(request)
                self._queue.task_done()

    def _known(self) -> Request:
        number = self._chance.randrange(_KNOWN)
        name = f"mx.known{number}.example"
        return _mail(f"192.0.2.{number + 1}", name, name, f"user{number}@known{number}.example")

    def _retry(self) -> Request:
        return self._chance.choice(self._deferred) if self._deferred else self._known()

    def _good(self) -> Request:
        """Return a stranger whose name and HELO agree."""
        number = self._chance.randrange(_KNOWN)
        name = f"mx.good{number}.example"
        return _mail(f"203.0.113.{number}", name, name, f"{self._local()}@good{number}.example")

    def _half_good(self) -> Request:
        """Return a stranger that SPF decides about, mostly from a hostile domain."""
        number = self._chance.randrange(_KNOWN)
        address = f"198.51.100.{number}"
        domain = self._chance.choice(SENDER_DOMAINS)
        return _mail(address, f"mx.half{number}.example", f"smtp.half{number}.example", f"{self._local()}@{domain}")

    def _bad(self) -> Request:
        number = self._chance.randrange(250)
        helo = self._chance.choice(("friend", "localhost", "[192.0.2.9]", f"host-{number}.dsl.example.net"))
        return _mail(f"198.18.0.{number}", "unknown", helo, f"{self._local()}@spam{number}.example")

    def _odd(self) -> Request:
        """Return an unusual request, or one that is no mail."""
        ordinary = self._bad()
        return self._chance.choice(
            [
                ordinary._replace(sender="", helo_name="macro.example"),
                ordinary._replace(sender="Jürgen.Straße@BÜCHER.example"),
                ordinary._replace(sender="prvs=1=srs0=h=t=d.example=x+y@plain.example"),
                ordinary._replace(sender="7" * 300 + "@d.example"),
                ordinary._replace(sender="a, reason=known\\x2c\x1b[2J@d.example"),
                ordinary._replace(sender='"x@y"@plain.example', helo_name="h" * 5000),
                ordinary._replace(recipient="postmaster@example.org"),
                ordinary._replace(recipient=""),
                ordinary._replace(client_address="nowhere"),
                ordinary._replace(protocol_state="DATA"),
                ordinary._replace(sasl_username="jane"),
                ordinary._replace(client_address="::ffff:198.18.0.1"),
                ordinary._replace(client_address="2001:db8::1", recipient=ordinary.sender),
                ordinary._replace(client_name="a." * 2000 + "example", client_address="198.18.1.1"),
            ]
        )

    def _local(self) -> str:
        return f"s{self._chance.randrange(10**9)}"


def _mail(address: str, name: str, helo: str, sender: str) -> Request:
    return Request("RCPT", "", address, name, helo, sender, "jane@example.org")
