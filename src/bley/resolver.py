"""The Resolver port on c-ares, which keeps answers for their TTL."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import aiodns
import pycares

from bley.core.errors import ResolverError
from bley.ports import ResourceRecord, RrType

__all__ = ["CaresResolver"]

_log = logging.getLogger(__name__)

_TRIES = 2
_SILENT_AFTER = 5
"""So many questions in a row without any answer: it is not one list that is silent, it is the DNS."""

_NO_ANSWER = frozenset({pycares.errno.ARES_ETIMEOUT, pycares.errno.ARES_ECONNREFUSED})
_EMPTY = frozenset({pycares.errno.ARES_ENODATA, pycares.errno.ARES_ENOTFOUND})


class CaresResolver:
    """Asks the given servers (`address` or `address:port`; none: the system's), all within `timeout`."""

    def __init__(self, servers: Sequence[str], timeout: timedelta) -> None:
        # c-ares waits the time-out for its first try, the double for its second, and so on.
        first = timeout.total_seconds() / (2**_TRIES - 1)
        self._unanswered = 0
        self._cares = aiodns.DNSResolver(nameservers=list(servers) or None, timeout=first, tries=_TRIES)

    async def resolve(self, name: str, rrtype: RrType) -> Sequence[ResourceRecord]:
        """See the port."""
        try:
            question = name if name.isascii() else name.encode("idna").decode()
            result = await self._cares.query_dns(question, rrtype)
        except UnicodeError as error:
            raise ResolverError(name, rrtype, "no domain name") from error
        except aiodns.error.DNSError as error:
            self._note(is_answered=error.args[0] not in _NO_ANSWER)
            if error.args[0] in _EMPTY:
                return []
            raise ResolverError(name, rrtype, str(error.args[-1])) from error
        self._note(is_answered=True)
        return [_record(record) for record in result.answer]

    def _note(self, *, is_answered: bool) -> None:
        """Tell the operator once when the DNS falls silent, and once when it speaks again."""
        if is_answered and self._unanswered >= _SILENT_AFTER:
            _log.warning("DNS: answers again")
        self._unanswered = 0 if is_answered else self._unanswered + 1
        if self._unanswered == _SILENT_AFTER:
            _log.warning(
                "DNS: no answer to %d questions in a row; until there is, its checks count nothing", _SILENT_AFTER
            )

    async def close(self) -> None:
        """Let go of the sockets; questions on their way end in ResolverError."""
        await self._cares.close()


def _record(record: pycares.DNSRecord) -> ResourceRecord:
    rrtype = _TYPE_NAMES.get(record.type, str(record.type))
    data: Any = record.data
    match rrtype:
        case "A" | "AAAA":
            value = data.addr
        case "TXT":
            value = data.data
        case "MX":
            value = (data.priority, data.exchange)
        case "CNAME":
            value = data.cname
        case "PTR":
            value = data.dname
        case _:
            value = ""
    return ResourceRecord(record.name, rrtype, value)


_TYPE_NAMES = {
    pycares.QUERY_TYPE_A: "A",
    pycares.QUERY_TYPE_AAAA: "AAAA",
    pycares.QUERY_TYPE_CNAME: "CNAME",
    pycares.QUERY_TYPE_MX: "MX",
    pycares.QUERY_TYPE_PTR: "PTR",
    pycares.QUERY_TYPE_TXT: "TXT",
}
