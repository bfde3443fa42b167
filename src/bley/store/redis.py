"""The engine on Redis or Valkey: one server, one that Sentinels watch, or a Cluster.

    bley:t:CLIENT\\nSENDER\\nRECIPIENT   a hash: status, first_seen, last_seen (microseconds since 1970 UTC), attempts
    bley:decisions                     a stream, capped: the fields of the SQL engines' table `decisions`
    bley:counts:SECONDS:NUMBER         a hash: "START KIND NAME" (core.statistics) to the number of that span
    bley:schema, bley:forgotten, bley:has_any, bley:key_check

A record is only ever written by the script below, which does what core.greylist.merged says, or united; each script has
one key, so that a Cluster can run it. Records and counts expire by themselves.
"""

import contextlib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from redis.exceptions import RedisClusterException, RedisError

from bley.core.decision import KeptDecision
from bley.core.errors import StoreError
from bley.core.greylist import MAX_ATTEMPTS, Lifetimes, Record, Sighting, Status
from bley.core.mail import Triplet
from bley.core.statistics import Count
from bley.core.triplet import ANY
from bley.store.engine import SPANS, News, Purged
from bley.store.rows import decision_row, from_microseconds, microseconds

__all__ = ["DECISIONS", "MAX_STREAM", "PREFIX", "RedisEngine", "counts_key", "store_errors", "triplet_of"]

MAX_STREAM = 100_000
"""Decisions in the stream, of some 500 bytes: 50 MB of Redis' memory. It is capped by whole nodes of 100."""

_VERSION = 1
PREFIX = "bley:t:"
DECISIONS = "bley:decisions"
_KEY_CHECK = "bley:key_check"
_PORTION = 1000
_IN_ONE_KEY = 1440
"""Spans in one hash of counts."""

_MILLISECOND = timedelta(milliseconds=1)

# Instants go through as texts: numbers of Lua are exact to 2^53 only. Without forget_before it does what `united` says,
# where attempts are not added up.
_MERGE = """
local old = redis.call('HMGET', KEYS[1], 'status', 'first_seen', 'last_seen', 'attempts')
local status, first, last, attempts, forget_before = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if old[1] and not (old[1] == '0' and forget_before ~= '' and tonumber(old[2]) < tonumber(forget_before)) then
  if tonumber(old[1]) > tonumber(status) then status = old[1] end
  if tonumber(old[2]) < tonumber(first) then first = old[2] end
  if tonumber(old[3]) > tonumber(last) then last = old[3] end
  if forget_before == '' then attempts = math.max(old[4], attempts)
  else attempts = math.min(old[4] + attempts, tonumber(ARGV[8])) end
end
redis.call('HSET', KEYS[1], 'status', status, 'first_seen', first, 'last_seen', last, 'attempts', attempts)
local lifetime = tonumber(status == '0' and ARGV[6] or ARGV[7])
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), lifetime))
"""


class RedisEngine:
    """Keeps records in Redis; `client` is redis-py's, of whatever kind. If `read_only`, it writes nothing.

    `place` is what people call it; `sentinels` are clients too, which are closed with it.
    """

    def __init__(self, place: str, client: Any, sentinels: Sequence[Any] = (), *, read_only: bool = False) -> None:
        self.place, self._client, self._sentinels, self._read_only = place, client, sentinels, read_only

    async def is_prepared(self) -> bool:
        """See Engine."""
        with store_errors(self.place):
            version = int(await self._client.get("bley:schema") or 0)
        if version > _VERSION:
            raise StoreError(
                f"{self.place}: its schema is {version}, of a newer bley; this one knows {_VERSION}: upgrade bley"
            )
        return version == _VERSION

    async def prepare(self) -> None:
        """See Engine."""
        if self._read_only:
            return
        with store_errors(self.place):
            await self._client.set("bley:schema", _VERSION)

    async def transact(self, sightings: Sequence[Sighting], triplets: Sequence[Triplet]) -> Mapping[Triplet, Record]:
        """See Engine. In a Cluster each server does its part."""
        with store_errors(self.place):
            async with self._client.pipeline(transaction=False) as pipeline:
                for sighting in () if self._read_only else sightings:
                    record = Record(sighting.status, sighting.seen, sighting.seen, sighting.attempts)
                    forget_before = microseconds(sighting.seen - sighting.lifetimes.greylisted)
                    _write(pipeline, sighting.triplet, record, sighting.lifetimes, str(forget_before))
                for triplet in triplets:
                    _read(pipeline, triplet)
                results = await pipeline.execute(raise_on_error=False)
                merged = results[: len(results) - len(triplets)]
                _raise_first(results, done=[at for at, each in enumerate(merged) if not isinstance(each, Exception)])
        found = zip(triplets, results[len(results) - len(triplets) :], strict=True)
        return {triplet: _record(fields) for triplet, fields in found if fields[0] is not None}

    async def keep(self, decisions: Sequence[KeptDecision], counts: Mapping[Count, int]) -> None:
        """See Engine."""
        with store_errors(self.place):
            async with self._client.pipeline(transaction=False) as pipeline:
                for kept in decisions:
                    pipeline.xadd(DECISIONS, decision_row(kept), maxlen=MAX_STREAM, approximate=True)
                for count, number in counts.items():
                    key = counts_key(count.seconds, count.start)
                    pipeline.hincrby(key, f"{count.start} {count.kind} {count.name}", number)
                    lifetime = SPANS[count.seconds] + timedelta(seconds=count.seconds * _IN_ONE_KEY)
                    pipeline.expire(key, lifetime)
                await _execute(pipeline)

    async def purge(self, now: datetime, lifetimes: Lifetimes, limit: int) -> Purged:
        """See Engine. Only the stream: all else expires by itself."""
        oldest = microseconds(now - lifetimes.decisions) // 1000
        with store_errors(self.place):
            return Purged(0, await self._client.xtrim(DECISIONS, minid=oldest, approximate=True, limit=limit), 0)

    async def news(self) -> News:
        """See Engine."""
        with store_errors(self.place):
            forgotten = await self._client.get("bley:forgotten")
            has_any = await self._client.get("bley:has_any")
        return News(int(forgotten or 0), bool(has_any))

    async def records(self) -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
        """See Engine."""
        with store_errors(self.place):
            portion: list[Triplet] = []
            async for key in self._client.scan_iter(match=f"{PREFIX}*", count=_PORTION):
                portion.append(triplet_of(key))
                if len(portion) == _PORTION:
                    yield list((await self.transact([], portion)).items())
                    portion.clear()
            yield list((await self.transact([], portion)).items())

    async def unite(self, records: Sequence[tuple[Triplet, Record]], now: datetime, lifetimes: Lifetimes) -> None:
        """See Engine."""
        with store_errors(self.place):
            async with self._client.pipeline(transaction=False) as pipeline:
                for triplet, record in records:
                    age = now - record.last_seen
                    left = Lifetimes(lifetimes.greylisted - age, lifetimes.known - age)
                    _write(pipeline, triplet, record, left, "")
                if any(triplet.recipient == ANY for triplet, _ in records):
                    pipeline.set("bley:has_any", 1)
                await _execute(pipeline)

    async def forget(self, triplets: Sequence[Triplet]) -> None:
        """See Engine."""
        with store_errors(self.place):
            async with self._client.pipeline(transaction=False) as pipeline:
                for triplet in triplets:
                    pipeline.delete(_key(triplet))
                pipeline.incr("bley:forgotten")
                await _execute(pipeline)

    async def key_check(self) -> int | None:
        """See Engine."""
        with store_errors(self.place):
            return int(await self._client.get(_KEY_CHECK) or 0) or None

    async def claim_key(self, check: int) -> int:
        """See Engine."""
        with store_errors(self.place):
            await self._client.set(_KEY_CHECK, check, nx=True)
            return int(await self._client.get(_KEY_CHECK) or check)

    async def release_key(self) -> None:
        """See Engine."""
        with store_errors(self.place):
            await self._client.delete(_KEY_CHECK)

    async def close(self) -> None:
        """See Engine."""
        for client in (self._client, *self._sentinels):
            await client.aclose()


@contextlib.contextmanager
def store_errors(place: str) -> Iterator[None]:
    """What Redis or the way to it raises is a StoreError."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
        words = " ".join(str(error).partition(" script:")[0].split()).removesuffix(".") or type(error).__name__
        raise StoreError(f"{place}: {words}", getattr(error, "done", ())) from error


def counts_key(seconds: int, start: int) -> str:
    """The hash in which the counts of the span are that starts then."""
    return f"bley:counts:{seconds}:{start // (seconds * _IN_ONE_KEY)}"


def triplet_of(key: bytes) -> Triplet:
    """Whose record the key has."""
    return Triplet(*key.decode().removeprefix(PREFIX).split("\n"))


async def _execute(pipeline: Any) -> None:
    _raise_first(await pipeline.execute(raise_on_error=False))


def _raise_first(results: Sequence[Any], done: Collection[int] = ()) -> None:
    """Raise the first error that a command met, in Redis' words: redis-py would add the whole command."""
    for result in results:
        if isinstance(result, Exception):
            result.done = done  # type: ignore[attr-defined] # told on by _store_errors
            raise result


def _key(triplet: Triplet) -> str:
    return f"{PREFIX}{triplet.client}\n{triplet.sender}\n{triplet.recipient}"


def _write(pipeline: Any, triplet: Triplet, record: Record, lifetimes: Lifetimes, forget_before: str) -> None:
    pipeline.eval(
        _MERGE,
        1,
        _key(triplet),
        int(record.status),
        microseconds(record.first_seen),
        microseconds(record.last_seen),
        record.attempts,
        forget_before,
        lifetimes.greylisted // _MILLISECOND,
        lifetimes.known // _MILLISECOND,
        MAX_ATTEMPTS,
    )


def _read(pipeline: Any, triplet: Triplet) -> None:
    pipeline.hmget(_key(triplet), "status", "first_seen", "last_seen", "attempts")


def _record(fields: Sequence[bytes]) -> Record:
    status, first_seen, last_seen, attempts = map(int, fields)
    return Record(Status(status), from_microseconds(first_seen), from_microseconds(last_seen), attempts)
