"""A real DNS server for tests: UDP and TCP on one free port of 127.0.0.1; the zone is data.

    zone = {"2.0.0.127.zen.example": {"A": ["127.0.0.2"]}, "dead.example": SILENT}
    with DnsServer(zone) as dns:
        ...  # query dns.address, then check dns.questions

It is the resolver of a world that consists of the zone alone: recursion is available, other names do not exist, and the
SOA of negative answers is the root's. The wire format is dnspython's.

* Names are lower-case ASCII without the final dot. Records are in zone-file form; names in them need no final dot. *
TXT is literal, one text (cut into strings of 255 bytes), unless it begins with a quote: then it is in zone-file form,
`'"v=spf1 " "-all"'` has two strings. * `*.zen.example` answers for every name below zen.example that is not in the
zone; the nearest wildcard wins. Unlike in RFC 4592 3.3.1, other names do not shadow it: a list that lists the world
lists 127.0.0.1 even if 127.0.0.2 has a record of its own. * A name that only has names below it is NODATA (RFC 8020),
any other unknown one is NXDOMAIN; both carry the SOA (RFC 2308). A chain of CNAMEs is followed, a loop of them is
SERVFAIL. * The answer is determined when the question arrives: later changes do not affect a delayed answer. * A
truncated answer is requested again over TCP, so the question is in `questions` twice. * After the `with` block there is
no listener at `address`, so a test gets "connection refused". A second `with` block of the same server listens there
again.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.TXT
import dns.rrset

if __package__:
    from tests.free_ports import free_port, listen_at
else:  # a script has the folder `tests` itself in its path
    from free_ports import free_port, listen_at  # type: ignore[import-not-found, no-redef, unused-ignore]

Records: TypeAlias = Mapping[str, Sequence[str]]
"""Record type to records: `{"A": ["127.0.0.2"]}`; an empty one is a name with NODATA for all types."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Answers with the records after this delay; other questions are not delayed."""

    seconds: float
    records: Records


@dataclass(frozen=True, slots=True)
class Truncated:
    """Answers UDP with TC and nothing else, TCP with the records."""

    records: Records


@dataclass(frozen=True, slots=True)
class Rcode:
    """Answers with this response code ("SERVFAIL", "REFUSED") only, without an SOA."""

    code: str


@dataclass(frozen=True, slots=True)
class Silent:
    """Never answers, neither over UDP nor over TCP."""


SILENT: Final = Silent()

Behaviour: TypeAlias = Delay | Truncated | Rcode | Silent
Entry: TypeAlias = Records | Behaviour
Zone: TypeAlias = Mapping[str, Entry]

_UDP_SIZE_WITHOUT_EDNS = 512  # RFC 1035 4.2.1
_TCP_SIZE = 65535
_UDP_SIZE_OFFERED = 1232  # the usual size since the DNS flag day of 2020
_LONGEST_CNAME_CHAIN = 16  # BIND's limit; a loop ends here with SERVFAIL
_LARGEST_RCODE_WITHOUT_EDNS = 15  # four bits, RFC 1035 4.1.1
_STEP_SECONDS = 60.0  # start and stop take milliseconds: only a hang reaches this limit
_LARGEST_TTL = 2**31 - 1  # RFC 2181 8


# -- The zone: text to nodes ----------------------------------------------------------------------


_Rdatas: TypeAlias = Mapping[dns.rdatatype.RdataType, Sequence[dns.rdata.Rdata]]


@dataclass(frozen=True, slots=True)
class _Node:
    """The records of one name, and how it answers."""

    records: _Rdatas = field(default_factory=dict)
    delay_seconds: float = 0.0
    truncated: bool = False
    silent: bool = False
    rcode: dns.rcode.Rcode | None = None

    def matching(self, rdtype: dns.rdatatype.RdataType) -> list[Sequence[dns.rdata.Rdata]]:
        """Return the records that answer a question for `rdtype`, an alias included."""
        wanted = (rdtype, dns.rdatatype.CNAME)
        asks_all = rdtype == dns.rdatatype.ANY
        return [rdatas for found, rdatas in self.records.items() if asks_all or found in wanted]

    def alias(self, rdtype: dns.rdatatype.RdataType) -> dns.name.Name | None:
        """Return the name where the answer to a question for `rdtype` continues; None if it ends here."""
        if rdtype in (dns.rdatatype.CNAME, dns.rdatatype.ANY):
            return None
        for rdata in self.records.get(dns.rdatatype.CNAME, ()):
            assert isinstance(rdata, dns.rdtypes.ANY.CNAME.CNAME)
            return rdata.target
        return None


class _World:
    """A checked zone; it is never changed, only replaced, so a question is answered from one zone."""

    def __init__(self, zone: Zone) -> None:
        self.zone: Zone = dict(zone)
        self._nodes = {_parse_name(name): _parse_entry(name, entry) for name, entry in zone.items()}
        self._inner = {parent for name in self._nodes for parent in _ancestors(name)}

    def find(self, name: dns.name.Name) -> _Node | None:
        """Return the node that answers for `name`, or None if there is no such name."""
        if node := self._nodes.get(name):
            return node
        for parent in _ancestors(name):
            if node := self._nodes.get(dns.name.Name((b"*", *parent.labels))):
                return node
        return _Node() if name in self._inner else None


def _ancestors(name: dns.name.Name) -> list[dns.name.Name]:
    return [dns.name.Name(name.labels[depth:]) for depth in range(1, len(name.labels))]


def _parse_name(text: str) -> dns.name.Name:
    if not text.isascii() or text != text.lower() or text.endswith(".") or not text:
        raise ValueError(f"{text!r}: a zone's names are lower-case ASCII without the final dot")
    if text != "*" and "*" in text.removeprefix("*."):
        raise ValueError(f"{text!r}: the wildcard is the first label, alone")
    try:
        return dns.name.from_text(text)
    except dns.exception.DNSException as error:
        raise ValueError(f"{text!r}: not a domain name: {error}") from error


def _parse_entry(name: str, entry: Entry) -> _Node:
    match entry:
        case Silent():
            return _Node(silent=True)
        case Rcode(code):
            return _Node(rcode=_parse_rcode(name, code))
        case Truncated(records):
            return _Node(_parse_records(name, records), truncated=True)
        case Delay(seconds, records):
            if seconds < 0:
                raise ValueError(f"{name}: {entry}: a delay is 0 seconds or more")
            return _Node(_parse_records(name, records), delay_seconds=seconds)
        case Mapping():
            return _Node(_parse_records(name, entry))
        case _:
            raise ValueError(f"{name}: {entry!r}: neither records nor a behaviour")


def _parse_rcode(name: str, code: str) -> dns.rcode.Rcode:
    try:
        rcode = dns.rcode.from_text(code)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{name}: Rcode {code!r}: no such response code") from error
    if rcode > _LARGEST_RCODE_WITHOUT_EDNS:
        raise ValueError(f"{name}: Rcode {code!r}: needs EDNS, which a query may lack")
    return rcode


def _parse_records(name: str, records: Records) -> _Rdatas:
    parsed: dict[dns.rdatatype.RdataType, list[dns.rdata.Rdata]] = {}
    for type_name, texts in records.items():
        if type(texts) is str:  # a str is a Sequence[str] too, so mypy cannot distinguish them
            raise ValueError(f"{name}: {type_name} {texts!r}: wants a list of records")
        for text in texts:
            try:
                rdtype = dns.rdatatype.from_text(type_name)
                parsed.setdefault(rdtype, []).append(_parse_record(rdtype, text))
            except (dns.exception.DNSException, ValueError) as error:
                raise ValueError(f"{name}: {type_name} {text!r}: {error}") from error
    aliases = parsed.get(dns.rdatatype.CNAME, [])
    if len(aliases) > 1 or (aliases and len(parsed) > 1):
        raise ValueError(f"{name}: CNAME {aliases[0].to_text()!r}: stands alone (RFC 1034 3.6.2)")
    return parsed


def _parse_record(rdtype: dns.rdatatype.RdataType, text: str) -> dns.rdata.Rdata:
    if rdtype == dns.rdatatype.TXT and not text.startswith('"'):
        octets = text.encode()
        strings = [octets[at : at + 255] for at in range(0, len(octets), 255)]
        return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, rdtype, strings or [b""])
    return dns.rdata.from_text(dns.rdataclass.IN, rdtype, text, dns.name.root, relativize=False)


# -- The answer: pure, no socket ------------------------------------------------------------------


@dataclass(slots=True)
class _Answer:
    message: dns.message.Message
    delay_seconds: float = 0.0
    truncated: bool = False

    def to_wire(self, *, udp_size: int | None) -> bytes:
        """Return the bytes to send; `udp_size` is the largest UDP answer, None means TCP."""
        if self.truncated and udp_size is not None:
            self.message.answer.clear()
            self.message.authority.clear()
            self.message.flags |= dns.flags.TC
        size = udp_size or _TCP_SIZE
        # Unshuffled, in the order of the zone: a test must not depend on chance.
        return self.message.to_wire(max_size=size, prefer_truncation=True, want_shuffle=False)


def _answer(world: _World, query: dns.message.Message, ttl_seconds: int) -> _Answer | None:
    """Return the answer to a query with one question; None for silence."""
    message = dns.message.make_response(query, our_payload=_UDP_SIZE_OFFERED)
    message.flags |= dns.flags.RA
    if query.ednsflags & dns.flags.DO:
        message.want_dnssec()  # RFC 3225 3: copied into the response
    if query.edns > 0:
        message.set_rcode(dns.rcode.BADVERS)  # RFC 6891 6.1.3
        return _Answer(message)
    if query.question[0].rdclass != dns.rdataclass.IN:
        message.set_rcode(dns.rcode.REFUSED)
        return _Answer(message)
    return _follow(world, _Answer(message), ttl_seconds)


def _follow(world: _World, answer: _Answer, ttl_seconds: int) -> _Answer | None:
    """Fill the answer, from the question along the CNAME chain (RFC 1034 4.3.2)."""
    message = answer.message
    name, rdtype = message.question[0].name, message.question[0].rdtype
    for _ in range(_LONGEST_CNAME_CHAIN):
        node = world.find(name)
        if node is None:
            message.set_rcode(dns.rcode.NXDOMAIN)
            message.authority.append(_soa(ttl_seconds))
            return answer
        if node.silent:
            return None
        answer.delay_seconds += node.delay_seconds
        answer.truncated |= node.truncated
        if node.rcode is not None:
            message.set_rcode(node.rcode)
            return answer
        matching = node.matching(rdtype)
        message.answer += [dns.rrset.from_rdata_list(name, ttl_seconds, each) for each in matching]
        if not matching:
            message.authority.append(_soa(ttl_seconds))
        target = node.alias(rdtype)
        if target is None:
            return answer
        name = target
    message.set_rcode(dns.rcode.SERVFAIL)
    return answer


def _soa(ttl_seconds: int) -> dns.rrset.RRset:
    """Return the authority of a negative answer, with the TTL as its minimum (RFC 2308 3)."""
    text = f"dns.invalid. nobody.invalid. 1 3600 600 86400 {ttl_seconds}"
    return dns.rrset.from_text(dns.name.root, ttl_seconds, "IN", "SOA", text)


# -- The sockets ----------------------------------------------------------------------------------

_T = TypeVar("_T")
_Send: TypeAlias = Callable[[bytes], None]


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: asyncio's own UDP transport is no DatagramTransport in Python 3.11.
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._server._open.add(self._transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._server._received(data, lambda wire: self._transport.sendto(wire, addr), udp=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._open.discard(self._transport)


class _Tcp(asyncio.Protocol):
    """A TCP connection: messages with their length before them; answers leave when they are ready (RFC 7766 7)."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server._open.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            end = 2 + int.from_bytes(self._buffer[:2], "big")
            if len(self._buffer) < end:
                return
            wire, self._buffer = self._buffer[2:end], self._buffer[end:]
            self._server._received(wire, self._send, udp=False)

    def _send(self, wire: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(len(wire).to_bytes(2, "big") + wire)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._open.discard(self._transport)


class DnsServer:
    """A server of `zone` in a thread of its own, during the `with` block.

    `ttl` is in seconds and applies to records and, as the SOA's minimum, to negative answers. All methods may be called
    from any thread. Bad zone data raises ValueError with the name and the record. A fault of the server itself is
    raised at the end of the block, so that no test misses it. `at` is a host and port to listen at, for a resolver that
    knows port 53 only.
    """

    def __init__(self, zone: Zone, *, ttl: int = 300, at: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        if not 0 <= ttl <= _LARGEST_TTL:
            raise ValueError(f"ttl {ttl}: 0 to {_LARGEST_TTL} seconds")
        self._host, self.port = at  # the port is known inside the `with` block, and reused for the next one
        self._ttl_seconds = ttl
        self._world = _World(zone)
        self._lock = threading.Lock()  # protects the replacement of _world, _questions and _silent
        self._questions: list[tuple[str, str]] = []
        self._silent = False
        self._stack = ExitStack()
        # What follows belongs to the server's thread.
        self._open: set[asyncio.Transport | asyncio.DatagramTransport] = set()
        self._delayed: set[asyncio.TimerHandle] = set()
        self._faults: list[BaseException] = []

    @property
    def address(self) -> str:
        """The address in the form of c-ares, `127.0.0.1:PORT`."""
        return f"{self._host}:{self.port}"

    @property
    def zone(self) -> Zone:
        """The current zone."""
        return self._world.zone

    def set_zone(self, zone: Zone) -> None:
        """Replace the zone."""
        world = _World(zone)
        with self._lock:
            self._world = world

    def update(self, name: str, entry: Entry) -> None:
        """Replace the records or the behavior of one name."""
        with self._lock:
            self._world = _World({**self._world.zone, name: entry})

    @property
    def questions(self) -> list[tuple[str, str]]:
        """All questions so far as (name in lower case, type), in order, answered or not."""
        with self._lock:
            return list(self._questions)

    def forget_questions(self) -> None:
        """Empty `questions`."""
        with self._lock:
            self._questions.clear()

    def silence(self) -> None:
        """Stop answering, as behind a broken line; questions are still recorded."""
        with self._lock:
            self._silent = True

    def speak(self) -> None:
        """Answer again; earlier questions stay unanswered."""
        with self._lock:
            self._silent = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            tcp, udp = listen_at(self.port or free_port(), self._host)
            stack.callback(tcp.close)
            stack.callback(udp.close)
            self.port = tcp.getsockname()[1]
            # Not new_event_loop(): a uvloop policy must not change what the tests run against.
            loop = asyncio.SelectorEventLoop()
            stack.callback(loop.close)
            loop.set_exception_handler(self._failed)
            name = f"dns {self.address}"
            thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(loop.call_soon_threadsafe, loop.stop)
            listener = _run_in(loop, self._start(tcp, udp))
            stack.callback(lambda: _run_in(loop, self._stop(listener)))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        if self._faults and exc is None:
            raise self._faults[0]

    async def _start(self, tcp: socket.socket, udp: socket.socket) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: _Udp(self), sock=udp)
        return await loop.create_server(lambda: _Tcp(self), sock=tcp)

    async def _stop(self, listener: asyncio.Server) -> None:
        # asyncio loses the socket of a connection that is half accepted when its listener closes:
        # stop accepting, let current ones finish, then close.
        for listening in listener.sockets:
            asyncio.get_running_loop().remove_reader(listening)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        listener.close()
        for handle in self._delayed:
            handle.cancel()
        while self._open:
            for transport in list(self._open):
                transport.abort()
            await asyncio.sleep(0)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._faults.append(context.get("exception") or RuntimeError(context["message"]))

    def _received(self, wire: bytes, send: _Send, *, udp: bool) -> None:
        """Handle one packet; all but a query with exactly one question is ignored."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return
        is_response = query.flags & dns.flags.QR
        if is_response or query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            return
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        with self._lock:
            self._questions.append((name, dns.rdatatype.to_text(question.rdtype)))
            silent, world = self._silent, self._world
        if silent or (answer := _answer(world, query, self._ttl_seconds)) is None:
            return
        udp_size = max(_UDP_SIZE_WITHOUT_EDNS, query.payload) if udp else None
        self._send_later(answer.delay_seconds, send, answer.to_wire(udp_size=udp_size))

    def _send_later(self, delay_seconds: float, send: _Send, wire: bytes) -> None:
        if not delay_seconds:
            send(wire)
            return

        def send_now() -> None:
            self._delayed.discard(handle)
            send(wire)

        handle = asyncio.get_running_loop().call_later(delay_seconds, send_now)
        self._delayed.add(handle)


def _run_in(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of `work`, run in the loop of the other thread."""
    return asyncio.run_coroutine_threadsafe(work, loop).result(_STEP_SECONDS)
