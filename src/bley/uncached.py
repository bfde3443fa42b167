"""The Resolver port by dnspython, without a cache: each question goes to the servers.

For what must not be old, such as a list's self-test, and for names that are no host names, which c-ares refuses to ask
for: SPF's macros make them of local parts. `exists:%{l}._spf.example.com` asks for
`bounce=jane.example.org._spf.example.com`, say (RFC 7208 7.3).
"""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import timedelta

import dns.asyncresolver
import dns.exception
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
from bley.ports import ResourceRecord, RrType
from bley.resolv_conf import read_system_servers
from bley.setting_types import split_server

__all__ = ["DnspythonResolver", "fetched"]


def fetched(asked: asyncio.Future[Sequence[ResourceRecord]]) -> None:
    """Fetch a failure that nobody may wait for any more; asyncio would print it, with the name, and a key in that."""
    if not asked.cancelled():
        asked.exception()


class DnspythonResolver:
    """Asks the given servers for any name; servers and time as CaresResolver's."""

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
        asked.add_done_callback(fetched)
        return asked

    async def has_answers(self) -> bool:
        """Whether the DNS answers at all: to the question for a name that no cache can know, that it does not exist."""
        try:
            await self._resolve(f"{secrets.token_hex(8)}.com", "A")
        except ResolverError:
            return False
        return True

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
            why = _response_code(error)
            raise ResolverError(name, rrtype, why or "no answer in time", is_silence=not why) from error
        except (dns.exception.DNSException, OSError) as error:
            raise ResolverError(name, rrtype, str(error)) from error
        return [
            # Asked names come back as they were asked, not in zone file form, where a space is \\032.
            ResourceRecord(name if rrset.name == question else _text(rrset.name), _type(rrset), _data(rdata), rrset.ttl)
            for rrset in answer.response.answer
            for rdata in rrset
        ]


def _response_code(error: dns.exception.DNSException) -> str:
    """The failure that one of the servers answered (RFC 1035 4.1.1), the empty string if none did."""
    answers = [what for _server, _is_tcp, _port, what, _response in error.kwargs["errors"]]
    return next((code for code in reversed(answers) if isinstance(code, str)), "")


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


def _type(rrset: dns.rrset.RRset) -> str:
    return dns.rdatatype.to_text(rrset.rdtype)


def _server(text: str) -> dns.nameserver.Nameserver:
    return dns.nameserver.Do53Nameserver(*split_server(text))


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
