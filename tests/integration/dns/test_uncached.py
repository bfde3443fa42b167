"""The resolver on dnspython, against a real DNS server on the loopback. Odd names are in test_resolver."""

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import dns.message
import dns.rcode
import dns.resolver
import pytest

from bley.core.errors import ResolverError
from bley.dns.uncached import DnspythonResolver
from bley.ports import ResourceRecord, RrType
from tests.dns_server import SILENT, DnsServer, Rcode, Truncated, Zone
from tests.fakes import Data

_WITHIN = timedelta(seconds=2)
_SHORT = timedelta(milliseconds=50)
_LATER = timedelta(seconds=20)
_LONG_TEXT = "long " * 1000

_ZONE: Zone = {
    "a.example": {
        "A": ["192.0.2.1", "192.0.2.2"],
        "AAAA": ["2001:db8::1"],
        "MX": ["10 mx.example"],
        "TXT": ['"in " "two"'],
        "NS": ["ns.example"],
    },
    "1.2.0.192.in-addr.arpa": {"PTR": ["a.example"]},
    "alias.example": {"CNAME": ["a.example"]},
    "truncated.example": Truncated({"TXT": [_LONG_TEXT]}),
    "silent.example": SILENT,
}


@pytest.fixture
def dns_server() -> Iterator[DnsServer]:
    with DnsServer(_ZONE) as server:
        yield server


@pytest.fixture
def dead() -> DnsServer:
    """Where nobody listens any more."""
    with DnsServer({}) as server:
        pass
    return server


def asking(*servers: DnsServer, within: timedelta = _WITHIN) -> DnspythonResolver:
    return DnspythonResolver([server.address for server in servers], within)


async def failure(resolver: DnspythonResolver, name: str = "a.example") -> ResolverError:
    with pytest.raises(ResolverError) as caught:
        await resolver.resolve(name, "A")
    return caught.value


@pytest.mark.parametrize(
    ("name", "rrtype", "data"),
    [
        ("a.example", "A", ["192.0.2.1", "192.0.2.2"]),
        ("a.example", "AAAA", ["2001:db8::1"]),
        ("a.example", "MX", [(10, "mx.example")]),
        ("a.example", "TXT", [b"in two"]),
        ("1.2.0.192.in-addr.arpa", "PTR", ["a.example"]),
        ("truncated.example", "TXT", [_LONG_TEXT.encode()]),
        ("a.example", "PTR", []),
        ("nowhere.example", "A", []),
        ("a..example", "A", []),
        (f"{'a' * 64}.example", "A", []),
    ],
)
async def test_records_are_as_the_port_says(dns_server: DnsServer, name: str, rrtype: RrType, data: list[Data]) -> None:
    """What does not exist, or cannot, has none."""
    records = await asking(dns_server).resolve(name, rrtype)
    assert records == [ResourceRecord(name, rrtype, each, 300) for each in data]


async def test_aliases_on_the_way_are_in_the_answer(dns_server: DnsServer) -> None:
    assert await asking(dns_server).resolve("alias.example", "AAAA") == [
        ResourceRecord("alias.example", "CNAME", "a.example", 300),
        ResourceRecord("a.example", "AAAA", "2001:db8::1", 300),
    ]


@pytest.mark.parametrize("name", ["a.example", "nowhere.example"])
async def test_every_question_goes_to_the_server(dns_server: DnsServer, name: str) -> None:
    """However long an answer may be kept."""
    resolver = asking(dns_server)
    for _ in range(3):
        await resolver.resolve(name, "A")
    assert dns_server.questions == [(name, "A")] * 3


async def test_what_has_changed_is_seen_at_once(dns_server: DnsServer) -> None:
    resolver = asking(dns_server)
    await resolver.resolve("a.example", "A")
    dns_server.update("a.example", {"A": ["127.0.0.2"]})
    assert [record.data for record in await resolver.resolve("a.example", "A")] == ["127.0.0.2"]


@pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"])
async def test_a_failure_is_told_by_the_rfc_s_name_for_it(code: str) -> None:
    """RFC 1035 4.1.1. It is no silence: somebody answered."""
    with DnsServer({"a.example": Rcode(code)}) as server:
        error = await failure(asking(server))
    assert (error.name, error.rrtype, error.why, error.is_silence) == ("a.example", "A", code, False)


async def test_silence_is_told_as_such_and_in_time(dns_server: DnsServer, dead: DnsServer) -> None:
    for server in (dns_server, dead):
        longer = asking(server, within=_LATER).resolve("silent.example", "A")
        error = await failure(asking(server, within=_SHORT), "silent.example")
        assert (error.why, error.is_silence) == ("no answer in time", True)
        assert not longer.done()
        longer.cancel()


class Refusing(asyncio.DatagramProtocol):
    """Answers every question, that for the root too, with a response code and nothing else."""

    def __init__(self, code: dns.rcode.Rcode) -> None:
        self.code = code

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        response = dns.message.make_response(dns.message.from_wire(data))
        response.set_rcode(self.code)
        self.transport.sendto(response.to_wire(), addr)


@pytest.mark.parametrize(
    ("code", "has_answers"), [("NOERROR", True), ("NXDOMAIN", True), ("SERVFAIL", False), ("REFUSED", False)]
)
async def test_a_dns_that_only_fails_has_no_answers(code: str, has_answers: bool) -> None:
    """So does a resolver whose line to the world is broken."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Refusing(dns.rcode.from_text(code)), ("127.0.0.1", 0)
    )
    host, port = transport.get_extra_info("sockname")
    assert await DnspythonResolver([f"{host}:{port}"], _WITHIN).has_answers() is has_answers
    transport.close()


@pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED"])
async def test_a_dns_that_fails_for_com_alone_has_answers(dns_server: DnsServer, code: str) -> None:
    """Not every resolver has com."""
    for name in ("com", "*.com"):
        dns_server.update(name, Rcode(code))
    assert await asking(dns_server).has_answers()


async def test_one_silent_name_does_not_make_the_dns_silent(dns_server: DnsServer) -> None:
    resolver = asking(dns_server, within=timedelta(seconds=1))
    assert (await failure(resolver, "silent.example")).is_silence
    assert await resolver.has_answers()


async def test_a_dns_where_nobody_listens_has_no_answers(dead: DnsServer) -> None:
    assert not await asking(dead, within=_SHORT).has_answers()


async def test_whether_the_dns_has_answers_is_asked_of_the_server_each_time(dns_server: DnsServer) -> None:
    resolver = asking(dns_server, within=timedelta(seconds=1))
    assert await resolver.has_answers()
    dns_server.silence()
    assert not await resolver.has_answers()
    dns_server.speak()
    assert await resolver.has_answers()
    names = [name for name, _ in dns_server.questions]
    assert len(set(names)) == 3, "no cache can know them"


@pytest.mark.parametrize(
    ("zone", "addresses"),
    [
        ({}, set()),
        ({"*": {"A": ["203.0.113.99", "203.0.113.98"]}}, {"203.0.113.99", "203.0.113.98"}),
        ({"*": {"CNAME": ["search.example"]}, "search.example": {"A": ["203.0.113.99"]}}, {"203.0.113.99"}),
        ({"*.com": {"A": ["203.0.113.97"]}, "*.org": {"A": ["203.0.113.96"]}}, {"203.0.113.97", "203.0.113.96"}),
        ({"*.com": {"A": ["203.0.113.97"]}}, set()),
        ({"*": {"A": ["203.0.113.99"]}, "*.org": Rcode("SERVFAIL")}, set()),
        ({"*": {"AAAA": ["2001:db8::1"]}}, set()),
    ],
    ids=["well", "rewrites", "by an alias", "one address for each name", "one registry only", "fails", "of AAAA only"],
)
async def test_addresses_of_names_that_do_not_exist(zone: Zone, addresses: set[str]) -> None:
    """A registry may have an address for all names below it, so two are queried."""
    with DnsServer(zone) as dns:
        assert await asking(dns).invented_addresses() == addresses
        assert len({name for name, _ in dns.questions}) == 2


class TestTwoServers:
    async def test_when_the_first_is_dead_the_second_answers(self, dead: DnsServer, dns_server: DnsServer) -> None:
        resolver = asking(dead, dns_server)
        assert len(await resolver.resolve("a.example", "A")) == 2
        assert await resolver.has_answers()

    async def test_when_the_first_is_silent_the_second_answers_in_time(self, dns_server: DnsServer) -> None:
        with DnsServer({}) as silent:
            silent.silence()
            resolver = asking(silent, dns_server, within=timedelta(seconds=1.5))
            assert len(await resolver.resolve("a.example", "A")) == 2

    async def test_when_the_first_fails_the_second_is_asked(self, dns_server: DnsServer) -> None:
        with DnsServer({"a.example": Rcode("SERVFAIL")}) as failing:
            assert len(await asking(failing, dns_server).resolve("a.example", "A")) == 2

    async def test_a_failure_of_one_is_no_silence_though_the_other_is_dead(self, dead: DnsServer) -> None:
        with DnsServer({"a.example": Rcode("REFUSED")}) as refusing:
            for servers in ((refusing, dead), (dead, refusing)):
                error = await failure(asking(*servers, within=timedelta(seconds=1.5)))
                assert (error.why, error.is_silence) == ("REFUSED", False)

    async def test_both_dead_are_silent_in_time(self, dead: DnsServer) -> None:
        assert not await asking(dead, dead, within=_SHORT).has_answers()


async def test_a_failure_that_nobody_waits_for_is_not_printed(dead: DnsServer) -> None:
    """asyncio would print it with its name, and a customer's key in that."""
    printed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: printed.append(context))
    asked = asking(dead, within=_SHORT).resolve("a.example", "A")
    await asyncio.wait([asked])
    del asked
    gc.collect()
    await asyncio.sleep(0)
    assert printed == []


async def test_a_question_that_is_given_up_leaves_nothing_running(dns_server: DnsServer) -> None:
    asked = asking(dns_server).resolve("silent.example", "A")
    await asyncio.sleep(0.001)
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    assert asyncio.all_tasks() == {asyncio.current_task()}


class LosingResolver:
    """A resolver of dnspython that loses its cancellation to an answer."""

    async def resolve(self, *_: object, **__: object) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        raise dns.resolver.NXDOMAIN


@pytest.mark.parametrize("query", [lambda own: own.resolve("a.example", "A"), DnspythonResolver.has_answers])
async def test_a_lost_cancellation_is_raised(query: Callable[[DnspythonResolver], Awaitable[object]]) -> None:
    """Otherwise a stop would wait for a self-test that goes on."""
    own = DnspythonResolver(["127.0.0.1"], timedelta(seconds=1))
    own._resolver = LosingResolver()  # type: ignore[assignment]
    asked = asyncio.ensure_future(query(own))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
