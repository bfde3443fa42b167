"""The UncachedResolver port on dnspython: each query goes to the servers.

It is used for answers that must be fresh, such as those of a self-test, and for names that are no host names, which
c-ares refuses. SPF macros make such names of local parts: `exists:%{l}._spf.example.com` can become
`bounce=jane.example.org._spf.example.com` (RFC 7208 7.3).
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
from bley.settings.values import parse_server

__all__ = ["DnspythonResolver", "retrieve_exception"]


_LONGEST_BY_TCP = 8192
"""Octets of an answer by TCP: enough for an SPF record of 4,096. dnspython takes 3 us an octet of the worst."""


def retrieve_exception(answer: asyncio.Future[Sequence[ResourceRecord]]) -> None:
    """Retrieve an exception that may have no caller any more: asyncio would log it, with a key in the name."""
    if not answer.cancelled():
        answer.exception()


class DnspythonResolver:
    """A resolver for any name. Servers and time limit are as for CachingResolver."""

    def __init__(self, servers: Sequence[str], within: timedelta) -> None:
        self._seconds = within.total_seconds()
        servers = servers or read_system_servers().servers
        self.name = ", ".join(servers)
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = [_server(server) for server in servers]
        # A dead server leaves time for the next one; a single server may take all of it.
        servers_count = len(self._resolver.nameservers)
        self._resolver.timeout = self._seconds / (servers_count + 1 if servers_count > 1 else 1)

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        """Query the servers. An impossible name, with an empty or too long label, has no records."""
        answer = asyncio.ensure_future(self._resolve(name, rrtype))
        answer.add_done_callback(retrieve_exception)
        return answer

    async def has_answers(self) -> bool:
        """Whether the DNS answers at all: that a random name, which is in no cache, does not exist.

        If the query for a name in com fails, which some private resolvers do not serve, one in the root is tried.
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

    async def invented_addresses(self) -> frozenset[str]:
        """Return the addresses that the servers answer for names that do not exist: random names of two registries.

        One registry may have a record for all names that are not registered, as that of com had in 2003.
        """
        names = [f"{secrets.token_hex(8)}.{domain}" for domain in ("com", "org")]
        try:
            answers = await asyncio.gather(*(self._resolve(name, "A") for name in names))
        except ResolverError:
            return frozenset()
        found = [{str(record.data) for record in answer if record.rrtype == "A"} for answer in answers]
        return frozenset().union(*found) if all(found) else frozenset()

    async def _resolve(self, name: str, rrtype: RrType) -> Sequence[ResourceRecord]:
        """Query the servers. If dnspython has lost a cancellation, it is raised, so that a stop ends each self-test.

        It uses asyncio.wait_for, which loses one in Python 3.11 if an answer comes at the same time.
        """
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        try:
            return await self._query(name, rrtype)
        finally:
            if task and task.cancelling() > cancelled:
                raise asyncio.CancelledError

    async def _query(self, name: str, rrtype: RrType) -> Sequence[ResourceRecord]:
        try:
            parsed = dns.name.from_text(name)
        except dns.exception.DNSException:
            return []
        try:
            answer = await self._resolver.resolve(
                parsed, rrtype, lifetime=self._seconds, raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.resolver.LifetimeTimeout, dns.resolver.NoNameservers) as error:
            why = _failure(error)
            raise ResolverError(name, rrtype, why or "no answer in time", is_silence=not why) from error
        except (dns.exception.DNSException, OSError) as error:
            raise ResolverError(name, rrtype, str(error)) from error
        records = [
            # The queried name is returned as it was given, not in zone file form, where a space is \\032.
            ResourceRecord(name if rrset.name == parsed else _text(rrset.name), _type(rrset), _data(rdata), rrset.ttl)
            for rrset in answer.response.answer
            for rdata in rrset
        ]
        if len(records) > MOST_RECORDS:
            raise ResolverError(name, rrtype, f"more than {MOST_RECORDS} records")
        return records


def _failure(error: dns.exception.DNSException) -> str:
    """Return the failure that a server answered (RFC 1035 4.1.1), or its violation; empty if none answered."""
    answers = [what for _server, _is_tcp, _port, what, _response in error.kwargs["errors"]]
    return next((str(what) for what in reversed(answers) if isinstance(what, str | _TooLongError)), "")


class _TooLongError(OSError):
    """An answer is longer than _LONGEST_BY_TCP. dnspython then gives up this server."""


class _Nameserver(dns.nameserver.Do53Nameserver):
    """A name server of dnspython that refuses long answers by TCP, and parses them in a thread."""

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
            raise OSError("an answer to another query")
        return response

    async def _query_by_tcp(self, query: bytes) -> bytes:
        """Send a query by TCP, each message after its length (RFC 7766 8). Return the answer."""
        reader, writer = await asyncio.open_connection(self.address, self.port)
        try:
            writer.write(len(query).to_bytes(2) + query)
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
    return _Nameserver(*parse_server(text))


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
