"""Names that are no host names, which c-ares refuses to ask for: SPF's macros make them of local parts.

`exists:%{l}._spf.example.com` asks for `bounce=jane.example.org._spf.example.com`, say (RFC 7208 7.3). They are rare
and never the same twice, so dnspython asks for them, without a cache.
"""

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

from bley.config import split_server
from bley.core.errors import ResolverError
from bley.ports import ResourceRecord, RrType

__all__ = ["OddNameResolver"]


class OddNameResolver:
    """The Resolver port for any name; servers and time as CaresResolver's."""

    def __init__(self, servers: Sequence[str], within: timedelta) -> None:
        self._seconds = within.total_seconds()
        self._resolver = _system_resolver() if not servers else dns.asyncresolver.Resolver(configure=False)
        if servers:
            self._resolver.nameservers = [_server(server) for server in servers]
        # So that a dead server leaves time for the next.
        self._resolver.timeout = self._seconds / (len(self._resolver.nameservers) + 1)

    async def resolve(self, name: str, rrtype: RrType) -> Sequence[ResourceRecord]:
        """See the port. A name that cannot be, with an empty or too long label, does not exist."""
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
        except (dns.exception.DNSException, OSError) as error:
            raise ResolverError(name, rrtype, str(error)) from error
        return [
            # Asked names come back as they were asked, not in zone file form, where a space is \\032.
            ResourceRecord(name if rrset.name == question else _text(rrset.name), _type(rrset), _data(rdata))
            for rrset in answer.response.answer
            for rdata in rrset
        ]


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


def _type(rrset: dns.rrset.RRset) -> str:
    return dns.rdatatype.to_text(rrset.rdtype)


def _system_resolver() -> dns.asyncresolver.Resolver:
    """By resolv.conf; without one the server on this machine, as resolv.conf(5) says."""
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [_server("127.0.0.1")]
        return resolver


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
