"""The history in Redis: what is looked for is looked for here, portion by portion of the stream or of the keys."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bley.core.greylist import Record, Status
from bley.core.mail import Triplet
from bley.core.periods import Period
from bley.core.search import DecisionQuery, Search, StoredDecision
from bley.core.statistics import Count
from bley.store.history import Waiting, span_of
from bley.store.redis import DECISIONS, PREFIX, RedisEngine, counts_key, store_errors, triplet_of
from bley.store.rows import microseconds, stored_decision

__all__ = ["RedisHistory"]

_PORTION = 200
"""Decisions read at once: some 5 ms, in which nothing else is done."""

_MAX_KEYS = 1000
"""Records that are looked at in one go; of more that match, any may be left out."""

_MAX_LOOKED_AT = 20_000
"""Decisions among which the waiting are looked for."""


class RedisHistory:
    """See History; `client` is redis-py's, `sentinels` are clients too, which are closed with it."""

    def __init__(self, place: str, client: Any, sentinels: Sequence[Any] = ()) -> None:
        self.place, self._client = place, client
        self._engine = RedisEngine(place, client, sentinels, read_only=True)

    async def counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        """See History."""
        span, step, since = span_of(period), int(period.slot.total_seconds()), int(period.since(now).timestamp())
        keys = dict.fromkeys(counts_key(span, start) for start in range(since, int(now.timestamp()) + span, span))
        found = Counter[Count]()
        for key in keys:
            with store_errors(self.place):
                fields = await self._client.hgetall(key)
            for name, number in fields.items():
                start, kind, word = name.decode().split(" ")
                if int(start) >= since:
                    found[Count(step, int(start) // step * step, kind, word)] += int(number)
        return found

    async def decisions(self, query: DecisionQuery, limit: int, before: str = "") -> Sequence[StoredDecision]:
        """See History."""
        found = []
        async for decision in self._stream(query, f"({before}" if before else "+"):
            if query.fits(decision):
                found.append(decision)
                if len(found) == limit:
                    break
        return found

    async def _stream(self, query: DecisionQuery, newest: str = "+") -> AsyncIterator[StoredDecision]:
        """What may be meant, the newest first. An entry's id is when it was written, not long after it was decided."""
        oldest = str(microseconds(query.since) // 1000) if query.since else "-"
        while True:
            with store_errors(self.place):
                entries = await self._client.xrevrange(DECISIONS, newest, oldest, count=_PORTION)
            for number, fields in entries:
                texts = {name.decode(): value.decode() for name, value in fields.items()}
                yield stored_decision(number.decode(), texts)
            if len(entries) < _PORTION:
                return
            newest = f"({entries[-1][0].decode()}"

    async def decision(self, number: str) -> StoredDecision | None:
        """See History."""
        parts = number.split("-")
        if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
            return None
        with store_errors(self.place):
            entries = await self._client.xrange(DECISIONS, number, number)
        for _, fields in entries:
            return stored_decision(number, {name.decode(): value.decode() for name, value in fields.items()})
        return None

    async def waiting(self, since: datetime, limit: int) -> Waiting:
        """See History. They are looked for among the last decisions: there is no order in Redis' keys."""
        triplets: dict[Triplet, None] = {}
        looked_at = 0
        async for decision in self._stream(DecisionQuery(since=since)):
            if decision.defers and decision.triplet:
                triplets[decision.triplet] = None
            looked_at += 1
            if looked_at == _MAX_LOOKED_AT:
                break
        records = [
            (triplet, record)
            for triplet, record in (await self.find(list(triplets))).items()
            if record.status is Status.GREYLISTED and record.last_seen >= since
        ]
        records.sort(key=lambda item: item[1].last_seen, reverse=True)
        return Waiting(len(records), records[:limit])

    async def records(self, search: Search, limit: int) -> Sequence[tuple[Triplet, Record]]:
        """See History."""
        triplets: list[Triplet] = []
        with store_errors(self.place):
            async for key in self._client.scan_iter(match=f"{PREFIX}*", count=1000):
                triplet = triplet_of(key)
                if search.fits_triplet(triplet):
                    triplets.append(triplet)
                    if len(triplets) == _MAX_KEYS:
                        break
        found = await self.find(triplets)
        return sorted(found.items(), key=lambda item: item[1].last_seen, reverse=True)[:limit]

    async def find(self, triplets: Sequence[Triplet]) -> Mapping[Triplet, Record]:
        """See History."""
        return await self._engine.transact([], triplets)

    async def close(self) -> None:
        """See History."""
        await self._engine.close()
