"""The counts in Redis, which are fields of hashes."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import ResponseError

from bley.core.history.periods import ComparedCounts, Period
from bley.core.history.statistics import Count
from bley.store.engine import SPANS
from bley.store.history import has_before, list_span_of, span_of
from bley.store.redis import store_errors
from bley.store.redis_keys import counts_key

__all__ = ["RedisCounts"]


class RedisCounts:
    """Reads the counts, as History does; `client` is a redis-py client."""

    def __init__(self, place: str, client: Any) -> None:
        self._place, self._client = place, client

    async def counts(self, period: Period, now: datetime, kinds: Collection[str] = ()) -> Mapping[Count, int]:
        step, found = int(period.slot.total_seconds()), Counter[Count]()
        async for start, kind, word, number in self._spans(span_of(period), period.since(now), now):
            if not kinds or kind in kinds:
                found[Count(step, start // step * step, kind, word)] += number
        return found

    async def compared_counts(self, period: Period, now: datetime) -> ComparedCounts:
        counts, of_lists = await self.counts(period, now), await self.list_counts(period, now)
        if not has_before(period):
            return ComparedCounts(counts, None, of_lists)
        step, span, until = int(period.slot.total_seconds()), span_of(period), period.before(now)
        since, found = period.since(until), Counter[Count]()
        first = int(since.timestamp())
        covers_it = await self._has_counts(span, now - SPANS[span], since)
        async for start, kind, word, number in self._spans(span, since, until):
            found[Count(step, first, kind, word)] += number
            covers_it |= start == first
        return ComparedCounts(counts, found if covers_it else None, of_lists)

    async def list_counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        span, found, first = list_span_of(period), Counter[tuple[str, str]](), dict[tuple[str, str], int]()
        since = int(period.since(now).timestamp()) // span * span
        async for start, kind, name, number in self._spans(span, datetime.fromtimestamp(since, UTC), now):
            found[kind, name] += number
            first[kind, name] = min(start, first.get((kind, name), start))
        return {Count(span, first[key], *key): number for key, number in found.items()}

    async def _spans(self, span: int, since: datetime, until: datetime) -> AsyncIterator[tuple[int, str, str, int]]:
        """Yield the start of each span, with kind, name and number of each of its counts."""
        first, last = int(since.timestamp()), int(until.timestamp())
        for key in _counts_keys(span, first, last):
            with store_errors(self._place):
                fields = await self._fields(key)
            for each in filter(None, map(_count, fields.items())):
                if first <= each[0] <= last:
                    yield each

    async def _has_counts(self, span: int, since: datetime, before: datetime) -> bool:
        """Return whether something was counted in this time."""
        first, last = int(since.timestamp()), int(before.timestamp()) - 1
        *whole, partial = _counts_keys(span, first, last)
        with store_errors(self._place):
            for key in whole:
                if await self._client.exists(key):
                    return True
            return any(each[0] <= last for each in filter(None, map(_count, (await self._fields(partial)).items())))

    async def _fields(self, key: str) -> Mapping[bytes, bytes]:
        try:
            fields: Mapping[bytes, bytes] = await self._client.hgetall(key)
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            return {}  # another program's key
        return fields


def _counts_keys(span: int, first: int, last: int) -> list[str]:
    """Return the keys of the counts of all spans that start in this time, the oldest first."""
    return list(dict.fromkeys(counts_key(span, start) for start in range(first, last + span, span)))


def _count(field: tuple[bytes, bytes]) -> tuple[int, str, str, int] | None:
    """Return start, kind, name and number; None if another program wrote the field."""
    try:
        start, kind, word = field[0].decode().split(" ")
        return int(start), kind, word, int(field[1])
    except ValueError:
        return None
