"""The Resolver port on c-ares, which keeps answers for their TTL (NODATA for an hour)."""

import asyncio
import logging
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import aiodns
import idna
import pycares

from bley.core.errors import ResolverError
from bley.odd_names import OddNameResolver
from bley.ports import ResourceRecord, RrType

__all__ = ["CaresResolver"]

_TRIES = 6
"""For each server, before our own time-out ends it: c-ares asks again after some five times the usual delay, a quarter
of a second say, and drops the late answer; a resolver that had to search for a second has it ready at a later try."""

_FIRST_TRY_SECONDS = 1.0
"""How long c-ares waits for a server that it does not know yet."""

_QUESTIONS_A_CHANNEL = 20_000
"""c-ares's cache has no bound but its channel's life: some 1.3 KB a name, so 25 MB."""

_IN_A_ROW = 5
"""So many questions without any answer: it is not one list that is silent, it is the DNS."""

_EMPTY = frozenset({pycares.errno.ARES_ENODATA, pycares.errno.ARES_ENOTFOUND})
_NO_ANSWER = frozenset({pycares.errno.ARES_ETIMEOUT, pycares.errno.ARES_ECONNREFUSED})
_REFUSALS = frozenset(
    {pycares.errno.ARES_EFORMERR, pycares.errno.ARES_ESERVFAIL, pycares.errno.ARES_ENOTIMP, pycares.errno.ARES_EREFUSED}
)
_ANSWERS = _EMPTY | _REFUSALS

_MISREAD = re.compile(r"[\0\\]")  # c-ares ends a name at NUL and takes a backslash for an escape

_TYPE_NAMES = {getattr(pycares, f"QUERY_TYPE_{name}"): name for name in ("A", "AAAA", "CNAME", "MX", "PTR", "TXT")}

_log = logging.getLogger(__name__)


class CaresResolver:
    """Asks the given servers, `address` or `address:port` (none: the system's), each question for at most `within`."""

    def __init__(self, servers: Sequence[str], within: timedelta) -> None:
        self._servers, self._seconds = list(servers), within.total_seconds()
        self._odd_names = OddNameResolver(servers, within)
        self._is_silent, self._in_a_row = False, 0
        self._retired: list[aiodns.DNSResolver] = []
        self._open_channel()

    async def resolve(self, name: str, rrtype: RrType) -> Sequence[ResourceRecord]:
        """See the port."""
        try:
            async with asyncio.timeout(self._seconds):
                result = await self._channel().query_dns(_ascii(name), rrtype)
        except TimeoutError as error:
            self._note(is_answered=False)
            raise ResolverError(name, rrtype, "no answer in time") from error
        except UnicodeError as error:
            raise ResolverError(name, rrtype, "no domain name") from error
        except aiodns.error.DNSError as error:
            if error.args[0] in _ANSWERS | _NO_ANSWER:
                self._note(is_answered=error.args[0] in _ANSWERS)
            if error.args[0] in _EMPTY:
                return []
            if error.args[0] == pycares.errno.ARES_EBADNAME:
                return await self._odd_names.resolve(name, rrtype)
            raise ResolverError(name, rrtype, str(error.args[-1])) from error
        self._note(is_answered=True)
        return [_record(record) for record in result.answer]

    async def close(self) -> None:
        """Let go of the sockets; questions on their way end in ResolverError."""
        for channel in (self._cares, *self._retired):
            await channel.close()

    def _open_channel(self) -> None:
        first = min(_FIRST_TRY_SECONDS, self._seconds / 3)
        self._cares = aiodns.DNSResolver(nameservers=self._servers or None, timeout=first, tries=_TRIES)
        self._questions = 0

    def _channel(self) -> aiodns.DNSResolver:
        """The channel to ask, a new one now and then; the old one answers what it was asked."""
        self._questions += 1
        if self._questions > _QUESTIONS_A_CHANNEL:
            old = self._cares
            self._retired.append(old)
            # Unreferenced, it closes itself.
            asyncio.get_running_loop().call_later(2 * self._seconds, self._retired.remove, old)
            self._open_channel()
        return self._cares

    def _note(self, *, is_answered: bool) -> None:
        """Tell the operator once when the DNS falls silent, and once when it speaks again.

        Both take some in a row: c-ares answers from its cache while no server does.
        """
        if is_answered != self._is_silent:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row < _IN_A_ROW:
            return
        self._is_silent, self._in_a_row = not self._is_silent, 0
        if self._is_silent:
            _log.warning(
                "DNS: no answer to %d questions in a row; while this lasts, its checks count nothing", _IN_A_ROW
            )
        else:
            _log.warning("DNS: answers again")


def _ascii(name: str) -> str:
    """The name as it is asked, internationalised names in their A-label form (RFC 5891); UnicodeError if it is none."""
    if _MISREAD.search(name):
        raise UnicodeError(f"{name!r} cannot be asked")
    return name if name.isascii() else idna.encode(name, uts46=True).decode()


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
