"""The resolver on c-ares, against a real DNS server on the loopback."""

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bley.core.errors import ResolverError
from bley.dns import c_ares as cares_module
from bley.dns import resolver as resolver_module
from bley.dns.resolver import CachingResolver
from bley.ports import ResourceRecord, RrType
from tests.dns_server import SILENT, Delay, DnsServer, Rcode, Truncated, Zone
from tests.fakes import Data

_WITHIN = timedelta(seconds=30)
_SHORT = timedelta(milliseconds=150)
_AT_ONCE_SECONDS = 15
_PROBE_AFTER = 3
_NUMBERS = itertools.count()
_TTL_SECONDS = 300  # DnsServer's, unless told otherwise

_ADDRESSES = [f"192.0.2.{last}" for last in range(1, 255)]
_LONG_TEXT = "long " * 1000

_ZONE: Zone = {
    "a.example": {
        "A": ["192.0.2.1", "192.0.2.2"],
        "AAAA": ["2001:db8::1"],
        "MX": ["10 mx.example", "20 mx2.example"],
        "TXT": ['"v=spf1 " "-all"', "jürgen"],
    },
    "null-mx.example": {"MX": ["0 ."]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["a.example"]},
    "alias.example": {"CNAME": ["other.example"]},
    "other.example": {"CNAME": ["a.example"]},
    "deep.below.example": {"A": ["192.0.2.3"]},
    "xn--bcher-kva.example": {"A": ["192.0.2.4"]},
    "many.example": {"A": _ADDRESSES},
    "truncated.example": Truncated({"TXT": [_LONG_TEXT]}),
    "slow.example": Delay(0.05, {"A": ["192.0.2.5"], "TXT": ["slow"]}),
    "*.slow.example": Delay(0.05, {"A": ["192.0.2.5"]}),
    "silent.example": SILENT,
    "odd name.example": {"A": ["192.0.2.6"], "AAAA": ["2001:db8::6"], "TXT": ['"in " "two"'], "MX": ["5 mx.example"]},
    "a:b=c'd.example": {"PTR": ["a.example"]},
    "[192.0.2.1]": {"CNAME": ["odd\\032name.example"]},
    "%.truncated.example": Truncated({"TXT": [_LONG_TEXT]}),
    "%.silent.example": SILENT,
    "%.servfail.example": Rcode("SERVFAIL"),
    "%.refused.example": Rcode("REFUSED"),
    "servfail.example": Rcode("SERVFAIL"),
    "refused.example": Rcode("REFUSED"),
}


@pytest.fixture
def dns_server() -> Iterator[DnsServer]:
    with DnsServer(_ZONE) as server:
        yield server


@pytest.fixture
async def resolver(dns_server: DnsServer) -> AsyncIterator[CachingResolver]:
    async with _asking(dns_server) as resolver:
        yield resolver


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What bley logs, whatever another test has made of its logger."""
    logger = logging.getLogger("bley")
    was = logger.propagate
    logger.propagate = True
    yield caplog
    logger.propagate = was


@contextlib.asynccontextmanager
async def _asking(*servers: DnsServer, within: timedelta = _WITHIN) -> AsyncIterator[CachingResolver]:
    resolver = CachingResolver([server.address for server in servers], within)
    try:
        yield resolver
    finally:
        await resolver.close()


def _data(records: Sequence[ResourceRecord]) -> list[Data]:
    return [record.data for record in records]


async def _seconds_of_failure(resolver: CachingResolver, name: str) -> float:
    start = time.monotonic()
    with pytest.raises(ResolverError):
        await resolver.resolve(name, "A")
    return time.monotonic() - start


class TestAnswers:
    @pytest.mark.parametrize(
        ("name", "rrtype", "data"),
        [
            ("a.example", "A", ["192.0.2.1", "192.0.2.2"]),
            ("A.Example.", "A", ["192.0.2.1", "192.0.2.2"]),
            ("a.example", "AAAA", ["2001:db8::1"]),
            ("a.example", "MX", [(10, "mx.example"), (20, "mx2.example")]),
            ("null-mx.example", "MX", [(0, "")]),
            ("1.2.0.192.in-addr.arpa", "PTR", ["a.example"]),
            ("slow.example", "A", ["192.0.2.5"]),
            ("many.example", "A", _ADDRESSES),
        ],
    )
    async def test_a_record_of_each_type_is_read(
        self, resolver: CachingResolver, name: str, rrtype: RrType, data: list[Data]
    ) -> None:
        records = await resolver.resolve(name, rrtype)
        assert _data(records) == data
        assert {record.rrtype for record in records} == {rrtype}

    async def test_the_strings_of_a_text_are_joined_and_stay_bytes(self, resolver: CachingResolver) -> None:
        records = await resolver.resolve("a.example", "TXT")
        assert _data(records) == [b"v=spf1 -all", "jürgen".encode()]

    async def test_the_aliases_on_the_way_are_in_the_answer(self, resolver: CachingResolver) -> None:
        assert await resolver.resolve("alias.example", "AAAA") == [
            ResourceRecord("alias.example", "CNAME", "other.example", _TTL_SECONDS),
            ResourceRecord("other.example", "CNAME", "a.example", _TTL_SECONDS),
            ResourceRecord("a.example", "AAAA", "2001:db8::1", _TTL_SECONDS),
        ]

    @pytest.mark.parametrize("name", ["a.example", "odd name.example"])
    async def test_a_record_says_how_long_it_may_be_kept(self, name: str) -> None:
        with DnsServer(_ZONE, ttl=77) as server:
            async with _asking(server) as resolver:
                records = await resolver.resolve(name, "A")
        assert {record.ttl_seconds for record in records} == {77}

    @pytest.mark.parametrize(
        ("name", "rrtype"),
        [("nowhere.example", "A"), ("a.example", "PTR"), ("below.example", "A"), ("", "A"), ("foo.onion", "A")],
    )
    async def test_missing_name_has_no_records(self, resolver: CachingResolver, name: str, rrtype: RrType) -> None:
        assert await resolver.resolve(name, rrtype) == []

    async def test_a_truncated_answer_is_asked_for_again_over_tcp(
        self, resolver: CachingResolver, dns_server: DnsServer
    ) -> None:
        records = await resolver.resolve("truncated.example", "TXT")
        assert _data(records) == [_LONG_TEXT.encode()]
        assert len(dns_server.questions) == 2

    @pytest.mark.parametrize("name", ["a.example", "a%b.example"])
    async def test_records_that_nobody_asked_for_do_no_harm(self, name: str) -> None:
        """A server may put anything in its answer."""
        async with _odd_server(f"{name}. 60 IN NS ns.example.", f"{name}. 60 IN A 192.0.2.1") as address:
            resolver = CachingResolver([address], _WITHIN)
            records = await resolver.resolve(name, "A")
            await resolver.close()
        assert [record.data for record in records if record.rrtype == "A"] == ["192.0.2.1"]
        assert [record.data for record in records if record.rrtype != "A"] == [""]

    async def test_many_questions_at_once_get_each_its_own_answer(self) -> None:
        zone: Zone = {f"n{number}.example": {"A": [f"10.0.{number}.1"]} for number in range(200)}
        with DnsServer(zone) as server:
            async with _asking(server) as resolver:
                answers = await asyncio.gather(*(resolver.resolve(name, "A") for name in zone))
        assert [_data(records) for records in answers] == [[f"10.0.{number}.1"] for number in range(200)]


@contextlib.asynccontextmanager
async def _odd_server(*records: str, code: str = "NOERROR", delay_seconds: float = 0) -> AsyncIterator[str]:
    """Answers every query with these records and this response code; its address."""

    class Odd(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
            response = dns.message.make_response(dns.message.from_wire(data))
            response.flags |= dns.flags.RA
            for record in records:
                name, ttl, *rest = record.split()
                response.answer.append(dns.rrset.from_text(name, int(ttl), *rest))
            response.set_rcode(dns.rcode.from_text(code))
            asyncio.get_running_loop().call_later(delay_seconds, self.transport.sendto, response.to_wire(), addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Odd, ("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")
    try:
        yield f"{host}:{port}"
    finally:
        transport.close()


class TestFailures:
    @pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"])
    @pytest.mark.parametrize("name", ["failing.example", "%.failing.example"], ids=["c-ares", "dnspython"])
    async def test_a_failure_is_told_at_once_with_name_type_and_the_rfc_s_name_for_it(
        self, name: str, code: str
    ) -> None:
        """RFC 1035 4.1.1. It is no silence: somebody answered."""
        with DnsServer({name: Rcode(code)}) as server:
            async with _asking(server) as resolver:
                start = time.monotonic()
                with pytest.raises(ResolverError) as caught:
                    await resolver.resolve(name, "TXT")
                assert time.monotonic() - start < _AT_ONCE_SECONDS
        error = caught.value
        assert (error.name, error.rrtype, error.why, error.is_silence) == (name, "TXT", code, False)

    async def test_silence_is_told_as_such(self, dns_server: DnsServer) -> None:
        with DnsServer({}) as dead:
            pass
        for server, why in ((dns_server, "no answer in time"), (dead, "connection refused")):
            async with _asking(server, within=_SHORT) as resolver:
                with pytest.raises(ResolverError) as caught:
                    await resolver.resolve("silent.example", "A")
            assert (caught.value.why, caught.value.is_silence) == (why, True)

    @pytest.mark.parametrize("servers", [1, 3])
    async def test_silence_is_an_error_in_time_however_many_servers_there_are(self, servers: int) -> None:
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(DnsServer({"silent.example": SILENT})) for _ in range(servers)]
            async with _asking(*silent, within=timedelta(seconds=2)) as resolver:
                seconds = await _seconds_of_failure(resolver, "silent.example")
        assert seconds < 5, "one after the other it would be 6 seconds"

    async def test_a_server_where_nobody_listens_is_an_error_at_once(self) -> None:
        with DnsServer({}) as dead:
            pass
        async with _asking(dead) as resolver:
            assert await _seconds_of_failure(resolver, "a.example") < _AT_ONCE_SECONDS

    async def test_when_the_first_server_is_dead_the_second_answers(self, dns_server: DnsServer) -> None:
        with DnsServer({}) as dead:
            pass
        async with _asking(dead, dns_server) as resolver:
            assert _data(await resolver.resolve("a.example", "AAAA")) == ["2001:db8::1"]

    async def test_when_the_first_server_is_silent_the_second_answers_in_time(self, dns_server: DnsServer) -> None:
        with DnsServer({"a.example": SILENT}) as silent:
            async with _asking(silent, dns_server, within=timedelta(seconds=3)) as resolver:
                assert _data(await resolver.resolve("a.example", "AAAA")) == ["2001:db8::1"]


class TestPatience:
    """c-ares drops an answer that comes after its next try; so dnspython asks too, once, and waits."""

    async def test_an_answer_that_is_always_late_for_c_ares_is_taken(self) -> None:
        """c-ares waits a third of the time, then two thirds."""
        with DnsServer({"late.example": Delay(2.8, {"A": ["192.0.2.7"]})}) as server:
            async with _asking(server, within=timedelta(seconds=4)) as resolver:
                assert _data(await resolver.resolve("late.example", "A")) == ["192.0.2.7"]

    async def test_a_late_failure_is_told_as_what_it_is(self) -> None:
        """Once anybody has answered there is nothing more to wait for."""
        async with _odd_server(code="SERVFAIL", delay_seconds=0.25) as address:
            resolver = CachingResolver([address], _WITHIN)
            start = time.monotonic()
            with pytest.raises(ResolverError) as caught:
                await resolver.resolve("a.example", "A")
            assert time.monotonic() - start < _AT_ONCE_SECONDS
            await resolver.close()
        assert (caught.value.why, caught.value.is_silence) == ("SERVFAIL", False)

    async def test_an_answer_that_comes_soon_is_asked_for_once(
        self, resolver: CachingResolver, dns_server: DnsServer
    ) -> None:
        await resolver.resolve("slow.example", "A")
        assert dns_server.questions == [("slow.example", "A")]

    async def test_nothing_is_left_running(self, dns_server: DnsServer) -> None:
        async with _asking(dns_server, within=_SHORT) as resolver:
            await _seconds_of_failure(resolver, "silent.example")
            for _ in range(10):
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}


class TestNames:
    async def test_an_internationalised_name_is_asked_in_its_ascii_form(
        self, resolver: CachingResolver, dns_server: DnsServer
    ) -> None:
        assert _data(await resolver.resolve("Bücher.example", "A")) == ["192.0.2.4"]
        assert dns_server.questions == [("xn--bcher-kva.example", "A")]

    @pytest.mark.parametrize(
        "name",
        [
            "..",
            ".a.example",
            "a..example",
            f"{'a' * 64}.example",
            f"{'a.' * 130}example",
            f"{'ü' * 63}.example",
            "ü..example",
            "a.example\0",
            "a.example\0.evil",
            "a\\.example",
            "a.example\\",
            "a\\999.example",
            "\udcff.example",
            "\u3002.example",
            "\u200b.example",
        ],
        ids=ascii,
    )
    async def test_an_impossible_name_has_no_records_and_is_not_asked(
        self, resolver: CachingResolver, dns_server: DnsServer, name: str
    ) -> None:
        with contextlib.suppress(ResolverError):
            assert await resolver.resolve(name, "A") == []
        assert dns_server.questions == []

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(name=st.text(st.sampled_from("aA.1-_\\\0 \n%@*:/ü漢。\u200b\udcff'\"[]"), max_size=80) | st.text())
    async def test_whatever_the_name_there_is_an_answer_or_a_resolver_error(
        self, resolver: CachingResolver, name: str
    ) -> None:
        with contextlib.suppress(ResolverError):
            async with asyncio.timeout(_AT_ONCE_SECONDS):
                await resolver.resolve(name, "A")


class TestNamesThatAreNoHostNames:
    """Macros of SPF make them; c-ares refuses to ask for them."""

    @pytest.mark.parametrize(
        ("name", "rrtype", "data"),
        [
            ("odd name.example", "A", ["192.0.2.6"]),
            ("odd name.example.", "A", ["192.0.2.6"]),
            ("odd name.example", "AAAA", ["2001:db8::6"]),
            ("odd name.example", "TXT", [b"in two"]),
            ("odd name.example", "MX", [(5, "mx.example")]),
            ("a:b=c'd.example", "PTR", ["a.example"]),
            ("%.truncated.example", "TXT", [_LONG_TEXT.encode()]),
        ],
    )
    async def test_they_are_asked_for_and_answered_as_others_are(
        self, resolver: CachingResolver, name: str, rrtype: RrType, data: list[Data]
    ) -> None:
        expected = [ResourceRecord(name, rrtype, value, _TTL_SECONDS) for value in data]
        assert await resolver.resolve(name, rrtype) == expected

    async def test_the_aliases_on_the_way_are_in_the_answer(self, resolver: CachingResolver) -> None:
        records = await resolver.resolve("[192.0.2.1]", "A")
        assert [record.rrtype for record in records] == ["CNAME", "A"]
        assert records[0].name == "[192.0.2.1]"
        assert records[0].data == records[1].name
        assert records[1].data == "192.0.2.6"

    @pytest.mark.parametrize(
        ("name", "rrtype"),
        [
            ("no such name.example", "A"),
            ("odd name.example", "PTR"),
            ("a.example ", "A"),
            ("a.example\n", "A"),
            ("@", "A"),
        ],
        ids=ascii,
    )
    async def test_missing_name_has_no_records(self, resolver: CachingResolver, name: str, rrtype: RrType) -> None:
        assert await resolver.resolve(name, rrtype) == []

    @pytest.mark.parametrize("name", ["%.servfail.example", "%.refused.example"])
    async def test_a_failure_is_told_at_once(self, resolver: CachingResolver, name: str) -> None:
        assert await _seconds_of_failure(resolver, name) < _AT_ONCE_SECONDS

    async def test_silence_is_an_error_in_time(self, dns_server: DnsServer) -> None:
        async with _asking(dns_server, within=_SHORT) as resolver:
            seconds = await _seconds_of_failure(resolver, "%.silent.example")
        assert seconds < _AT_ONCE_SECONDS

    async def test_a_server_where_nobody_listens_is_an_error_in_time(self) -> None:
        with DnsServer({}) as dead:
            pass
        async with _asking(dead, within=_SHORT) as resolver:
            seconds = await _seconds_of_failure(resolver, "odd name.example")
        assert seconds < _AT_ONCE_SECONDS

    async def test_when_the_first_server_is_dead_the_second_answers(self, dns_server: DnsServer) -> None:
        with DnsServer({}) as dead:
            pass
        async with _asking(dead, dns_server, within=timedelta(seconds=3)) as resolver:
            assert _data(await resolver.resolve("odd name.example", "A")) == ["192.0.2.6"]


class TestCache:
    async def test_a_cache_that_cannot_be_emptied_stays(
        self, resolver: CachingResolver, dns_server: DnsServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its interface has gone, say."""
        resolver._channel._servers = ["nowhere"]
        with caplog.at_level(logging.WARNING):
            resolver.flush_cache()
            assert len(await resolver.resolve("a.example", "A")) == 2
        assert "c-ares cannot query it: " in caplog.text

    async def test_what_is_forgotten_is_asked_anew(self, resolver: CachingResolver, dns_server: DnsServer) -> None:
        """A list that is well again may have left an answer of its bad time here."""
        assert len(await resolver.resolve("a.example", "A")) == 2
        dns_server.update("a.example", {"A": ["192.0.2.9"]})
        assert len(await resolver.resolve("a.example", "A")) == 2
        resolver.flush_cache()
        assert _data(await resolver.resolve("a.example", "A")) == ["192.0.2.9"]

    @pytest.mark.parametrize("name", ["a.example", "nowhere.example"])
    async def test_a_name_asked_again_within_its_ttl_is_not_asked_for(
        self, resolver: CachingResolver, dns_server: DnsServer, name: str
    ) -> None:
        first = await resolver.resolve(name, "A")
        assert await resolver.resolve(name, "A") == first
        assert dns_server.questions == [(name, "A")]

    async def test_without_a_ttl_it_is_asked_for_again(self) -> None:
        with DnsServer(_ZONE, ttl=0) as server:
            async with _asking(server) as resolver:
                await resolver.resolve("a.example", "A")
                await resolver.resolve("a.example", "A")
            assert server.questions == [("a.example", "A")] * 2

    async def test_a_failure_is_not_kept(self, resolver: CachingResolver, dns_server: DnsServer) -> None:
        await _seconds_of_failure(resolver, "servfail.example")
        dns_server.update("servfail.example", {"A": ["192.0.2.9"]})
        assert _data(await resolver.resolve("servfail.example", "A")) == ["192.0.2.9"]

    @pytest.mark.parametrize(("bound", "most"), [("_QUERIES_BEFORE_FLUSH", 3), ("_BYTES_BEFORE_FLUSH", 2000)])
    async def test_the_cache_is_emptied_now_and_then_and_no_question_is_lost(
        self, monkeypatch: pytest.MonkeyPatch, dns_server: DnsServer, bound: str, most: int
    ) -> None:
        """c-ares bounds its cache by nothing but time."""
        monkeypatch.setattr(resolver_module, bound, most)
        async with _asking(dns_server, within=timedelta(seconds=5)) as resolver:
            slow = []
            for number in range(20):
                slow.append(resolver.resolve(f"n{number}.slow.example", "A"))
                assert len(await resolver.resolve("a.example", "A")) == 2
            assert all(_data(records) == ["192.0.2.5"] for records in await asyncio.gather(*slow))
            assert len([name for name, _ in dns_server.questions if name == "a.example"]) > 3

    async def test_what_is_cached_is_counted_in_bytes(self) -> None:
        """Strangers choose how long an answer is; c-ares does not tell how long its cache's are."""
        async with _long_answers(200, 255) as address:
            resolver = CachingResolver([address], _WITHIN)
            for number in range(10):
                assert len(await resolver.resolve(f"n{number}.example", "TXT")) == 200
            await resolver.close()
        assert 10 * 200 * 255 < resolver._channel.cached_bytes < 10 * 200 * 600

    async def test_memory_stays_bounded_however_long_the_answers_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of the process: c-ares takes it by itself. Without a bound it would be 15 MB more."""
        monkeypatch.setattr(resolver_module, "_BYTES_BEFORE_FLUSH", 2**20)
        async with _long_answers(230, 255) as address:
            resolver = CachingResolver([address], _WITHIN)
            taken = 0
            for number in range(300):
                await resolver.resolve(f"n{number}.example", "TXT")
                taken = taken or (_resident_bytes() if number == 50 else 0)
            assert _resident_bytes() - taken < 8 * 2**20
            await resolver.close()


class _NegativeAnswers(asyncio.DatagramProtocol):
    """Answers NXDOMAIN, for names that begin with `soa` with an SOA record of five minutes, and lists the questions."""

    def __init__(self) -> None:
        self.questions: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        answer = dns.message.make_response(dns.message.from_wire(data))
        answer.set_rcode(dns.rcode.NXDOMAIN)
        self.questions.append(answer.question[0].name.to_text(omit_final_dot=True))
        if self.questions[-1].startswith("soa"):
            answer.authority.append(dns.rrset.from_text("example.", 300, "IN", "SOA", "a. b. 1 2 3 4 300"))
        self.transport.sendto(answer.to_wire(), addr)


async def test_a_missing_name_is_cached_if_its_zone_says_how_long() -> None:
    """By its SOA record (RFC 2308 5)."""
    transport, answers = await asyncio.get_running_loop().create_datagram_endpoint(_NegativeAnswers, ("127.0.0.1", 0))
    resolver = CachingResolver([f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"], _WITHIN)
    for name in ("none.example", "none.example", "soa.example", "soa.example"):
        assert await resolver.resolve(name, "A") == []
    assert answers.questions == ["none.example", "none.example", "soa.example"]
    await resolver.close()
    transport.close()


class _OnlyTcp(asyncio.DatagramProtocol):
    """Refers each question to TCP."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.transport.sendto(data[:2] + b"\x83\x80" + data[4:], addr)


@contextlib.asynccontextmanager
async def _long_answers(records: int, octets: int, *, of_empty_strings: bool = False) -> AsyncIterator[str]:
    """Answers each question, by TCP only, with so many texts of so many octets; its address."""
    text = b"\0" * octets if of_empty_strings else bytes([octets]) + b"x" * octets

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                query = dns.message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))
                head = query.id.to_bytes(2) + b"\x81\x80\0\1" + records.to_bytes(2) + bytes(4)
                question = (
                    cast(bytes, query.question[0].name.to_wire()) + query.question[0].rdtype.to_bytes(2) + b"\0\1"
                )
                record = b"\xc0\x0c\0\x10\0\1\0\0\x0e\x10" + len(text).to_bytes(2) + text
                wire = head + question + record * records
                writer.write(len(wire).to_bytes(2) + wire)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_OnlyTcp, ("127.0.0.1", port))
    try:
        yield f"127.0.0.1:{port}"
    finally:
        transport.close()
        server.close()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


class TestLongAnswers:
    """A stranger may write 64 KB: 5,000 records would take 50 ms to read, with dnspython 400 ms."""

    @pytest.mark.parametrize("name", ["n.example", "odd name.example"], ids=["c-ares", "dnspython"])
    @pytest.mark.parametrize(
        ("records", "octets", "of_empty_strings"),
        [(700, 0, False), (5000, 0, False), (1, 30_000, True), (1, 60_000, True)],
    )
    async def test_too_many_records_are_a_failure(
        self, name: str, records: int, octets: int, of_empty_strings: bool
    ) -> None:
        """At once, and no silence: somebody answered."""
        async with _long_answers(records, octets, of_empty_strings=of_empty_strings) as address:
            resolver = CachingResolver([address], _WITHIN)
            begun = time.monotonic()
            with pytest.raises(ResolverError) as caught:
                await resolver.resolve(name, "TXT")
            assert time.monotonic() - begun < _AT_ONCE_SECONDS
            await resolver.close()
        assert re.search("more than 256 records|longer than 8192 octets", caught.value.why)
        assert not caught.value.is_silence

    async def test_pycares_reads_no_more_than_so_many_records(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[object] = []
        monkeypatch.setattr(cares_module, "_read", read.append)
        async with _long_answers(5000, 0) as address:
            resolver = CachingResolver([address], _WITHIN)
            with pytest.raises(ResolverError):
                await resolver.resolve("n.example", "TXT")
            await resolver.close()
        assert read == []

    @pytest.mark.parametrize("name", ["n.example", "odd name.example"], ids=["c-ares", "dnspython"])
    async def test_the_longest_spf_record_has_room(self, name: str) -> None:
        async with _long_answers(17, 250) as address:
            resolver = CachingResolver([address], _WITHIN)
            assert await resolver.resolve(name, "TXT")
            await resolver.close()


class TestTcp:
    async def test_while_an_answer_is_waited_for_the_loop_sleeps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """c-ares wants to write while it connects, and not afterwards; it looks at the time ten times a second."""
        calls, process = 0, cares_module._process_fd

        def count_and_process(*arguments: object) -> None:
            nonlocal calls
            calls += 1
            process(*arguments)

        monkeypatch.setattr(cares_module, "_process_fd", count_and_process)
        async with _silent_by_tcp() as address:
            resolver = CachingResolver([address], timedelta(seconds=2))
            with pytest.raises(ResolverError):
                await resolver.resolve("a.example", "TXT")
            await resolver.close()
        assert 1 < calls < 100

    async def test_it_is_left_alone_when_nothing_is_asked(self, resolver: CachingResolver) -> None:
        await resolver.resolve("truncated.example", "TXT")
        async with asyncio.timeout(_WITHIN.total_seconds()):
            while resolver._channel._timer:  # noqa: ASYNC110 (no event to await)
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def _silent_by_tcp() -> AsyncIterator[str]:
    """Refers each question to TCP, where it accepts and never answers; its address."""
    is_over = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_over.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_OnlyTcp, ("127.0.0.1", port))
    try:
        yield f"127.0.0.1:{port}"
    finally:
        is_over.set()
        transport.close()
        server.close()


@pytest.mark.parametrize(
    ("zone", "warning"),
    [
        ({}, ""),
        (
            {"*": {"A": ["203.0.113.99"]}},
            "DNS: the resolver {} answers 203.0.113.99 for names that do not exist; use a",
        ),
    ],
)
async def test_invented_addresses_are_a_warning(zone: Zone, warning: str) -> None:
    with DnsServer(zone) as dns:
        async with _asking(dns) as resolver:
            found = await resolver.find_rewriting()
    assert bool(found) is bool(warning)
    assert found.startswith(warning.format(dns.address))


class TestEqualQuestions:
    async def test_they_are_asked_once_while_the_first_is_in_flight(
        self, resolver: CachingResolver, dns_server: DnsServer
    ) -> None:
        answers = await asyncio.gather(*(resolver.resolve("slow.example", "A") for _ in range(10)))
        assert [_data(records) for records in answers] == [["192.0.2.5"]] * 10
        assert dns_server.questions == [("slow.example", "A")]

    async def test_who_asks_later_gets_the_answer_although_the_first_has_gone_away(
        self, resolver: CachingResolver, dns_server: DnsServer
    ) -> None:
        """Whoever may be cancelled awaits it through `asyncio.shield`."""

        async def ask() -> Sequence[ResourceRecord]:
            return await asyncio.shield(resolver.resolve("slow.example", "A"))

        first = asyncio.create_task(ask())
        await asyncio.sleep(0)
        second = asyncio.create_task(ask())
        await asyncio.sleep(0)
        first.cancel()
        assert _data(await second) == ["192.0.2.5"]
        assert first.cancelled()
        assert dns_server.questions == [("slow.example", "A")]

    async def test_other_types_are_other_questions(self, resolver: CachingResolver, dns_server: DnsServer) -> None:
        records = await asyncio.gather(resolver.resolve("slow.example", "A"), resolver.resolve("slow.example", "TXT"))
        assert [_data(each) for each in records] == [["192.0.2.5"], [b"slow"]]
        assert sorted(dns_server.questions) == [("slow.example", "A"), ("slow.example", "TXT")]

    async def test_a_failure_is_everyone_s_and_is_asked_for_anew_afterwards(self, dns_server: DnsServer) -> None:
        async with _asking(dns_server, within=_SHORT) as resolver:
            asked = [resolver.resolve("silent.example", "A") for _ in range(3)]
            results = await asyncio.gather(*asked, return_exceptions=True)
            assert all(isinstance(error, ResolverError) for error in results)
            dns_server.update("silent.example", {"A": ["192.0.2.9"]})
            assert _data(await resolver.resolve("silent.example", "A")) == ["192.0.2.9"]

    async def test_a_failure_that_nobody_waits_for_any_more_disturbs_nobody(self, resolver: CachingResolver) -> None:
        """asyncio would complain of an exception that was never retrieved."""
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        asked = resolver.resolve("servfail.example", "A")
        await asyncio.wait([asked])
        del asked
        await asyncio.sleep(0)
        gc.collect()
        assert complaints == []


class TestSilence:
    """Of the DNS altogether: then questions fail at once, until it speaks again."""

    @pytest.fixture(autouse=True)
    def _hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resolver_module, "_PROBE_SECONDS", 0.005)

    @pytest.fixture
    async def hasty(self, dns_server: DnsServer) -> AsyncIterator[CachingResolver]:
        """In time enough for an answer on a busy machine."""
        async with _asking(dns_server, within=timedelta(seconds=1)) as resolver:
            yield resolver

    async def _ask_in_vain(
        self, resolver: CachingResolver, times: int = _PROBE_AFTER, below: str = "silent.example"
    ) -> None:
        """Each time for other names: an answer to a retry of c-ares may come later, and is cached."""
        names = [f"n{next(_NUMBERS)}.{below}" for _ in range(times)]
        await asyncio.gather(*(_seconds_of_failure(resolver, name) for name in names))

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(_WITHIN.total_seconds()):
            while not is_so():  # noqa: ASYNC110 (no event to await)
                await asyncio.sleep(0.001)

    def _probes(self, dns_server: DnsServer) -> int:
        return sum(name.endswith(".com") for name, _ in dns_server.questions)

    async def test_it_and_its_end_are_told_once_each(
        self, hasty: CachingResolver, dns_server: DnsServer, log: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(2):
            dns_server.silence()
            await self._ask_in_vain(hasty, 2 * _PROBE_AFTER)
            await self._until(lambda: hasty.is_silent)
            await self._ask_in_vain(hasty, 2 * _PROBE_AFTER)
            dns_server.speak()
            await self._until(lambda: not hasty.is_silent)
        consequence = "until it answers, its checks count 0 and delay no mail"
        told = [f"DNS: no answer from {dns_server.address}; {consequence}", "DNS: answers again"]
        assert log.messages == told * 2
        assert {record.levelno for record in log.records} == {logging.WARNING}

    async def test_it_is_found_where_somebody_else_had_no_answer(
        self, hasty: CachingResolver, dns_server: DnsServer
    ) -> None:
        """A list's self-test, say, before there is any mail."""

        def is_found() -> bool:
            hasty.start_probe()
            return hasty.is_silent

        hasty.start_probe()
        await self._until(lambda: self._probes(dns_server) == 1)
        assert not hasty.is_silent
        dns_server.silence()
        await self._until(is_found)

    async def test_while_it_lasts_questions_fail_at_once_and_are_not_asked(
        self, hasty: CachingResolver, dns_server: DnsServer
    ) -> None:
        dns_server.silence()
        await self._ask_in_vain(hasty)
        await self._until(lambda: hasty.is_silent)
        with pytest.raises(ResolverError) as caught:
            await hasty.resolve("a.example", "A")
        assert (caught.value.why, caught.value.is_silence) == ("the DNS does not answer", True)
        assert ("a.example", "A") not in dns_server.questions

    async def test_afterwards_questions_are_answered(self, hasty: CachingResolver, dns_server: DnsServer) -> None:
        dns_server.silence()
        await self._ask_in_vain(hasty)
        await self._until(lambda: hasty.is_silent)
        dns_server.speak()
        await self._until(lambda: not hasty.is_silent)
        assert len(await hasty.resolve("a.example", "A")) == 2

    async def test_servers_where_nobody_listens_are_silent(self, log: pytest.LogCaptureFixture) -> None:
        with DnsServer({}) as first, DnsServer({}) as second:
            pass
        async with _asking(first, second, within=timedelta(milliseconds=50)) as resolver:
            await self._ask_in_vain(resolver)
            await self._until(lambda: resolver.is_silent)
        assert log.messages[0].startswith(f"DNS: no answer from {first.address}, {second.address}; ")

    async def test_names_that_are_silent_say_nothing_of_a_dns_that_answers(
        self, dns_server: DnsServer, log: pytest.LogCaptureFixture
    ) -> None:
        """One list may be silent; so a name is asked for that nobody can know."""
        dns_server.update("*.silent.example", SILENT)
        async with _asking(dns_server, within=timedelta(seconds=1)) as resolver:
            await self._ask_in_vain(resolver)
            await self._until(lambda: self._probes(dns_server) > 0)
            assert len(await resolver.resolve("a.example", "A")) == 2
            assert not resolver.is_silent
        assert log.messages == []

    async def test_a_resolver_that_fails_for_com_is_not_silent(
        self, dns_server: DnsServer, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may have no way to the root, and know the names of its own network only."""

        async def has_no_answers() -> bool:
            return False

        dns_server.update("*.silent.example", Rcode("SERVFAIL"))
        async with _asking(dns_server) as resolver:
            assert len(await resolver.resolve("a.example", "A")) == 2
            monkeypatch.setattr(resolver._uncached, "has_answers", has_no_answers)
            await self._ask_in_vain(resolver)
            await self._until(lambda: any(name.endswith(".a.example") for name, _ in dns_server.questions))
            await asyncio.sleep(0.05)
            assert not resolver.is_silent
        assert log.messages == []

    async def test_too_many_questions_at_once_fail(
        self, resolver: CachingResolver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resolver_module, "_MOST_IN_FLIGHT", 3)
        asked = [resolver.resolve(f"n{number}.slow.example", "A") for number in range(4)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(answer, ResolverError) for answer in answers] == [False, False, False, True]
        assert not cast(ResolverError, answers[3]).is_silence
        assert await resolver.resolve("n.slow.example", "A")

    async def test_with_one_server_dead_the_dns_is_not_silent(
        self, dns_server: DnsServer, log: pytest.LogCaptureFixture
    ) -> None:
        with DnsServer({}) as dead:
            pass
        async with _asking(dead, dns_server) as resolver:
            await asyncio.gather(*(resolver.resolve(f"n{number}.example", "A") for number in range(3 * _PROBE_AFTER)))
            assert not resolver.is_silent
        assert log.messages == []

    async def test_any_answer_in_between_begins_the_count_anew(
        self, hasty: CachingResolver, dns_server: DnsServer
    ) -> None:
        """A failure is none: a resolver whose line to the world is broken fails."""
        dns_server.update("*.silent.example", SILENT)
        for name in ("nowhere.example", "a.example"):
            await self._ask_in_vain(hasty, _PROBE_AFTER - 1)
            with contextlib.suppress(ResolverError):
                await hasty.resolve(name, "A")
        await asyncio.sleep(0.01)
        assert self._probes(dns_server) == 0

    async def test_a_name_that_cannot_be_asked_is_no_answer_and_no_silence(
        self, hasty: CachingResolver, dns_server: DnsServer
    ) -> None:
        async def ask_the_impossible() -> None:
            for name in ("a..example", "a\\.example", "ü..example"):
                for _ in range(_PROBE_AFTER):
                    with contextlib.suppress(ResolverError):
                        await hasty.resolve(name, "A")

        await ask_the_impossible()
        await asyncio.sleep(0.01)
        assert self._probes(dns_server) == 0
        dns_server.silence()
        await self._ask_in_vain(hasty, _PROBE_AFTER - 1)
        await ask_the_impossible()
        await self._ask_in_vain(hasty, 1)
        await self._until(lambda: hasty.is_silent)

    async def test_questions_cut_off_by_the_end_say_nothing_of_the_dns(
        self, dns_server: DnsServer, log: pytest.LogCaptureFixture
    ) -> None:
        dns_server.update("*.silent.example", SILENT)
        resolver = CachingResolver([dns_server.address], _WITHIN)
        asked = [resolver.resolve(f"n{number}.silent.example", "A") for number in range(2 * _PROBE_AFTER)]
        await asyncio.sleep(0.001)
        await resolver.close()
        assert all(isinstance(error, ResolverError) for error in await asyncio.gather(*asked, return_exceptions=True))
        await asyncio.sleep(0.01)
        assert self._probes(dns_server) == 0
        assert log.messages == []

    async def test_a_resolver_that_is_closed_meanwhile_asks_no_more(self, dns_server: DnsServer) -> None:
        async with _asking(dns_server, within=timedelta(milliseconds=50)) as resolver:
            dns_server.silence()
            await self._ask_in_vain(resolver)
            await self._until(lambda: resolver.is_silent)
        assert asyncio.all_tasks() == {asyncio.current_task()}


class TestClose:
    async def test_questions_on_their_way_end_in_a_resolver_error_at_once(self, dns_server: DnsServer) -> None:
        resolver = CachingResolver([dns_server.address], _WITHIN)
        asked = asyncio.create_task(_seconds_of_failure(resolver, "silent.example"))
        await asyncio.sleep(0.001)
        await resolver.close()
        assert await asked < _AT_ONCE_SECONDS

    async def test_who_asks_then_gets_a_resolver_error_too(self, dns_server: DnsServer) -> None:
        resolver = CachingResolver([dns_server.address], _WITHIN)
        in_the_same_turn = resolver.resolve("a.example", "A")
        await resolver.close()
        with pytest.raises(ResolverError):
            await in_the_same_turn
        assert await _seconds_of_failure(resolver, "a.example") < _AT_ONCE_SECONDS

    async def test_nothing_is_left_of_it(self, dns_server: DnsServer) -> None:
        """c-ares lets go in a thread of its own, a moment later."""
        async with _asking(dns_server):
            pass  # starts that thread
        descriptors, threads = _descriptors(), threading.active_count()
        for _ in range(30):
            async with _asking(dns_server) as resolver:
                await resolver.resolve("a.example", "A")
        async with asyncio.timeout(_WITHIN.total_seconds()):
            while _descriptors() > descriptors or threading.active_count() > threads:  # noqa: ASYNC110 (no event to await)
                await asyncio.sleep(0.01)


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
