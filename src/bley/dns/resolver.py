"""The Resolver port on c-ares, which keeps answers for their TTL (NODATA for an hour)."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from bley.core.errors import ResolverError
from bley.dns.c_ares import CAresChannel, Outcome, RefusedNameError, ascii_name
from bley.dns.resolv_conf import read_system_servers
from bley.dns.uncached import DnspythonResolver, retrieve_exception
from bley.ports import ResourceRecord, RrType

__all__ = ["CachingResolver"]

_FIRST_TRY_SECONDS = 1.0
"""How long c-ares waits for a server that it does not know yet."""

_HEDGE_AFTER = 0.1
"""The part of the time after which a question is asked a second time, by dnspython, which waits for a late answer."""

_MOST_HEDGES = 200
"""So many of these at once: each takes a socket."""

_QUERIES_BEFORE_FLUSH = 20_000
"""Questions after which the channel's cache is emptied: c-ares gives it no bound. Some 1.3 KB a name, so 25 MB."""

_BYTES_BEFORE_FLUSH = 16 * 2**20
"""And bytes, since strangers choose how long an answer is: 8,000 names without records, 280 answers of 58 KB."""

_MOST_IN_FLIGHT = 10_000
"""Questions on their way, some 3 KB each."""

_FAILURES_BEFORE_PROBE = 3
"""So many questions in a row without an answer: it may be not one list that fails, but the DNS itself. No more than
set a list aside (core.list_health): once it is not asked, nothing would be left to count."""

_PROBE_SECONDS = 1.0
"""How often a silent DNS is asked whether it answers again."""

_Answer = asyncio.Future[Sequence[ResourceRecord]]

_log = logging.getLogger(__name__)


class CachingResolver:
    """Asks the given servers, `address` or `address:port` (none: the system's), each question for at most `within`.

    While the DNS gives no usable answer at all, it fails at once instead of holding up mail, and asks again by itself.
    Raises SettingsError when c-ares does not take the servers.
    """

    def __init__(self, servers: Sequence[str], within: timedelta) -> None:
        self._servers, self._seconds = list(servers), within.total_seconds()
        self._asked = self._servers or list(read_system_servers().servers)
        self._in_flight: dict[tuple[str, RrType], _Answer] = {}
        self._is_silent, self._is_closed, self._consecutive_failures = False, False, 0
        self._last_found_name = ""
        self._hedges: set[_Answer] = set()
        self._probing: asyncio.Task[None] | None = None
        self._channel = CAresChannel(self._asked, min(_FIRST_TRY_SECONDS, self._seconds / 3))
        self._queries_since_flush = 0
        self._uncached = DnspythonResolver(self._asked, within)

    @property
    def is_silent(self) -> bool:
        """Whether the DNS gives no usable answer at present."""
        return self._is_silent

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        """See the port."""
        key = (name, rrtype)
        answer = self._in_flight.get(key)
        if answer and not answer.done():  # one from the cache is done before it is told
            return answer
        if len(self._in_flight) >= _MOST_IN_FLIGHT:
            return _failed(ResolverError(name, rrtype, "too many questions at once"))
        if self._is_silent or self._is_closed:
            return _failed(ResolverError(name, rrtype, "the DNS does not answer", is_silence=True))
        try:
            asked = ascii_name(name)
        except UnicodeError:
            return _failed(ResolverError(name, rrtype, "no domain name"))
        question = _HedgedQuery(key, self._seconds, partial(self._hedge, name, rrtype))
        self._in_flight[key] = question.answer
        question.answer.add_done_callback(partial(self._answered, key, question))
        self._flushed_channel().query(asked, rrtype, question.take)
        return question.answer

    def _answered(self, key: tuple[str, RrType], question: "_HedgedQuery", answer: _Answer) -> None:
        if self._in_flight.get(key) is answer:
            del self._in_flight[key]
        is_failure = answer.cancelled() or answer.exception() is not None
        if not is_failure and answer.result():
            self._last_found_name = key[0]
        if not question.is_refused:
            self._count_outcome(is_answered=not is_failure)

    def _hedge(self, name: str, rrtype: RrType) -> _Answer | None:
        """By dnspython, if there is room."""
        if len(self._hedges) >= _MOST_HEDGES:
            return None
        asked = self._uncached.resolve(name, rrtype)
        self._hedges.add(asked)
        asked.add_done_callback(self._hedges.discard)
        return asked

    async def close(self) -> None:
        """Let go of the sockets; questions on their way end in ResolverError."""
        self._is_closed = True
        if self._probing:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        self._channel.close()

    def flush_cache(self) -> None:
        """Ask anew, whatever is in the cache."""
        if self._is_closed:
            return
        self._queries_since_flush = 0
        try:
            self._channel.flush_cache()
        except ResolverError as error:
            _log.warning("DNS: %s; its cache is kept", error)

    def _flushed_channel(self) -> CAresChannel:
        """The channel to ask, whose cache is emptied now and then."""
        self._queries_since_flush += 1
        if self._queries_since_flush > _QUERIES_BEFORE_FLUSH or self._channel.cached_bytes > _BYTES_BEFORE_FLUSH:
            self.flush_cache()
        return self._channel

    def _count_outcome(self, *, is_answered: bool) -> None:
        """Count questions in a row without an answer; after some, ask whether it is the DNS that is silent."""
        self._consecutive_failures = 0 if is_answered else self._consecutive_failures + 1
        if self._consecutive_failures >= _FAILURES_BEFORE_PROBE:
            self.start_probe()

    def start_probe(self) -> None:
        """Find out whether the DNS is silent: somebody has had no answer."""
        if not self._is_closed and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe())

    async def _has_answers(self) -> bool:
        """Whether a server answers, if only for what is below the last name that it had records of."""
        asked = [self._uncached.has_answers()]
        if self._last_found_name:
            asked.append(self._is_answered(f"{secrets.token_hex(8)}.{self._last_found_name}"))
        return any(await asyncio.gather(*asked))

    async def _is_answered(self, name: str) -> bool:
        try:
            await self._uncached.resolve(name, "A")
        except ResolverError:
            return False
        return True

    async def _probe(self) -> None:
        """Tell the operator once when the DNS is silent, and once when it speaks again."""
        if await self._has_answers():
            return
        self._is_silent = True
        servers = ", ".join(self._servers) or "the system's resolver"
        _log.warning("DNS: no answer from %s; while this lasts, its checks count nothing and hold up no mail", servers)
        try:
            while not await self._has_answers():  # noqa: ASYNC110 (nobody but the DNS can tell)
                await asyncio.sleep(_PROBE_SECONDS)
        finally:
            self._is_silent, self._consecutive_failures = False, 0
        self.flush_cache()
        _log.warning("DNS: answers again")


def _failed(error: ResolverError) -> _Answer:
    answer: _Answer = asyncio.get_running_loop().create_future()
    answer.set_exception(error)
    answer.add_done_callback(retrieve_exception)
    return answer


class _HedgedQuery:
    """A question on its way to c-ares, and to dnspython where c-ares refuses the name, or takes long.

    c-ares asks again and again, and drops a late answer to what it asked before; dnspython asks once and waits.
    """

    def __init__(self, asked: tuple[str, RrType], seconds: float, hedge: Callable[[], _Answer | None]) -> None:
        self._asked, self._seconds, self._hedge = asked, seconds, hedge
        self._loop = asyncio.get_running_loop()
        self.answer: _Answer = self._loop.create_future()
        self.is_refused = False
        """c-ares did not ask: what came of it says nothing of the DNS."""
        self._timer = self._loop.call_later(seconds * _HEDGE_AFTER, self._start_hedge)
        self._hedged: _Answer | None = None
        self._awaited = 1

    def take(self, outcome: Outcome) -> None:
        """What c-ares has told, or dnspython."""
        self._awaited -= 1
        if self.answer.done():
            return
        if is_refused := isinstance(outcome, RefusedNameError):
            self.is_refused = True
            self._start_hedge()
        if not isinstance(outcome, ResolverError):
            self._end()
            self.answer.set_result(outcome)
        elif not self._awaited or not (is_refused or outcome.is_silence):
            self._end()
            self.answer.set_exception(outcome)

    def _start_hedge(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(self._seconds * (1 - _HEDGE_AFTER), self._give_up)
        if asked := self._hedge():
            self._awaited += 1
            self._hedged = asked
            asked.add_done_callback(self._receive_hedge)

    def _receive_hedge(self, asked: _Answer) -> None:
        if not asked.cancelled():
            error = asked.exception()
            self.take(error if isinstance(error, ResolverError) else asked.result())

    def _give_up(self) -> None:
        if not self.answer.done():
            self._end()
            self.answer.set_exception(ResolverError(*self._asked, "no answer in time", is_silence=True))

    def _end(self) -> None:
        self._timer.cancel()
        if self._hedged:
            self._hedged.cancel()
