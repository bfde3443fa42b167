"""The resolver on c-ares, against a real DNS server on the loopback."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import dns.flags
import dns.message
import dns.resolver
import dns.rrset
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bley import resolver as resolver_module
from bley.core.errors import ResolverError
from bley.ports import ResourceRecord, RrType
from bley.resolver import CaresResolver
from tests.dns_server import SILENT, Delay, DnsServer, Rcode, Truncated, Zone
from tests.fakes import Data

_WITHIN = timedelta(seconds=2)
_SOON = timedelta(milliseconds=150)
_SLACK_SECONDS = 0.3
_AT_ONCE_SECONDS = 0.5
_IN_A_ROW = 5

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
    "slow.example": Delay(0.05, {"A": ["192.0.2.5"]}),
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
async def resolver(dns_server: DnsServer) -> AsyncIterator[CaresResolver]:
    async with _asking(dns_server) as resolver:
        yield resolver


@contextlib.asynccontextmanager
async def _asking(*servers: DnsServer, within: timedelta = _WITHIN) -> AsyncIterator[CaresResolver]:
    resolver = CaresResolver([server.address for server in servers], within)
    try:
        yield resolver
    finally:
        await resolver.close()


def _data(records: Sequence[ResourceRecord]) -> list[Data]:
    return [record.data for record in records]


async def _seconds_of_failure(resolver: CaresResolver, name: str) -> float:
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
        self, resolver: CaresResolver, name: str, rrtype: RrType, data: list[Data]
    ) -> None:
        records = await resolver.resolve(name, rrtype)
        assert _data(records) == data
        assert {record.rrtype for record in records} == {rrtype}

    async def test_the_strings_of_a_text_are_joined_and_stay_bytes(self, resolver: CaresResolver) -> None:
        records = await resolver.resolve("a.example", "TXT")
        assert _data(records) == [b"v=spf1 -all", "jürgen".encode()]

    async def test_the_aliases_on_the_way_are_in_the_answer(self, resolver: CaresResolver) -> None:
        assert await resolver.resolve("alias.example", "AAAA") == [
            ResourceRecord("alias.example", "CNAME", "other.example"),
            ResourceRecord("other.example", "CNAME", "a.example"),
            ResourceRecord("a.example", "AAAA", "2001:db8::1"),
        ]

    @pytest.mark.parametrize(
        ("name", "rrtype"),
        [("nowhere.example", "A"), ("a.example", "PTR"), ("below.example", "A"), ("", "A"), ("foo.onion", "A")],
    )
    async def test_what_does_not_exist_has_no_records(self, resolver: CaresResolver, name: str, rrtype: RrType) -> None:
        assert await resolver.resolve(name, rrtype) == []

    async def test_a_truncated_answer_is_asked_for_again_over_tcp(
        self, resolver: CaresResolver, dns_server: DnsServer
    ) -> None:
        records = await resolver.resolve("truncated.example", "TXT")
        assert _data(records) == [_LONG_TEXT.encode()]
        assert len(dns_server.questions) == 2

    @pytest.mark.parametrize("name", ["a.example", "a%b.example"])
    async def test_records_that_nobody_asked_for_do_no_harm(self, name: str) -> None:
        """A server may put anything in its answer."""
        async with _odd_server(f"{name}. 60 IN NS ns.example.", f"{name}. 60 IN A 192.0.2.1") as address:
            resolver = CaresResolver([address], _WITHIN)
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
async def _odd_server(*records: str) -> AsyncIterator[str]:
    """Answers every query with these records; its address."""

    class Odd(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
            response = dns.message.make_response(dns.message.from_wire(data))
            response.flags |= dns.flags.RA
            for record in records:
                name, ttl, *rest = record.split()
                response.answer.append(dns.rrset.from_text(name, int(ttl), *rest))
            self.transport.sendto(response.to_wire(), addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Odd, ("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")
    try:
        yield f"{host}:{port}"
    finally:
        transport.close()


class TestFailures:
    @pytest.mark.parametrize("name", ["servfail.example", "refused.example"])
    async def test_a_failure_is_told_at_once_with_name_type_and_reason(
        self, resolver: CaresResolver, name: str
    ) -> None:
        start = time.monotonic()
        with pytest.raises(ResolverError) as caught:
            await resolver.resolve(name, "TXT")
        assert (caught.value.name, caught.value.rrtype) == (name, "TXT")
        assert "server" in caught.value.why
        assert time.monotonic() - start < _AT_ONCE_SECONDS

    @pytest.mark.parametrize("servers", [1, 2, 3])
    async def test_silence_is_an_error_in_time_however_many_servers_there_are(self, servers: int) -> None:
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(DnsServer({"silent.example": SILENT})) for _ in range(servers)]
            async with _asking(*silent, within=_SOON) as resolver:
                seconds = await _seconds_of_failure(resolver, "silent.example")
        assert seconds < _SOON.total_seconds() + _SLACK_SECONDS

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
            async with _asking(silent, dns_server, within=timedelta(seconds=1)) as resolver:
                assert _data(await resolver.resolve("a.example", "AAAA")) == ["2001:db8::1"]


class TestNames:
    async def test_an_internationalised_name_is_asked_in_its_ascii_form(
        self, resolver: CaresResolver, dns_server: DnsServer
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
        self, resolver: CaresResolver, dns_server: DnsServer, name: str
    ) -> None:
        with contextlib.suppress(ResolverError):
            assert await resolver.resolve(name, "A") == []
        assert dns_server.questions == []

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(name=st.text(st.sampled_from("aA.1-_\\\0 \n%@*:/ü漢。\u200b\udcff'\"[]"), max_size=80) | st.text())
    async def test_whatever_the_name_there_is_an_answer_or_a_resolver_error(
        self, resolver: CaresResolver, name: str
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
        self, resolver: CaresResolver, name: str, rrtype: RrType, data: list[Data]
    ) -> None:
        assert await resolver.resolve(name, rrtype) == [ResourceRecord(name, rrtype, value) for value in data]

    async def test_the_aliases_on_the_way_are_in_the_answer(self, resolver: CaresResolver) -> None:
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
    async def test_what_does_not_exist_has_no_records(self, resolver: CaresResolver, name: str, rrtype: RrType) -> None:
        assert await resolver.resolve(name, rrtype) == []

    @pytest.mark.parametrize("name", ["%.servfail.example", "%.refused.example"])
    async def test_a_failure_is_told_at_once(self, resolver: CaresResolver, name: str) -> None:
        assert await _seconds_of_failure(resolver, name) < _AT_ONCE_SECONDS

    async def test_silence_is_an_error_in_time(self, dns_server: DnsServer) -> None:
        async with _asking(dns_server, within=_SOON) as resolver:
            seconds = await _seconds_of_failure(resolver, "%.silent.example")
        assert seconds < _SOON.total_seconds() + _SLACK_SECONDS

    async def test_a_server_where_nobody_listens_is_an_error_in_time(self) -> None:
        with DnsServer({}) as dead:
            pass
        async with _asking(dead, within=_SOON) as resolver:
            seconds = await _seconds_of_failure(resolver, "odd name.example")
        assert seconds < _SOON.total_seconds() + _SLACK_SECONDS

    async def test_when_the_first_server_is_dead_the_second_answers(self, dns_server: DnsServer) -> None:
        with DnsServer({}) as dead:
            pass
        async with _asking(dead, dns_server) as resolver:
            assert _data(await resolver.resolve("odd name.example", "A")) == ["192.0.2.6"]


class TestServers:
    @pytest.mark.parametrize("server", ["127.0.0.1", "127.0.0.1:53", "::1", "[::1]", "[::1]:53"])
    async def test_a_server_may_be_written_in_any_of_the_usual_forms(self, server: str) -> None:
        await CaresResolver([server], _WITHIN).close()

    async def test_the_system_may_have_no_server_configured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then one on this machine is meant (resolv.conf(5))."""

        def read_nothing(*_: object) -> None:
            raise dns.resolver.NoResolverConfiguration

        monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", read_nothing)
        await CaresResolver([], _WITHIN).close()


class TestCache:
    @pytest.mark.parametrize("name", ["a.example", "nowhere.example"])
    async def test_a_name_asked_again_within_its_ttl_is_not_asked_for(
        self, resolver: CaresResolver, dns_server: DnsServer, name: str
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

    async def test_a_failure_is_not_kept(self, resolver: CaresResolver, dns_server: DnsServer) -> None:
        await _seconds_of_failure(resolver, "servfail.example")
        dns_server.update("servfail.example", {"A": ["192.0.2.9"]})
        assert _data(await resolver.resolve("servfail.example", "A")) == ["192.0.2.9"]

    async def test_the_cache_is_emptied_now_and_then_and_no_question_is_lost(
        self, monkeypatch: pytest.MonkeyPatch, dns_server: DnsServer
    ) -> None:
        """c-ares bounds its cache by nothing but the life of its channel."""
        monkeypatch.setattr(resolver_module, "_QUESTIONS_A_CHANNEL", 3)
        async with _asking(dns_server, within=timedelta(seconds=0.5)) as resolver:
            threads = threading.active_count()
            slow = [asyncio.create_task(resolver.resolve("slow.example", "A"))]
            for _ in range(20):
                assert len(await resolver.resolve("a.example", "A")) == 2
                slow.append(asyncio.create_task(resolver.resolve("slow.example", "A")))
            assert all(_data(records) == ["192.0.2.5"] for records in await asyncio.gather(*slow))
            assert len([name for name, _ in dns_server.questions if name == "a.example"]) > 3
            await asyncio.sleep(1.1)  # twice the longest question: then the old channels go
            assert threading.active_count() <= threads


class TestWarnings:
    async def test_silence_and_its_end_are_told_once_each(
        self, dns_server: DnsServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with _asking(dns_server, within=timedelta(milliseconds=20)) as resolver:
            for _ in range(2):
                await self._ask_in_vain(resolver, dns_server, 2 * _IN_A_ROW)
                for _ in range(_IN_A_ROW):
                    await resolver.resolve("a.example", "A")
        assert self._said(caplog) == ["no answer to 5", "answers again"] * 2

    async def test_a_cached_answer_is_no_end_of_the_silence(
        self, dns_server: DnsServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with _asking(dns_server, within=timedelta(milliseconds=20)) as resolver:
            await resolver.resolve("a.example", "A")
            for _ in range(3):
                await self._ask_in_vain(resolver, dns_server, _IN_A_ROW)
                await resolver.resolve("a.example", "A")
        assert self._said(caplog) == ["no answer to 5"]

    async def test_a_few_unanswered_questions_are_not_worth_a_line(
        self, dns_server: DnsServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One list may be silent: that is not the DNS."""
        async with _asking(dns_server, within=timedelta(milliseconds=20)) as resolver:
            await self._ask_in_vain(resolver, dns_server, _IN_A_ROW - 1)
            await _seconds_of_failure(resolver, "refused.example")
            await self._ask_in_vain(resolver, dns_server, _IN_A_ROW - 1)
        assert self._said(caplog) == []

    async def test_a_name_that_cannot_be_asked_says_nothing_of_the_dns(
        self, dns_server: DnsServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with _asking(dns_server, within=timedelta(milliseconds=20)) as resolver:
            await self._ask_in_vain(resolver, dns_server, _IN_A_ROW)
            for name in ("a..example", "a\\.example", "ü..example"):
                with contextlib.suppress(ResolverError):
                    await resolver.resolve(name, "A")
        assert self._said(caplog) == ["no answer to 5"]

    async def test_questions_cut_off_by_the_end_say_nothing_of_the_dns(
        self, dns_server: DnsServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        resolver = CaresResolver([dns_server.address], timedelta(seconds=0.2))
        await self._ask_in_vain(resolver, dns_server, _IN_A_ROW)
        asked = asyncio.create_task(resolver.resolve("silent.example", "A"))
        await asyncio.sleep(0)
        await resolver.close()
        with pytest.raises(ResolverError):
            await asked
        assert self._said(caplog) == ["no answer to 5"]

    async def _ask_in_vain(self, resolver: CaresResolver, dns_server: DnsServer, times: int) -> None:
        dns_server.silence()
        await asyncio.gather(*(_seconds_of_failure(resolver, f"n{number}.example") for number in range(times)))
        dns_server.speak()

    def _said(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        assert all(record.levelno == logging.WARNING for record in caplog.records)
        words = [record.getMessage().removeprefix("DNS: ") for record in caplog.records]
        return [text.partition(" questions")[0] for text in words]


class TestClose:
    async def test_questions_on_their_way_end_in_a_resolver_error_at_once(self, dns_server: DnsServer) -> None:
        resolver = CaresResolver([dns_server.address], _WITHIN)
        asked = asyncio.create_task(_seconds_of_failure(resolver, "silent.example"))
        await asyncio.sleep(0)
        await resolver.close()
        assert await asked < _AT_ONCE_SECONDS

    async def test_nothing_is_left_of_it(self, dns_server: DnsServer) -> None:
        """c-ares lets go in a thread of its own, a moment later."""
        async with _asking(dns_server):
            pass  # starts that thread
        descriptors, threads = _descriptors(), threading.active_count()
        for _ in range(30):
            async with _asking(dns_server) as resolver:
                await resolver.resolve("a.example", "A")
        async with asyncio.timeout(_WITHIN.total_seconds()):
            while _descriptors() > descriptors or threading.active_count() > threads:  # noqa: ASYNC110 (nobody tells us)
                await asyncio.sleep(0.01)


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
