"""The Resolver port on c-ares, which keeps answers for their TTL (NODATA for an hour)."""

import asyncio
import logging
import re
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

import aiodns
import idna
import pycares

from bley.core.errors import ResolverError
from bley.ports import ResourceRecord, RrType
from bley.uncached import DnspythonResolver, fetched

__all__ = ["CaresResolver"]

_TRIES = 6
"""For each server, before our own time-out ends it: c-ares asks again after some five times the usual delay, a quarter
of a second say, and drops the late answer; a resolver that had to search for a second has it ready at a later try."""

_FIRST_TRY_SECONDS = 1.0
"""How long c-ares waits for a server that it does not know yet."""

_SOON = 0.1
"""The part of the time after which a question is asked a second time, by dnspython, which waits for a late answer."""

_PATIENT = 200
"""So many of these at once: each takes a socket."""

_QUESTIONS_A_CHANNEL = 20_000
"""c-ares's cache has no bound but its channel's life: some 1.3 KB a name, so 25 MB."""

_IN_A_ROW = 3
"""So many questions in a row without an answer: it may be not one list that fails, but the DNS itself. No more than
set a list aside (core.list_health): once it is not asked, nothing would be left to count."""

_PROBE_SECONDS = 1.0
"""How often a silent DNS is asked whether it answers again."""

_EMPTY = frozenset({pycares.errno.ARES_ENODATA, pycares.errno.ARES_ENOTFOUND})
_RESPONSE_CODES = {
    pycares.errno.ARES_EFORMERR: "FORMERR",
    pycares.errno.ARES_ESERVFAIL: "SERVFAIL",
    pycares.errno.ARES_ENOTIMP: "NOTIMP",
    pycares.errno.ARES_EREFUSED: "REFUSED",
}
"""The failures that a server can answer (RFC 1035 4.1.1)."""

_NO_ANSWER = {
    pycares.errno.ARES_ETIMEOUT: "no answer in time",
    pycares.errno.ARES_ECONNREFUSED: "connection refused",
}

_MISREAD = re.compile(r"[\0\\]")  # c-ares ends a name at NUL and takes a backslash for an escape

_TYPE_NAMES = {getattr(pycares, f"QUERY_TYPE_{name}"): name for name in ("A", "AAAA", "CNAME", "MX", "PTR", "TXT")}

_log = logging.getLogger(__name__)


class CaresResolver:
    """Asks the given servers, `address` or `address:port` (none: the system's), each question for at most `within`.

    While the DNS gives no usable answer at all, it fails at once instead of holding up mail, and asks again by itself.
    """

    def __init__(self, servers: Sequence[str], within: timedelta) -> None:
        self._servers, self._seconds = list(servers), within.total_seconds()
        self._uncached = DnspythonResolver(servers, within)
        self._in_flight: dict[tuple[str, RrType], asyncio.Task[Sequence[ResourceRecord]]] = {}
        self._is_silent, self._is_closed, self._in_a_row = False, False, 0
        self._patient = 0
        self._probing: asyncio.Task[None] | None = None
        self._retired: list[aiodns.DNSResolver] = []
        self._open_channel()

    @property
    def is_silent(self) -> bool:
        """Whether the DNS gives no usable answer at present."""
        return self._is_silent

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        """See the port."""
        key = (name, rrtype)
        question = self._in_flight.get(key)
        if question is None:
            question = self._in_flight[key] = asyncio.get_running_loop().create_task(self._resolve(name, rrtype))
            question.add_done_callback(lambda _: self._in_flight.pop(key))
            question.add_done_callback(fetched)
        return question

    async def _resolve(self, name: str, rrtype: RrType) -> Sequence[ResourceRecord]:
        if self._is_silent or self._is_closed:
            raise ResolverError(name, rrtype, "the DNS does not answer", is_silence=True)
        try:
            asked = self._channel().query_dns(_ascii(name), rrtype)
        except UnicodeError as error:
            raise ResolverError(name, rrtype, "no domain name") from error
        if _is_refused_name(asked):
            return await self._uncached.resolve(name, rrtype)
        try:
            await asyncio.wait([asked], timeout=self._seconds * _SOON)
            answer = self._read(asked, name, rrtype)
            records = await (answer if asked.done() else self._with_patience(answer, name, rrtype))
        except ResolverError:
            self._note(is_answered=False)
            raise
        self._note(is_answered=True)
        return records

    async def _read(
        self, asked: asyncio.Future[pycares.DNSResult], name: str, rrtype: RrType
    ) -> Sequence[ResourceRecord]:
        """c-ares's answer as ours."""
        try:
            return [_record(record) for record in (await asked).answer]
        except aiodns.error.DNSError as error:
            number, words = error.args
            if number in _EMPTY:
                return []
            why = _NO_ANSWER.get(number) or _RESPONSE_CODES.get(number, words)
            raise ResolverError(name, rrtype, why, is_silence=number in _NO_ANSWER) from error

    async def _with_patience(
        self, answer: Coroutine[None, None, Sequence[ResourceRecord]], name: str, rrtype: RrType
    ) -> Sequence[ResourceRecord]:
        """c-ares's answer, or that to a second question, asked once and waited for: c-ares drops late answers."""
        failure = ResolverError(name, rrtype, "no answer in time", is_silence=True)
        both: list[asyncio.Future[Sequence[ResourceRecord]]] = [asyncio.ensure_future(answer)]
        both[0].add_done_callback(fetched)
        if self._patient < _PATIENT:
            both.append(self._uncached.resolve(name, rrtype))
        self._patient += 1
        try:
            for first in asyncio.as_completed(both, timeout=self._seconds * (1 - _SOON)):
                try:
                    return await first
                except TimeoutError:
                    break
                except ResolverError as error:
                    failure = error
                    if not error.is_silence:
                        break
        finally:
            self._patient -= 1
            for each in both:
                each.cancel()
        raise failure

    async def close(self) -> None:
        """Let go of the sockets; questions on their way end in ResolverError."""
        self._is_closed = True
        if self._probing:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        for channel in (self._cares, *self._retired):
            await channel.close()

    def _open_channel(self) -> None:
        first = min(_FIRST_TRY_SECONDS, self._seconds / 3)
        self._cares = aiodns.DNSResolver(nameservers=self._servers or None, timeout=first, tries=_TRIES)
        self._questions = 0

    def forget(self) -> None:
        """Ask anew, whatever is in the cache."""
        self._questions = _QUESTIONS_A_CHANNEL

    def _channel(self) -> aiodns.DNSResolver:
        """The channel to ask, a new one now and then; the old one answers what it was asked."""
        self._questions += 1
        if self._questions > _QUESTIONS_A_CHANNEL:
            old = self._cares
            self._retired.append(old)
            asyncio.get_running_loop().call_later(2 * self._seconds, self._let_go, old)
            self._open_channel()
        return self._cares

    def _let_go(self, old: aiodns.DNSResolver) -> None:
        """Unreferenced, the channel closes itself; what it still asks, nobody waits for."""
        if not self._is_closed:
            self._retired.remove(old)
            old.cancel()

    def _note(self, *, is_answered: bool) -> None:
        """Count questions in a row without an answer; after some, ask whether it is the DNS that is silent."""
        self._in_a_row = 0 if is_answered else self._in_a_row + 1
        if self._in_a_row >= _IN_A_ROW and not self._is_closed and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Tell the operator once when the DNS is silent, and once when it speaks again."""
        if await self._uncached.has_answers():
            return
        self._is_silent = True
        servers = ", ".join(self._servers) or "the system's resolver"
        _log.warning("DNS: no answer from %s; while this lasts, its checks count nothing and hold up no mail", servers)
        try:
            while not await self._uncached.has_answers():  # noqa: ASYNC110 (nobody but the DNS can tell)
                await asyncio.sleep(_PROBE_SECONDS)
        finally:
            self._is_silent, self._in_a_row = False, 0
        self.forget()
        _log.warning("DNS: answers again")


def _is_refused_name(asked: asyncio.Future[pycares.DNSResult]) -> bool:
    """c-ares refuses what is no host name, before it asks anybody."""
    error = asked.exception() if asked.done() else None
    return error is not None and error.args[0] == pycares.errno.ARES_EBADNAME


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
    return ResourceRecord(record.name, rrtype, value, record.ttl)
