"""The CachedResolver port on c-ares, which caches answers for their TTL, NXDOMAIN for that of its SOA record."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from bley.core.dnslists.resolver_fault import RESOLVER_REMEDY, rewriting
from bley.core.errors import ResolverError
from bley.dns.c_ares import CAresChannel, RefusedNameError, ascii_name
from bley.dns.resolv_conf import read_system_servers
from bley.dns.uncached import DnspythonResolver, retrieve_exception
from bley.ports import Outcome, ResourceRecord, RrType

__all__ = ["CachingResolver"]

_FIRST_TRY_SECONDS = 1.0
"""The time-out of the first try with a server whose latency c-ares does not know yet."""

_HEDGE_AFTER = 0.1
"""The part of the time limit after which a query is hedged: sent again by dnspython, which accepts a late answer."""

_TICK = 0.025
"""The part of the time limit between two looks at the queries in flight. An answer is late by so much more at most."""

_MOST_HEDGES = 200
"""Hedged queries at the same time: each takes a socket."""

_QUERIES_BEFORE_FLUSH = 20_000
"""Queries after which the cache of c-ares, which has no size limit, is flushed: some 1.3 KB a name, so 25 MB."""

_BYTES_BEFORE_FLUSH = 16 * 2**20
"""Bytes of answers after which it is flushed, as strangers choose their length: 8,000 empty ones, or 280 of 58 KB."""

_MOST_IN_FLIGHT = 10_000
"""Queries in flight, some 3 KB each."""

_FAILURES_BEFORE_PROBE = 3
"""Consecutive failures after which a probe tests whether the whole DNS is silent, not one list only. No more than set a
list aside (`core/dnslists/health.py`): that list sends no more queries that could be counted."""

_PROBE_SECONDS = 1.0
"""The interval of probes while the DNS is silent."""

_Answer = asyncio.Future[Sequence[ResourceRecord]]

_log = logging.getLogger(__name__)


class CachingResolver:
    """A resolver that queries `servers`, by default those of the system, for at most `within` a query.

    While the DNS gives no usable answer at all, queries fail at once, so that no mail waits; probes find its recovery.
    Raises SettingsError if c-ares does not accept the servers.
    """

    def __init__(self, servers: Sequence[str], within: timedelta) -> None:
        self._servers, self._seconds = list(servers), within.total_seconds()
        addresses = self._servers or list(read_system_servers().servers)
        self._loop = asyncio.get_running_loop()
        self._in_flight: dict[tuple[str, RrType], _HedgedQuery] = {}
        """The queries in flight, the oldest first."""
        self._tick_seconds = self._seconds * _TICK
        self._timer: asyncio.TimerHandle | None = None
        self._is_silent, self._is_closed, self._consecutive_failures = False, False, 0
        self._last_found_name = ""
        self._hedges: set[_Answer] = set()
        self._probing: asyncio.Task[None] | None = None
        self._channel = CAresChannel(addresses, min(_FIRST_TRY_SECONDS, self._seconds / 3))
        self._queries_since_flush = 0
        self._uncached = DnspythonResolver(addresses, within)

    @property
    def is_silent(self) -> bool:
        """Whether the DNS gives no usable answer at present."""
        return self._is_silent

    def resolve(self, name: str, rrtype: RrType) -> _Answer:
        """Query the DNS, or share an equal query in flight."""
        answer: _Answer = self._loop.create_future()
        self.query(name, rrtype, partial(_set_outcome, answer))
        return answer

    def query(self, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
        """Query the DNS, or share an equal query in flight. `then` is called with the outcome."""
        if query := self._in_flight.get((name, rrtype)):
            query.callbacks.append(then)
            return
        try:
            wire_name = ascii_name(name)
        except UnicodeError:
            then(ResolverError(name, rrtype, "not a domain name"))
            return
        if len(self._in_flight) >= _MOST_IN_FLIGHT:
            then(ResolverError(name, rrtype, "too many queries at once"))
        elif self._is_silent or self._is_closed:
            then(ResolverError(name, rrtype, "the DNS does not answer", is_silence=True))
        else:
            query = _HedgedQuery(self, name, rrtype, self._loop.time(), then)
            self._in_flight[name, rrtype] = query
            if self._timer is None:
                self._timer = self._loop.call_later(self._tick_seconds, self._tick)
            self._flushed_channel().query(wire_name, rrtype, query.receive)

    def take(self, query: "_HedgedQuery", outcome: Outcome) -> None:
        """Take the outcome of a query that has ended: count it, and call those that wait for it."""
        name = query.name
        del self._in_flight[name, query.rrtype]
        is_answered = not isinstance(outcome, ResolverError)
        if is_answered and outcome:
            self._last_found_name = name
        if not query.is_refused:
            self._count_outcome(is_answered=is_answered)
        for then in query.callbacks:
            try:
                then(outcome)
            except Exception:  # noqa: BLE001 (a bug of one must not keep the answer from the others; logged)
                _log.exception("internal error; please report it")

    def _tick(self) -> None:
        """Hedge the queries that take long, and give up those whose time is over. One timer serves all of them."""
        now = self._loop.time()
        for query in list(self._in_flight.values()):
            if query.is_done:
                continue  # the end of an earlier one has ended it
            if now - query.started >= self._seconds:
                query.give_up()
            elif now - query.started >= self._seconds * _HEDGE_AFTER:
                query.start_hedge()
            else:
                break  # the others were started later
        self._timer = self._loop.call_later(self._tick_seconds, self._tick) if self._in_flight else None

    def hedge(self, name: str, rrtype: RrType) -> _Answer | None:
        """Send the query by dnspython too, unless too many are hedged already."""
        if len(self._hedges) >= _MOST_HEDGES:
            return None
        hedge = self._uncached.resolve(name, rrtype)
        self._hedges.add(hedge)
        hedge.add_done_callback(self._hedges.discard)
        return hedge

    async def close(self) -> None:
        """Close the sockets. Queries in flight end with ResolverError."""
        self._is_closed = True
        if self._probing:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        self._channel.close()
        if self._timer:
            self._timer.cancel()

    def flush_cache(self) -> None:
        """Flush the cache of c-ares."""
        if self._is_closed:
            return
        self._queries_since_flush = 0
        try:
            self._channel.flush_cache()
        except ResolverError as error:
            _log.warning("DNS: %s; its cache is not flushed", error)

    def _flushed_channel(self) -> CAresChannel:
        """Return the channel, after its cache is flushed if it may have become too large."""
        self._queries_since_flush += 1
        if self._queries_since_flush > _QUERIES_BEFORE_FLUSH or self._channel.cached_bytes > _BYTES_BEFORE_FLUSH:
            self.flush_cache()
        return self._channel

    def _count_outcome(self, *, is_answered: bool) -> None:
        """Count consecutive failures, and probe the DNS after some."""
        self._consecutive_failures = 0 if is_answered else self._consecutive_failures + 1
        if self._consecutive_failures >= _FAILURES_BEFORE_PROBE:
            self.start_probe()

    def start_probe(self) -> None:
        """Test whether the whole DNS is silent, unless a probe is running."""
        if not self._is_closed and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe())

    async def find_rewriting(self) -> str:
        """Return a warning if the servers have addresses for names that do not exist; else an empty text."""
        invented = await self._uncached.invented_addresses()
        return (
            f"DNS: {rewriting(self._uncached.name, invented)}; {RESOLVER_REMEDY}: see docs/lists.md" if invented else ""
        )

    async def _has_answers(self) -> bool:
        """Whether a server gives a usable answer, if only for a name below the last one that had records."""
        probes = [self._uncached.has_answers()]
        if self._last_found_name:
            probes.append(self._is_answered(f"{secrets.token_hex(8)}.{self._last_found_name}"))
        return any(await asyncio.gather(*probes))

    async def _is_answered(self, name: str) -> bool:
        try:
            await self._uncached.resolve(name, "A")
        except ResolverError:
            return False
        return True

    async def find_silence(self) -> str:
        """Return the warning that no server answers; empty if one does."""
        if await self._has_answers():
            return ""
        servers = ", ".join(self._servers) or "the system's resolver"
        return f"DNS: no answer from {servers}; until it answers, its checks count 0 and delay no mail"

    async def _probe(self) -> None:
        """Log once that the DNS is silent, and once that it answers again."""
        if not (warning := await self.find_silence()):
            return
        self._is_silent = True
        _log.warning("%s", warning)
        try:
            while not await self._has_answers():  # noqa: ASYNC110 (polling: the DNS sends no event)
                await asyncio.sleep(_PROBE_SECONDS)
        finally:
            self._is_silent, self._consecutive_failures = False, 0
        self.flush_cache()
        _log.warning("DNS: answers again")


def _set_outcome(answer: _Answer, outcome: Outcome) -> None:
    if answer.done():
        return
    if isinstance(outcome, ResolverError):
        answer.set_exception(outcome)
        retrieve_exception(answer)
    else:
        answer.set_result(outcome)


class _HedgedQuery:
    """A query in flight by c-ares, and by dnspython if c-ares refuses the name or takes long.

    c-ares repeats a query, and drops a late answer to an earlier try; dnspython sends it once and waits.
    """

    __slots__ = (
        "_hedged",
        "_is_hedged",
        "_pending",
        "_resolver",
        "callbacks",
        "is_done",
        "is_refused",
        "name",
        "rrtype",
        "started",
    )

    def __init__(
        self,
        resolver: CachingResolver,
        name: str,
        rrtype: RrType,
        started: float,
        then: Callable[[Outcome], object],
    ) -> None:
        self._resolver, self.name, self.rrtype, self.started, self.callbacks = resolver, name, rrtype, started, [then]
        self.is_refused = False
        """c-ares did not send the query, so its outcome shows nothing about the DNS."""
        self._hedged: _Answer | None = None
        self._is_hedged = self.is_done = False
        self._pending = 1

    def receive(self, outcome: Outcome) -> None:
        """Take the outcome of c-ares or of dnspython. The first answer wins; a failure, only if none can follow."""
        self._pending -= 1
        if self.is_done:
            return
        if isinstance(outcome, ResolverError):
            if is_refused := isinstance(outcome, RefusedNameError):
                self.is_refused = True
                self.start_hedge()
            if self._pending and (is_refused or outcome.is_silence):
                return
        self._end(outcome)

    def start_hedge(self) -> None:
        """Send the query by dnspython too, once, unless too many are hedged already."""
        if self._is_hedged:
            return
        self._is_hedged = True
        if hedged := self._resolver.hedge(self.name, self.rrtype):
            self._pending += 1
            self._hedged = hedged
            hedged.add_done_callback(self._receive_hedge)

    def _receive_hedge(self, hedged: _Answer) -> None:
        if hedged.cancelled():
            return
        error = hedged.exception()
        if error is None:
            self.receive(hedged.result())
        elif isinstance(error, ResolverError):
            self.receive(error)
        else:
            _log.error("internal error; please report it", exc_info=error)
            self.receive(ResolverError(self.name, self.rrtype, f"internal error: {error!r}"))

    def give_up(self) -> None:
        """End the query without an answer."""
        self._end(ResolverError(self.name, self.rrtype, "no answer in time", is_silence=True))

    def _end(self, outcome: Outcome) -> None:
        self.is_done = True
        if self._hedged:
            self._hedged.cancel()
        self._resolver.take(self, outcome)
