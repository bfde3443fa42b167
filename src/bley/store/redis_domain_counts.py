"""The counts by domain in Redis: one hash for each day, from "START KIND NAME" to the count."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from bley.core.history.domain_counts import (
    CUT,
    DAY_SECONDS,
    REST,
    SIDES,
    STORED_DAYS,
    STORED_DOMAINS,
    DomainCounts,
    Side,
    all_kinds,
    days_of,
    passing_kinds,
)
from bley.core.history.statistics import Count
from bley.store.engine import LIFETIMES, TRIMMED_AFTER, Trimmed
from bley.store.redis_keys import TRIMMED, counts_key

__all__ = ["DomainTrimming", "first_day", "is_wrong_type", "read_domain_counts"]

_DAYS = 10
"""The days of one round trip, with 2,000 fields: some 3 ms, in which redis-py parses the answer."""

_PASSING = {side: frozenset(passing_kinds(side)) for side in SIDES}


async def read_domain_counts(client: Any, domain: str, since: datetime, until: datetime) -> DomainCounts:
    """Return the counts of the domain, in portions. Raises the client's errors."""
    days, found = days_of(since, until), dict[Count, int]()
    for start in range(0, len(days), _DAYS):
        counts = [
            [Count(DAY_SECONDS, day, kind, name) for kind in all_kinds() for name in (domain, REST)]
            for day in days[start : start + _DAYS]
        ]
        async with client.pipeline(transaction=False) as pipeline:
            for each in counts:
                fields = [f"{count.start} {count.kind} {count.name}".encode() for count in each]
                pipeline.hmget(counts_key(DAY_SECONDS, each[0].start), fields)
            for each, numbers in zip(counts, await pipeline.execute(raise_on_error=False), strict=True):
                if not is_wrong_type(numbers):
                    found |= {count: int(number) for count, number in zip(each, numbers, strict=True) if number}
    return DomainCounts(domain, await first_day(client, until), found)


async def first_day(client: Any, until: datetime) -> int | None:
    """Return the start of the first day that has counts, by one round trip."""
    return await _first_existing(client, days_of(until - STORED_DAYS * timedelta(seconds=DAY_SECONDS), until))


async def _first_existing(client: Any, days: Sequence[int]) -> int | None:
    """Return the first of these days that has counts, by one round trip."""
    async with client.pipeline(transaction=False) as pipeline:
        for day in days:
            pipeline.exists(counts_key(DAY_SECONDS, day))
        return next((day for day, exists in zip(days, await pipeline.execute(), strict=True) if exists), None)


def is_wrong_type(reply: Any) -> bool:
    """Return whether another program's value stands under the key. Raises any other error."""
    if isinstance(reply, Exception) and "WRONGTYPE" not in str(reply):
        raise reply
    return isinstance(reply, Exception)


class DomainTrimming:
    """Deletes the counts of domains beyond STORED_DOMAINS of each day that is over, in steps of bounded size.

    The first steps read the hash of a day, the next ones delete. A process that stops between them starts again.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._day, self._cursor = 0, 0
        self._read: dict[Side, dict[str, _Domain]] = {}
        self._beyond: Iterator[tuple[Side, _Domain]] | None = None

    async def step(self, now: datetime, limit: int) -> Trimmed:
        """Read or delete some `limit` counts of the present day, or find the next one. Raises the client's errors."""
        if not self._day:
            return await self._begin(now)
        if self._beyond is None:
            await self._read_some(limit)
            return Trimmed(0, is_done=False)
        fields: list[bytes] = []
        cut = Counter[Side]()
        for side, domain in self._beyond:
            fields += domain.fields
            cut[side] += 1
            if len(fields) >= limit:
                break
        key = counts_key(DAY_SECONDS, self._day)
        if not fields:
            await self._client.set(TRIMMED, self._day)
            self._day = 0
            return Trimmed(0, is_done=False)
        for side, number in cut.items():
            await self._client.hincrby(key, f"{self._day} {side}-{CUT} {REST}", number)
        return Trimmed(await self._client.hdel(key, *fields), is_done=False)

    async def _begin(self, now: datetime) -> Trimmed:
        """Find the first day that is over and not trimmed."""
        end = int((now - TRIMMED_AFTER).timestamp()) // DAY_SECONDS * DAY_SECONDS
        oldest = end - int(LIFETIMES[DAY_SECONDS].total_seconds())
        day = max(int(await self._client.get(TRIMMED) or 0) + DAY_SECONDS, oldest) // DAY_SECONDS * DAY_SECONDS
        if day >= end:
            return Trimmed(0, is_done=True)
        found = await _first_existing(self._client, range(day, end, DAY_SECONDS))
        if found is None:
            await self._client.set(TRIMMED, end - DAY_SECONDS)
            return Trimmed(0, is_done=True)
        self._day, self._cursor, self._read, self._beyond = found, 0, {side: {} for side in SIDES}, None
        return Trimmed(0, is_done=False)

    async def _read_some(self, limit: int) -> None:
        key = counts_key(DAY_SECONDS, self._day)
        self._cursor, fields = await self._client.hscan(key, self._cursor, count=limit)
        for field, number in fields.items():
            try:
                _, kind, name = field.decode().split(" ")
                side, value = next(side for side in SIDES if kind.startswith(f"{side}-")), int(number)
            except (ValueError, StopIteration):
                continue  # another program's field
            if name != REST:
                self._read[side].setdefault(name, _Domain()).add(field, value, passes=kind in _PASSING[side])
        if not self._cursor:
            self._beyond = iter([(side, each) for side in SIDES for each in _beyond_most(side, self._read[side])])


class _Domain:
    """The fields of one domain. HSCAN may return one twice."""

    def __init__(self) -> None:
        self.fields: list[bytes] = []
        self.rank = (0, 0)
        """The numbers of requests that passed, and of all."""

    def add(self, field: bytes, number: int, *, passes: bool) -> None:
        if field not in self.fields:
            self.fields.append(field)
            self.rank = (self.rank[0] + number * passes, self.rank[1] + number)


def _beyond_most(side: Side, domains: dict[str, _Domain]) -> Iterable[_Domain]:
    """Return domains that are not among those with the most mail that passed, then with the most requests."""
    ranked = sorted(domains.items(), key=lambda item: (*(-number for number in item[1].rank), item[0]))
    return [domain for _, domain in ranked[STORED_DOMAINS[side] :]]
