"""The history in Redis: searches read the stream or the keys in portions, and filter them here."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain, groupby
from typing import Any, TypeVar

from bley.core.errors import RefusedError
from bley.core.greylist import Record, Status
from bley.core.history.attempts import FIRST_READ, LAST_READ, Attempts, AttemptsQuery, JudgmentQuery, block_of_key
from bley.core.history.audit import AuditEntry, AuditKind
from bley.core.history.delayed_mail import DomainMail, MostDelayed, domain_of, first_waiting
from bley.core.history.domain_counts import DomainCounts
from bley.core.history.exempted import ExemptedCount, Exemption, count_exempted, is_counted
from bley.core.history.periods import ComparedCounts, Period
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.core.places import Found
from bley.store.history import FirstRecords, PartialResult, SearchDeadline, WaitingTriplets
from bley.store.redis import RedisEngine, store_errors
from bley.store.redis_counts import RedisCounts
from bley.store.redis_delayed import DelayedDomains
from bley.store.redis_domain_counts import read_domain_counts
from bley.store.redis_keys import AUDIT, DECISIONS, RECORDS, mails_key, triplet_of
from bley.store.rows import audit_entry, microseconds, stored_decision

__all__ = ["RedisHistory"]

_PORTION = 100
"""Decisions per read: some 5 ms, in which redis-py parses the answer and blocks the event loop."""

_KEYS = 500
"""Records per read, which takes as long."""

_CLOCKS_DIFFER = 3600 * 1_000_000
"""Microseconds by which the clock of Redis, which makes the ids, may be behind ours."""

_MOST_JUDGMENTS = 1000
"""The decisions in which the judgment of a client is searched: 50 ms."""

_MAX_LOOKED_AT = 20_000
"""The number of the latest decisions that are searched for waiting triplets."""

_Entries = Sequence[tuple[bytes, Mapping[bytes, bytes]]]
"""Entries of a stream, each with its id."""

_T = TypeVar("_T")


class RedisHistory:
    """The History in Redis; `client` is a redis-py client, `sentinels` are clients to close along with it."""

    def __init__(self, place: str, client: Any, sentinels: Sequence[Any] = ()) -> None:
        self.place, self._client = place, client
        self._engine = RedisEngine(place, client, sentinels, read_only=True)
        self._domains, self._counts = DelayedDomains(client), RedisCounts(place, client)

    async def counts(self, period: Period, now: datetime, kinds: Collection[str] = ()) -> Mapping[Count, int]:
        return await self._counts.counts(period, now, kinds)

    async def compared_counts(self, period: Period, now: datetime) -> ComparedCounts:
        return await self._counts.compared_counts(period, now)

    async def list_counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        return await self._counts.list_counts(period, now)

    async def domain_counts(self, domain: str, since: datetime, until: datetime) -> DomainCounts:
        with store_errors(self.place):
            return await read_domain_counts(self._client, domain, since, until)

    async def decisions(
        self, query: DecisionQuery, limit: int, before: str = "", enough: int | None = None
    ) -> Sequence[StoredDecision]:
        if before and not _is_number(before):
            return []
        found: list[StoredDecision] = []
        deadline = SearchDeadline()
        async for read in self._portions(query.since, f"({before}" if before else "+"):
            found += filter(query.fits, read)
            if len(found) >= limit:
                return found[:limit]
            if deadline.ends(len(found), enough) and read:
                return PartialResult(found, read[-1].number)
        return found

    async def _portions(self, since: datetime | None, newest: str = "+") -> AsyncIterator[Sequence[StoredDecision]]:
        """Yield the decisions since then and some older ones, the newest first; an entry's id is its write time."""
        oldest = "-" if since is None else _oldest_id(since)
        while True:
            with store_errors(self.place):
                entries = await self._client.xrevrange(DECISIONS, newest, oldest, count=_PORTION)
            if entries:
                # In a thread: parsing the JSON takes some milliseconds, for which requests of this process would wait.
                yield await asyncio.to_thread(_decisions, entries)
            if len(entries) < _PORTION:
                return
            newest = f"({entries[-1][0].decode()}"

    async def decision(self, number: str) -> StoredDecision | None:
        if not _is_number(number):
            return None
        with store_errors(self.place):
            entries = await self._client.xrange(DECISIONS, number, number)
        return next(iter(_decisions(entries)), None)

    async def attempts(self, query: AttemptsQuery) -> Attempts:
        ids = await self._ids(query)
        some = [*ids[:FIRST_READ], *ids[FIRST_READ:][-LAST_READ:]]
        with store_errors(self.place):
            async with self._client.pipeline(transaction=False) as pipeline:
                for each in some:
                    pipeline.xrange(DECISIONS, each, each)
                entries = await pipeline.execute()
        found = sorted(filter(query.fits, _decisions(list(chain.from_iterable(entries)))), key=lambda each: each.at)
        return Attempts(found, len(ids) if found else 0, await self._judgment(query.judgment))

    async def _ids(self, query: AttemptsQuery) -> list[bytes]:
        """Return the ids of the stream's entries that the index has for this mail, the oldest first."""
        by_block = {block: list(keys) for block, keys in groupby(query.keys, block_of_key)}
        with store_errors(self.place):
            texts = await self._client.mget([mails_key(block) for block in by_block])
        ids = []
        for keys, text in zip(by_block.values(), texts, strict=True):
            for key in keys if text else ():
                ids += re.findall(rb"^%d (\S+)$" % key, text, re.MULTILINE)
        return sorted(ids, key=lambda each: tuple(map(int, each.split(b"-"))))

    async def _judgment(self, query: JudgmentQuery | None) -> StoredDecision | None:
        """Search the entries that were written since then; a store that was away gets them later."""
        if query is None:
            return None
        oldest, newest = microseconds(query.since) // 1000, (microseconds(query.until) + _CLOCKS_DIFFER) // 1000
        with store_errors(self.place):
            entries = await self._client.xrange(DECISIONS, oldest, newest, count=_MOST_JUDGMENTS)
        judgments = filter(query.fits, await asyncio.to_thread(_decisions, entries))
        return max(judgments, key=lambda each: each.at, default=None)

    async def count_exempted(
        self, exemptions: Sequence[Exemption], since: datetime, seconds: float
    ) -> Sequence[ExemptedCount]:
        deadline, is_whole = SearchDeadline(seconds), True
        found: list[StoredDecision] = []
        async for read in self._portions(since):
            found += (each for each in read if is_counted(each) and each.at >= since)
            if deadline.has_passed:
                is_whole = False
                break
        return count_exempted(exemptions, found, is_whole=is_whole)

    async def audit(
        self,
        since: datetime,
        until: datetime | None,
        kinds: frozenset[AuditKind],
        limit: int,
        *,
        with_settings: bool = False,
    ) -> Sequence[AuditEntry]:
        """Read the stream in portions: an entry's id is its write time, which may be later than the act."""
        found: list[AuditEntry] = []
        newest, oldest = "+", _oldest_id(since)
        while True:
            with store_errors(self.place):
                read = await self._client.xrevrange(AUDIT, newest, oldest, count=_KEYS)
            found += _valid(read, lambda _, fields: audit_entry(fields))
            if len(read) < _KEYS:
                break
            newest = f"({read[-1][0].decode()}"
        meant = (
            each
            for each in found
            if since <= each.at and (until is None or each.at < until) and (not kinds or each.kind in kinds)
        )
        first = sorted(meant, key=lambda each: each.at, reverse=True)[:limit]
        return first if with_settings else [each._replace(settings="") for each in first]

    async def waiting(
        self, since: datetime, limit: int, suspected: Sequence[Collection[str]] | None = None
    ) -> WaitingTriplets:
        records = await self._waiting(since)
        return WaitingTriplets(len(records), first_waiting(records, limit, suspected))

    async def _waiting(self, since: datetime) -> Sequence[tuple[Triplet, Record]]:
        """Search the latest decisions for waiting triplets, because Redis' keys have no order."""
        triplets: dict[Triplet, None] = {}
        looked_at = 0
        async for read in self._portions(since):
            triplets |= {each.triplet: None for each in read if each.defers and each.triplet}
            looked_at += len(read)
            if looked_at >= _MAX_LOOKED_AT:
                break
        found = await self._read(list(triplets))
        return [
            (triplet, record)
            for triplet, record in found.items()
            if record.status is Status.GREYLISTED and record.last_seen >= since
        ]

    async def waiting_domains(self, since: datetime, limit: int) -> Sequence[str]:
        records = sorted(await self._waiting(since), key=lambda each: each[1].last_seen, reverse=True)
        domains = dict.fromkeys(domain_of(triplet.sender) for triplet, _ in records if triplet.sender)
        return list(domains)[:limit]

    async def most_delayed(self, since: datetime, until: datetime, limit: int) -> MostDelayed:
        with store_errors(self.place):
            return await self._domains.most(since, until, limit)

    async def domain_mail(self, names: Collection[str], since: datetime, until: datetime) -> Mapping[str, DomainMail]:
        with store_errors(self.place):
            return await self._domains.mail(names, since, until)

    async def records(
        self, query: RecordQuery, limit: int, seconds: float | None = None
    ) -> Sequence[tuple[Triplet, Record]]:
        first, deadline = FirstRecords(query, limit), SearchDeadline(seconds)
        meant: list[Triplet] = []
        with store_errors(self.place):
            async for key in self._client.scan_iter(match=f"{RECORDS}*", count=_KEYS):
                if deadline.has_passed:
                    break
                triplet = triplet_of(key)
                if triplet and query.fits_triplet(triplet):
                    meant.append(triplet)
                if len(meant) == _KEYS:
                    first.add(await self._matching(query, meant))
                    meant.clear()
        first.add(await self._matching(query, meant))
        return PartialResult(first.found) if deadline.has_passed else first.found

    async def _matching(self, query: RecordQuery, triplets: Sequence[Triplet]) -> list[tuple[Triplet, Record]]:
        return [each for each in (await self._read(triplets)).items() if query.fits(*each)]

    async def find(self, triplets: Sequence[Triplet]) -> Found:
        """Find in portions, between which other requests are answered."""
        found = Found({})
        for start in range(0, len(triplets), _KEYS):
            try:
                portion = await self._engine.transact([], triplets[start : start + _KEYS])
            except RefusedError as error:  # another program's value stands under a key
                portion = error.found
            found = Found({**found.records, **portion.records}, {**found.domains, **portion.domains})
        return found

    async def _read(self, triplets: Sequence[Triplet]) -> Mapping[Triplet, Record]:
        """Read just these records, in portions."""
        found: dict[Triplet, Record] = {}
        for start in range(0, len(triplets), _KEYS):
            found |= await self._engine.read(triplets[start : start + _KEYS])
        return found

    async def close(self) -> None:
        await self._engine.close()


def _oldest_id(since: datetime) -> str:
    """Return the least id of entries about that time or later."""
    return str(max(0, (microseconds(since) - _CLOCKS_DIFFER) // 1000))


def _is_number(text: str) -> bool:
    """Return whether the text has the form of a stream entry's id, which is a decision's number."""
    parts = text.split("-")
    return len(parts) == 2 and all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts)


def _decisions(entries: _Entries) -> list[StoredDecision]:
    return _valid(entries, stored_decision)


def _valid(entries: _Entries, convert: Callable[[str, Mapping[str, str]], _T]) -> list[_T]:
    """Convert number and fields of the stream's entries, without those of another program."""
    found = []
    for number, fields in entries:
        with contextlib.suppress(ValueError, LookupError, OverflowError):
            found.append(convert(number.decode(), {name.decode(): value.decode() for name, value in fields.items()}))
    return found
