"""The DNS server of the tests, queried by real clients: dnspython over UDP and TCP, and c-ares (aiodns)."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar, TypeVar

import aiodns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import pycares
import pytest

from tests import dns_server
from tests.dns_server import SILENT, Delay, DnsServer, Entry, Rcode, Truncated, Zone

_T = TypeVar("_T")

_PATIENCE_SECONDS = 30.0  # for answers that come
_IMPATIENCE_SECONDS = 0.1  # for answers that never come
_SLOW_SECONDS = 1.0


def _send(server: DnsServer, query: dns.message.Message) -> dns.message.Message:
    return dns.query.udp(query, "127.0.0.1", _PATIENCE_SECONDS, server.port)


def _ask(server: DnsServer, name: str, rdtype: str = "A") -> dns.message.Message:
    return _send(server, dns.message.make_query(name, rdtype))


def _ask_tcp(server: DnsServer, name: str, rdtype: str = "A") -> dns.message.Message:
    query = dns.message.make_query(name, rdtype)
    return dns.query.tcp(query, "127.0.0.1", _PATIENCE_SECONDS, server.port)


def _answers(message: dns.message.Message) -> list[str]:
    return [rdata.to_text() for rrset in message.answer for rdata in rrset]


def _is_truncated(message: dns.message.Message) -> bool:
    return bool(message.flags & dns.flags.TC)


def _ask_in_vain(server: DnsServer, name: str = "a.example") -> None:
    query = dns.message.make_query(name, "A")
    with pytest.raises(dns.exception.Timeout):
        dns.query.udp(query, "127.0.0.1", _IMPATIENCE_SECONDS, server.port)


def _assert_no_answer(server: DnsServer, name: str) -> None:
    """Check that there is no answer, and that both questions are recorded."""
    noted = len(server.questions)
    _ask_in_vain(server, name)
    _wait_for_questions(server, noted + 1)
    query = dns.message.make_query(name, "A")
    with pytest.raises(dns.exception.Timeout):
        dns.query.tcp(query, "127.0.0.1", _IMPATIENCE_SECONDS, server.port)
    _wait_for_questions(server, noted + 2)


def _wait_for_questions(server: DnsServer, number: int) -> None:
    """Wait for the questions: the server may be slow."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while len(server.questions) < number and time.monotonic() < end:
        time.sleep(0.01)
    assert len(server.questions) >= number


class TestAnswers:
    def test_udp_and_tcp_give_the_records(self) -> None:
        """The same records come over UDP and TCP, with the TTL, from a server that recurses."""
        with DnsServer({"a.example": {"A": ["192.0.2.1"], "MX": ["10 mx.a.example"]}}) as server:
            for message in (_ask(server, "a.example"), _ask_tcp(server, "a.example")):
                assert message.rcode() == dns.rcode.NOERROR
                assert message.flags & dns.flags.RA
                assert message.answer[0].to_text() == "a.example. 300 IN A 192.0.2.1"
            assert _answers(_ask(server, "a.example", "MX")) == ["10 mx.a.example."]

    def test_ttl_is_the_servers(self) -> None:
        """`ttl` is that of all records and of negative answers."""
        with DnsServer({"a.example": {"A": ["192.0.2.1"]}}, ttl=7) as server:
            assert _ask(server, "a.example").answer[0].ttl == 7
            soa = _ask(server, "b.example").authority[0]
            assert (soa.ttl, soa[0].to_text().split()[-1]) == (7, "7")

    def test_records_keep_the_order_of_the_zone(self) -> None:
        """Records are not shuffled, so that a test does not depend on chance."""
        addresses = [f"192.0.2.{number}" for number in range(1, 20)]
        with DnsServer({"a.example": {"A": addresses}}) as server:
            assert _answers(_ask(server, "a.example")) == addresses

    @pytest.mark.parametrize(
        ("text", "strings"),
        [
            ("v=spf1 ip4:192.0.2.0/24 -all", [b"v=spf1 ip4:192.0.2.0/24 -all"]),
            ('listed; see "https://zen.example/"', [b'listed; see "https://zen.example/"']),
            ('"v=spf1 " "-all"', [b"v=spf1 ", b"-all"]),
            ("jürgen", ["jürgen".encode()]),
            ("x" * 300, [b"x" * 255, b"x" * 45]),
            ("", [b""]),
        ],
    )
    def test_txt(self, text: str, strings: list[bytes]) -> None:
        """TXT is literal and cut at 255 bytes, unless it is quoted as in a zone file."""
        with DnsServer({"a.example": {"TXT": [text]}}) as server:
            [rdata] = _ask(server, "a.example", "TXT").answer[0]
            assert list(rdata.strings) == strings

    @pytest.mark.parametrize(
        ("name", "rcode"),
        [
            ("b.example", dns.rcode.NXDOMAIN),  # no such name
            ("b.a.example", dns.rcode.NXDOMAIN),  # nor below one that exists
            ("a.example", dns.rcode.NOERROR),  # another type
            ("example", dns.rcode.NOERROR),  # only names below it
            ("empty.example", dns.rcode.NOERROR),  # no records at all
        ],
    )
    def test_negative(self, name: str, rcode: dns.rcode.Rcode) -> None:
        """NXDOMAIN where neither the name nor one below it exists, else NODATA; both with SOA."""
        with DnsServer({"a.example": {"TXT": ["x"]}, "empty.example": {}}) as server:
            message = _ask(server, name)
            assert message.rcode() == rcode
            assert not message.answer
            assert [rrset.rdtype for rrset in message.authority] == [dns.rdatatype.SOA]

    def test_any(self) -> None:
        """ANY gives all records of the name."""
        with DnsServer({"a.example": {"A": ["192.0.2.1"], "TXT": ["x"]}}) as server:
            assert _answers(_ask(server, "a.example", "ANY")) == ["192.0.2.1", '"x"']

    def test_name_is_echoed_as_asked(self) -> None:
        """Names match without regard to case, and come back as they were asked."""
        with DnsServer({"a.example": {"A": ["192.0.2.1"]}}) as server:
            message = _ask(server, "A.Example")
            assert message.answer[0].name.to_text() == "A.Example."


class TestWildcards:
    zone: ClassVar[Zone] = {
        "*.zen.example": {"A": ["127.0.0.2"]},
        "*.9.zen.example": {"A": ["127.0.0.9"]},
        "2.0.0.127.zen.example": {"A": ["127.0.0.4"]},
    }

    @pytest.mark.parametrize(
        ("name", "answers"),
        [
            ("1.zen.example", ["127.0.0.2"]),
            ("4.3.2.1.zen.example", ["127.0.0.2"]),
            ("2.0.0.127.zen.example", ["127.0.0.4"]),  # an exact name wins
            ("1.0.0.127.zen.example", ["127.0.0.2"]),  # and does not shadow its neighbours
            ("0.0.127.zen.example", ["127.0.0.2"]),
            ("1.2.9.zen.example", ["127.0.0.9"]),  # the nearest wildcard wins
            ("zen.example", []),  # only what is below
        ],
    )
    def test_wildcard(self, name: str, answers: list[str]) -> None:
        """A wildcard answers for every name below it that has no entry of its own."""
        with DnsServer(self.zone) as server:
            assert _answers(_ask(server, name)) == answers

    def test_world(self) -> None:
        """`*` answers for everything."""
        with DnsServer({"*": {"A": ["192.0.2.1"]}}) as server:
            assert _answers(_ask(server, "a.example")) == ["192.0.2.1"]

    def test_behaviour(self) -> None:
        """A wildcard can have a behaviour as any name."""
        with DnsServer({"*.dead.example": SILENT, "*.ill.example": Rcode("REFUSED")}) as server:
            _assert_no_answer(server, "2.0.0.127.dead.example")
            assert _ask(server, "a.ill.example").rcode() == dns.rcode.REFUSED


class TestAliases:
    zone: ClassVar[Zone] = {
        "a.example": {"CNAME": ["b.example"]},
        "b.example": {"CNAME": ["c.example."]},
        "c.example": {"A": ["192.0.2.1"]},
        "lost.example": {"CNAME": ["nowhere.example"]},
        "loop.example": {"CNAME": ["pool.example"]},
        "pool.example": {"CNAME": ["loop.example"]},
        "ill.example": {"CNAME": ["servfail.example"]},
        "servfail.example": Rcode("SERVFAIL"),
        "silent.example": {"CNAME": ["dead.example"]},
        "dead.example": SILENT,
    }

    @pytest.mark.parametrize(
        ("name", "rdtype", "rcode", "answers"),
        [
            ("a.example", "A", dns.rcode.NOERROR, ["b.example.", "c.example.", "192.0.2.1"]),
            ("a.example", "TXT", dns.rcode.NOERROR, ["b.example.", "c.example."]),
            ("a.example", "CNAME", dns.rcode.NOERROR, ["b.example."]),
            ("lost.example", "A", dns.rcode.NXDOMAIN, ["nowhere.example."]),
            ("ill.example", "A", dns.rcode.SERVFAIL, ["servfail.example."]),
        ],
    )
    def test_followed(
        self,
        name: str,
        rdtype: str,
        rcode: dns.rcode.Rcode,
        answers: list[str],
    ) -> None:
        """The answer has the aliases and what their end has, or how their end behaves."""
        with DnsServer(self.zone) as server:
            message = _ask(server, name, rdtype)
            assert (message.rcode(), _answers(message)) == (rcode, answers)

    def test_alias_of_a_silent_name_is_silent(self) -> None:
        """An alias of a name that never answers never answers."""
        with DnsServer(self.zone) as server:
            _assert_no_answer(server, "silent.example")

    def test_loop(self) -> None:
        """A loop of aliases is SERVFAIL."""
        with DnsServer(self.zone) as server:
            assert _ask_tcp(server, "loop.example").rcode() == dns.rcode.SERVFAIL


class TestBehaviours:
    def test_delay_holds_up_nobody_else(self) -> None:
        """A late answer does not delay other questions."""
        slow = Delay(_SLOW_SECONDS, {"A": ["192.0.2.1"]})
        zone: Zone = {"slow.example": slow, "a.example": {"A": ["192.0.2.2"]}}
        with DnsServer(zone) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(_PATIENCE_SECONDS)
            client.connect(("127.0.0.1", server.port))
            start = time.monotonic()
            for name in ("slow.example", "a.example"):
                client.send(dns.message.make_query(name, "A").to_wire())
            first, second = (dns.message.from_wire(client.recv(512)) for _ in range(2))
            assert _answers(first) == ["192.0.2.2"]
            assert _answers(second) == ["192.0.2.1"]
            assert time.monotonic() - start >= _SLOW_SECONDS

    def test_delay_over_tcp(self) -> None:
        """A TCP answer is late too."""
        with DnsServer({"a.example": Delay(_SLOW_SECONDS, {"A": ["192.0.2.1"]})}) as server:
            start = time.monotonic()
            assert _answers(_ask_tcp(server, "a.example")) == ["192.0.2.1"]
            assert time.monotonic() - start >= _SLOW_SECONDS

    def test_silent(self) -> None:
        """A silent name is never answered, but the questions are noted."""
        with DnsServer({"dead.example": SILENT}) as server:
            _assert_no_answer(server, "dead.example")
            assert server.questions == [("dead.example", "A")] * 2

    @pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED", "NOTIMP", "NXDOMAIN", "NOERROR"])
    def test_rcode(self, code: str) -> None:
        """The response code comes alone, without the SOA that would let it be cached."""
        with DnsServer({"ill.example": Rcode(code)}) as server:
            message = _ask(server, "ill.example")
            assert dns.rcode.to_text(message.rcode()) == code
            assert not message.answer
            assert not message.authority

    def test_truncated(self) -> None:
        """A truncated name has TC and nothing over UDP, all over TCP, whatever its size."""
        with DnsServer({"a.example": Truncated({"A": ["192.0.2.1"]})}) as server:
            message = _ask(server, "a.example")
            assert _is_truncated(message)
            assert not message.answer
            message = _ask_tcp(server, "a.example")
            assert not _is_truncated(message)
            assert _answers(message) == ["192.0.2.1"]


class TestSizes:
    # Four strings of 200 bytes: over 512, under 1232.
    zone: ClassVar[Zone] = {"big.example": {"TXT": [f"{number}" * 200 for number in range(4)]}}

    @pytest.mark.parametrize(
        ("edns_size", "truncated"),
        [(None, True), (512, True), (100, True), (1232, False)],
    )
    def test_udp_limit(self, edns_size: int | None, truncated: bool) -> None:
        """UDP carries 512 bytes or the EDNS size of the query, what is larger has TC set."""
        with DnsServer(self.zone) as server:
            query = dns.message.make_query("big.example", "TXT", payload=edns_size)
            message = _send(server, query)
            assert _is_truncated(message) is truncated
            assert bool(message.answer) is not truncated

    def test_tcp_has_no_limit(self) -> None:
        """TCP carries all, also in the client's own fall-back from UDP."""
        with DnsServer(self.zone) as server:
            assert len(_answers(_ask_tcp(server, "big.example", "TXT"))) == 4
            query = dns.message.make_query("big.example", "TXT")
            where = ("127.0.0.1", _PATIENCE_SECONDS, server.port)
            message, used_tcp = dns.query.udp_with_fallback(query, *where)
            assert used_tcp
            assert len(_answers(message)) == 4
            assert server.questions == [("big.example", "TXT")] * 3

    def test_edns(self) -> None:
        """Queries with EDNS get EDNS, with our size and their DO bit."""
        with DnsServer({}) as server:
            assert _ask(server, "a.example").edns == -1
            message = _send(server, dns.message.make_query("a.example", "A", payload=4096))
            assert (message.edns, message.payload, message.options) == (0, 1232, ())
            assert not message.ednsflags & dns.flags.DO
            message = _send(server, dns.message.make_query("a.example", "A", want_dnssec=True))
            assert message.ednsflags & dns.flags.DO

    def test_unknown_edns_version(self) -> None:
        """A later version of EDNS is BADVERS."""
        with DnsServer({"a.example": {"A": ["192.0.2.1"]}}) as server:
            message = _send(server, dns.message.make_query("a.example", "A", use_edns=1))
            assert (message.rcode(), message.edns) == (dns.rcode.BADVERS, 0)


class TestQuestions:
    def test_questions_are_noted(self) -> None:
        """All questions are noted in order, in lower case, until they are forgotten."""
        with DnsServer({}) as server:
            assert server.questions == []
            _ask(server, "B.example")
            _ask_tcp(server, "a.example", "TXT")
            _ask(server, ".", "NS")
            assert server.questions == [("b.example", "A"), ("a.example", "TXT"), (".", "NS")]
            server.forget_questions()
            assert server.questions == []

    def test_questions_are_a_copy(self) -> None:
        """The list that a test has read does not change."""
        with DnsServer({}) as server:
            questions = server.questions
            _ask(server, "a.example")
            assert questions == []


class TestChanges:
    def test_zone_is_replaced_and_updated(self) -> None:
        """A question after a change gets the new answer, and `zone` has the change."""
        with DnsServer({"a.example": {"A": ["192.0.2.1"]}}) as server:
            server.update("b.example", {"A": ["192.0.2.2"]})
            assert _answers(_ask(server, "a.example")) == ["192.0.2.1"]
            assert _answers(_ask(server, "b.example")) == ["192.0.2.2"]
            server.set_zone({"b.example": Rcode("REFUSED")})
            assert server.zone == {"b.example": Rcode("REFUSED")}
            assert _ask(server, "a.example").rcode() == dns.rcode.NXDOMAIN
            assert _ask(server, "b.example").rcode() == dns.rcode.REFUSED

    def test_bad_change_is_none(self) -> None:
        """Bad zone data is refused and the zone stays as it was."""
        with DnsServer({"a.example": {"A": ["192.0.2.1"]}}) as server:
            with pytest.raises(ValueError, match=r"a\.example: A '192\.0\.2\.300'"):
                server.update("a.example", {"A": ["192.0.2.300"]})
            assert _answers(_ask(server, "a.example")) == ["192.0.2.1"]

    def test_updates_from_many_threads(self) -> None:
        """No update is lost when several threads update at once."""
        with DnsServer({}) as server:

            def update(number: int) -> None:
                for index in range(20):
                    server.update(f"{index}.{number}.example", {"A": ["192.0.2.1"]})

            threads = [threading.Thread(target=update, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(server.zone) == 80

    def test_silence(self) -> None:
        """A silenced server answers nothing, records the questions, and answers again after `speak`."""
        with DnsServer({"a.example": {"A": ["192.0.2.1"]}}) as server:
            server.silence()
            _assert_no_answer(server, "a.example")
            assert server.questions == [("a.example", "A")] * 2
            server.speak()
            assert _answers(_ask(server, "a.example")) == ["192.0.2.1"]


class TestHostilePackets:
    query = dns.message.make_query("a.example", "A", use_edns=0, id=7)
    packets: ClassVar[dict[str, bytes]] = {
        "nothing": b"",
        "a byte": b"\0",
        "HTTP": b"GET / HTTP/1.0\r\n\r\n",
        "cut off": query.to_wire()[:-1],
        "a byte too much": query.to_wire() + b"\0",
        "an answer": dns.message.make_response(query).to_wire(),
        "no question": query.to_wire()[:4] + b"\0\0" + query.to_wire()[6:12],
        "a name that points to itself": query.to_wire()[:12] + b"\xc0\x0c\0\1\0\1",
        "another operation": dns.message.from_text("id 7\nopcode STATUS\n;QUESTION\na. IN A\n").to_wire(),
        "two questions": dns.message.from_text("id 7\nopcode QUERY\n;QUESTION\na. IN A\nb. IN A\n").to_wire(),
    }

    @pytest.mark.parametrize("packet", packets.values(), ids=packets)
    def test_ignored(self, packet: bytes) -> None:
        """A packet that is not a query with one question is ignored, over UDP and TCP, and not recorded."""
        with DnsServer({"a.example": {"A": ["192.0.2.1"]}}) as server:
            address = ("127.0.0.1", server.port)
            with (
                socket.socket(type=socket.SOCK_DGRAM) as udp,
                socket.create_connection(address, _PATIENCE_SECONDS) as tcp,
            ):
                udp.settimeout(_PATIENCE_SECONDS)
                udp.sendto(packet, address)
                udp.sendto(self.query.to_wire(), address)
                tcp.sendall(len(packet).to_bytes(2, "big") + packet)
                tcp.sendall(self.query.to_wire(prepend_length=True))
                first_over_tcp = tcp.recv(512)[2:]
                for wire in (udp.recv(512), first_over_tcp):
                    assert self.query.is_response(dns.message.from_wire(wire))
            assert server.questions == [("a.example", "A")] * 2

    def test_tcp_in_pieces(self) -> None:
        """A TCP question may arrive byte by byte, and two in one piece."""
        wire = self.query.to_wire(prepend_length=True)
        with (
            DnsServer({}) as server,
            socket.create_connection(("127.0.0.1", server.port), _PATIENCE_SECONDS) as tcp,
        ):
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in wire:
                tcp.sendall(bytes([octet]))
            assert self.query.is_response(dns.message.from_wire(tcp.recv(512)[2:]))
            tcp.sendall(wire + wire)
            while len(server.questions) < 3:
                assert tcp.recv(512)

    def test_other_class(self) -> None:
        """Questions of another class than IN are REFUSED."""
        with DnsServer({}) as server:
            message = _send(server, dns.message.make_query("version.bind", "TXT", "CH"))
            assert message.rcode() == dns.rcode.REFUSED


class TestBadZones:
    @pytest.mark.parametrize(
        ("name", "entry", "message"),
        [
            ("A.example", {}, r"'A\.example': .* lower-case ASCII without the final dot"),
            ("a.example.", {}, r"'a\.example\.': .* without the final dot"),
            ("", {}, "'': .* lower-case"),
            ("jürgen.example", {}, r"'jürgen\.example': .* ASCII"),
            ("a..example", {}, r"'a\.\.example': not a domain name: A DNS label is empty"),
            (f"{'a' * 64}.example", {}, r"a\.example': not a domain name: .* > 63"),
            ("a.*.example", {}, r"'a\.\*\.example': the wildcard is the first label, alone"),
            ("*a.example", {}, r"'\*a\.example': the wildcard is the first label, alone"),
            ("a.example", {"A": ["192.0.2.256"]}, r"a\.example: A '192\.0\.2\.256': "),
            ("a.example", {"MX": ["mx.example"]}, r"a\.example: MX 'mx\.example': "),
            ("a.example", {"TXT": ['"open']}, r"a\.example: TXT '\"open': "),
            ("a.example", {"B": ["x"]}, r"a\.example: B 'x': .* type is unknown"),
            ("a.example", {"ANY": ["x"]}, r"a\.example: ANY 'x': "),
            ("a.example", {"A": "192.0.2.1"}, r"a\.example: A '192\.0\.2\.1': wants a list"),
            ("a.example", {"CNAME": ["b.example", "c.example"]}, r"a\.example: CNAME 'b\.exam"),
            ("a.example", {"CNAME": ["b.example"], "A": ["192.0.2.1"]}, "CNAME .* alone"),
            ("a.example", Rcode("SERVFAULT"), r"a\.example: Rcode 'SERVFAULT': no such"),
            ("a.example", Rcode("BADVERS"), r"a\.example: Rcode 'BADVERS': needs EDNS"),
            ("a.example", Delay(-1, {}), r"a\.example: Delay\(seconds=-1, .* 0 seconds or more"),
            ("a.example", Truncated({"A": ["x"]}), r"a\.example: A 'x': "),
            ("a.example", ["192.0.2.1"], r"a\.example: \['192\.0\.2\.1'\]: neither"),
        ],
    )
    def test_message(self, name: str, entry: Entry, message: str) -> None:
        """Bad zone data is a ValueError that names the name and the record."""
        with pytest.raises(ValueError, match=message):
            DnsServer({name: entry})

    @pytest.mark.parametrize("ttl", [-1, 2**31])
    def test_ttl(self, ttl: int) -> None:
        """A TTL has 31 bits."""
        with pytest.raises(ValueError, match=f"ttl {ttl}: 0 to 2147483647 seconds"):
            DnsServer({}, ttl=ttl)


def _count_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


class TestLife:
    def test_nothing_is_left(self) -> None:
        """After the block no thread, descriptor or listener is left, whatever was under way."""
        descriptors = _count_descriptors()
        with (
            DnsServer({"a.example": Delay(60, {})}) as server,
            socket.create_connection(("127.0.0.1", server.port), _PATIENCE_SECONDS) as tcp,
            socket.create_connection(("127.0.0.1", server.port), _PATIENCE_SECONDS),
        ):
            wire = dns.message.make_query("a.example", "A").to_wire(prepend_length=True)
            tcp.sendall(wire + wire[:7])
            _assert_no_answer(server, "a.example")
        assert _count_descriptors() <= descriptors
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("dns ")]
        assert server.questions
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), _PATIENCE_SECONDS)

    def test_stop_while_connections_arrive(self) -> None:
        """A server stops cleanly while it accepts."""
        for _ in range(20):
            with DnsServer({}) as server:
                clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
            for client in clients:
                client.close()

    def test_two_servers(self) -> None:
        """Servers are independent of each other."""
        with (
            DnsServer({"a.example": {"A": ["192.0.2.1"]}}) as one,
            DnsServer({"a.example": {"A": ["192.0.2.2"]}}) as two,
        ):
            assert one.address != two.address
            assert _answers(_ask(two, "a.example")) == ["192.0.2.2"]
            assert one.questions == []

    def test_fault_is_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fault of the server fails the test that used it."""
        failed = _let_answers_fail(monkeypatch)
        with pytest.raises(ZeroDivisionError), DnsServer({}) as server:
            _ask_until(server, failed)

    def test_fault_hides_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A test's own failure is not replaced by a fault of the server."""
        failed = _let_answers_fail(monkeypatch)

        def fail() -> None:
            with DnsServer({}) as server:
                _ask_until(server, failed)
                raise LookupError

        with pytest.raises(LookupError):
            fail()


def _let_answers_fail(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let answers fail; the event is set at the first failure."""
    failed = threading.Event()

    def fail(*_: object) -> float:
        failed.set()
        return 1 / 0

    monkeypatch.setattr(dns_server, "_answer", fail)
    return failed


def _ask_until(server: DnsServer, failed: threading.Event) -> None:
    _ask_in_vain(server)
    assert failed.wait(_PATIENCE_SECONDS)


def _with_cares(server: DnsServer, use: Callable[[aiodns.DNSResolver], Awaitable[_T]]) -> _T:
    """Return the result of `use` with a c-ares resolver that queries only `server`."""

    async def run() -> _T:
        servers = [server.address]
        async with aiodns.DNSResolver(servers, timeout=_PATIENCE_SECONDS, tries=1) as cares:
            return await use(cares)

    return asyncio.run(run())


class TestCares:
    """aiodns 4 gets a server with its port as `nameservers=["127.0.0.1:5353"]`."""

    def test_answer(self) -> None:
        """c-ares gets the records, aliases included, and their TTL."""
        zone: Zone = {"a.example": {"CNAME": ["b.example"]}, "b.example": {"A": ["192.0.2.1"]}}
        with DnsServer(zone, ttl=60) as server:
            result = _with_cares(server, lambda cares: cares.query_dns("a.example", "A"))
        alias, address = result.answer
        assert alias.data == pycares.CNAMERecordData(cname="b.example")
        assert address.data == pycares.ARecordData(addr="192.0.2.1")
        assert (address.name, address.ttl) == ("b.example", 60)

    @pytest.mark.parametrize(
        ("name", "errno"),
        [
            ("none.example", pycares.errno.ARES_ENOTFOUND),
            ("txt.example", pycares.errno.ARES_ENODATA),
            ("ill.example", pycares.errno.ARES_ESERVFAIL),
            ("closed.example", pycares.errno.ARES_EREFUSED),
        ],
    )
    def test_errors(self, name: str, errno: int) -> None:
        """c-ares distinguishes our negative answers and failures."""
        zone: Zone = {
            "txt.example": {"TXT": ["x"]},
            "ill.example": Rcode("SERVFAIL"),
            "closed.example": Rcode("REFUSED"),
        }
        with DnsServer(zone) as server, pytest.raises(aiodns.error.DNSError) as caught:
            _with_cares(server, lambda cares: cares.query_dns(name, "A"))
        assert caught.value.args[0] == errno

    def test_truncated_is_asked_again(self) -> None:
        """c-ares repeats the question over TCP when the answer is truncated, and both are recorded."""
        with DnsServer({"a.example": Truncated({"A": ["192.0.2.1"]})}) as server:
            result = _with_cares(server, lambda cares: cares.query_dns("a.example", "A"))
            assert result.answer[0].data == pycares.ARecordData(addr="192.0.2.1")
            assert server.questions == [("a.example", "A")] * 2

    @pytest.mark.parametrize(("ttl", "asked"), [(300, 2), (0, 4)])
    def test_answers_can_be_cached(self, ttl: int, asked: int) -> None:
        """Positive answers and NXDOMAIN can be cached for the TTL, not at all when it is 0."""

        async def ask_twice(cares: aiodns.DNSResolver) -> None:
            for _ in range(2):
                await cares.query_dns("a.example", "A")
                with pytest.raises(aiodns.error.DNSError):
                    await cares.query_dns("none.example", "A")

        with DnsServer({"a.example": {"A": ["192.0.2.1"]}}, ttl=ttl) as server:
            _with_cares(server, ask_twice)
            assert len(server.questions) == asked

    def test_asked_in_parallel(self) -> None:
        """Simultaneous questions are recorded before the first late answer."""
        zone: Zone = {"*.zen.example": Delay(60, {"A": ["127.0.0.2"]})}

        async def ask_all(cares: aiodns.DNSResolver) -> list[tuple[str, str]]:
            names = [f"{number}.zen.example" for number in range(10)]
            answers = asyncio.gather(*(cares.query_dns(name, "A") for name in names))
            await asyncio.to_thread(_wait_for_questions, server, len(names))
            assert not answers.done()
            answers.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answers
            return server.questions

        with DnsServer(zone) as server:
            assert len(_with_cares(server, ask_all)) == 10

    def test_nothing_listens_after_the_block(self) -> None:
        """The address of a stopped server refuses connections."""
        with DnsServer({}) as server:
            pass
        with pytest.raises(aiodns.error.DNSError) as caught:
            _with_cares(server, lambda cares: cares.query_dns("a.example", "A"))
        assert caught.value.args[0] == pycares.errno.ARES_ECONNREFUSED


def test_dnspython_resolver() -> None:
    """dnspython's resolver accepts our negative answers and aliases."""
    zone: Zone = {"a.example": {"CNAME": ["b.example"]}, "b.example": {"A": ["192.0.2.1"]}}
    with DnsServer(zone) as server:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = server.port
        answer = resolver.resolve("a.example", "A")
        assert answer.canonical_name.to_text() == "b.example."
        assert [rdata.to_text() for rdata in answer] == ["192.0.2.1"]
        with pytest.raises(dns.resolver.NoAnswer):
            resolver.resolve("b.example", "TXT")
        with pytest.raises(dns.resolver.NXDOMAIN):
            resolver.resolve("none.example", "A")


def test_a_script_elsewhere_can_use_it_with_this_folder_in_its_path(tmp_path: Path) -> None:
    """The script knows no package `tests`: it is not installed, and its parent is not in the path."""
    folder = Path(dns_server.__file__).parent
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import dns_server as d; d.DnsServer({{}}).__enter__()"
    run = subprocess.run([sys.executable, "-c", f"{code}; import os; os._exit(0)"], cwd=tmp_path, capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")
