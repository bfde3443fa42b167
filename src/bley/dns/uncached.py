"""The Resolver port by dnspython, without a cache: each question goes to the servers.

For what must not be old, such as a list's self-test, and for names that are no host names, which c-ares refuses to ask
for: SPF's macros make them of local parts. `exists:%{l}._spf.example.com` asks for
`bounce=jane.example.org._spf.example.com`, say (RFC 7208 7.3).
"""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import timedelta

import dns._asyncbackend
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.rrset
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from bley.core.errors import ResolverError
from bley.dns.resolv_conf import read_system_servers
from bley.ports import MOST_RECORDS, ResourceRecord, RrType
from bley.settings.values import split_server

__all__ = ["DnspythonResolver", "retrieve_exception"]


_LONGEST_BY_TCP = 8192
"""Octets of an answer by TCP, which an SPF record of 4,096 fits into; dnspython takes 3 us an octet of the worst."""


def retrieve_exception(asked: asyncio.Future[Sequence[ResourceRecord]]) -> None:
    """Fetch a failure that nobody may wait for any more; asyncio would print it, with the name, and a key in that."""
    if not asked.cancelled():
        asked.exception()


class DnspythonResolver:
    """Asks the given servers for any name; servers and time as CachingResolver's."""

    def __init__(self, servers: Sequence[str], within: timedelta) -> None:
        self._seconds = within.total_seconds()
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = [_server(server) for server in servers or read_system_servers().servers]
        # So that a dead server leaves time for the next; a single one may take as long as it likes.
        servers_count = len(self._resolver.nameservers)
        self._resolver.timeout = self._seconds / (servers_count + 1 if servers_count > 1 else 1)

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        """See the port. A name that cannot be, with an empty or too long label, does not exist."""
        asked = asyncio.ensure_future(self._resolve(name, rrtype))
        asked.add_done_callback(retrieve_exception)
        return asked

    async def has_answers(self) -> bool:
        """Whether the DNS answers at all: to a question for a name that no cache can know, that it does not exist.

        Where it fails for one in com, which not every resolver has, one in the root is asked for.
        """
        for domain in ("com", ""):
            try:
                await self._resolve(f"{secrets.token_hex(8)}.{domain}", "A")
            except ResolverError as error:
                if error.is_silence:
                    return False
            else:
                return True
        return False

    async def _resolve(self, name: str, rrtype: RrType) -> Sequence[ResourceRecord]:
        try:
            question = dns.name.from_text(name)
        except dns.exception.DNSException:
            return []
        try:
            answer = await self._resolver.resolve(
                question, rrtype, lifetime=self._seconds, raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.resolver.LifetimeTimeout, dns.resolver.NoNameservers) as error:
            why = _failure(error)
            raise ResolverError(name, rrtype, why or "no answer in time", is_silence=not why) from error
        except (dns.exception.DNSException, OSError) as error:
            raise ResolverError(name, rrtype, str(error)) from error
        records = [
            # Asked names come back as they were asked, not in zone file form, where a space is \\032.
            ResourceRecord(name if rrset.name == question else _text(rrset.name), _type(rrset), _data(rdata), rrset.ttl)
            for rrset in answer.response.answer
            for rdata in rrset
        ]
        if len(records) > MOST_RECORDS:
            raise ResolverError(name, rrtype, f"more than {MOST_RECORDS} records")
        return records


def _failure(error: dns.exception.DNSException) -> str:
    """The failure that one of the servers answered (RFC 1035 4.1.1), or its fault; the empty string if none did."""
    answers = [what for _server, _is_tcp, _port, what, _response in error.kwargs["errors"]]
    return next((str(what) for what in reversed(answers) if isinstance(what, str | _TooLongError)), "")


class _TooLongError(OSError):
    """An answer is longer than _LONGEST_BY_TCP; dnspython asks that server no more."""


class _Nameserver(dns.nameserver.Do53Nameserver):
    """As dnspython's, but by TCP it takes no long answers, and parses them in a thread."""

    async def async_query(
        self,
        request: dns.message.QueryMessage,
        timeout: float,  # noqa: ASYNC109 (dnspython's)
        source: str | None,
        source_port: int,
        max_size: bool,
        backend: dns._asyncbackend.Backend,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        if not max_size:
            return await super().async_query(
                request, timeout, source, source_port, max_size, backend, one_rr_per_rrset, ignore_trailing
            )
        async with asyncio.timeout(timeout):
            wire = await self._query_by_tcp(request.to_wire())
        response = await asyncio.to_thread(dns.message.from_wire, wire)
        if not request.is_response(response):
            raise OSError("an answer to something else")
        return response

    async def _query_by_tcp(self, question: bytes) -> bytes:
        """RFC 7766 8: each message has its length before it."""
        reader, writer = await asyncio.open_connection(self.address, self.port)
        try:
            writer.write(len(question).to_bytes(2) + question)
            length = int.from_bytes(await reader.readexactly(2))
            if length > _LONGEST_BY_TCP:
                raise _TooLongError(f"longer than {_LONGEST_BY_TCP} octets")
            return await reader.readexactly(length)
        finally:
            writer.close()


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


def _type(rrset: dns.rrset.RRset) -> str:
    return dns.rdatatype.to_text(rrset.rdtype)


def _server(text: str) -> dns.nameserver.Nameserver:
    return _Nameserver(*split_server(text))


def _data(rdata: object) -> str | bytes | tuple[int, str]:
    match rdata:
        case A() | AAAA():
            return str(rdata.address)
        case TXT():
            return b"".join(rdata.strings)
        case MX():
            return int(rdata.preference), _text(rdata.exchange)
        case CNAME() | PTR():
            return _text(rdata.target)
    return ""
