"""The sender domains of delayed mail in Redis, by the hashes of the latest days.

Redis searches a hash for a pattern by itself, 1 us a field, in portions between which it serves other clients. So a
day takes some 10 ms of Redis. Days whose counts are final are read once.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from sys import intern
from typing import Any

from redis.exceptions import ResponseError

from bley.core.history.delayed_mail import (
    RECEIVED,
    SUMMED_KINDS,
    DomainMail,
    DomainSums,
    MostDelayed,
    domain_mail,
    most_delayed,
)
from bley.core.history.domain_counts import DAY_SECONDS, came_back_kinds, days_of
from bley.store.redis_domain_counts import first_day, is_wrong_type
from bley.store.redis_keys import counts_key

__all__ = ["DelayedDomains"]

_PORTION = 2000
"""Fields that Redis examines or returns at a time: some 2 ms."""

_MOST_DAYS = 31
"""The latest days that are read, and cached: with 3,000 counts of 150 bytes each, 14 MB."""

_FINAL = 3 * DAY_SECONDS
"""The age of the start of a day whose counts do not change any more: they are trimmed a day after its end at most."""

_SEARCH = """
local reply = redis.call('HSCAN', KEYS[1], ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
return {reply[1], cjson.encode(reply[2])}
"""
"""HSCAN, whose fields are one JSON text: redis-py takes 20 us for each text of a reply."""

_KINDS = {kind: kind for kinds in SUMMED_KINDS for kind in kinds}


class DelayedDomains:
    """The counts of the sender domains of each day; `client` is a redis-py client. Methods raise its errors."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._final: dict[int, DomainSums] = {}

    async def most(self, since: datetime, until: datetime, limit: int) -> MostDelayed:
        """Return the sender domains whose mail came back most, in the latest days of this time."""
        kinds, sums = frozenset(came_back_kinds("from")), Counter[tuple[str, str]]()
        begun = await first_day(self._client, until) or 0
        days = [day for day in days_of(since, until)[-_MOST_DAYS:] if day >= begun] or days_of(until, until)
        async for of_day in self._sums(days, until):
            sums.update({key: number for key, number in of_day.items() if key[0] in kinds})
        return most_delayed(datetime.fromtimestamp(days[0], UTC), sums, limit)

    async def mail(self, names: Collection[str], since: datetime, until: datetime) -> Mapping[str, DomainMail]:
        """Return the mail of these domains; those without any are missing."""
        meant, sums, days = frozenset(names), Counter[tuple[str, str]](), days_of(since, until)[-_MOST_DAYS:]
        async for of_day in self._sums(days if names else [], until):
            sums.update({key: number for key, number in of_day.items() if key[1] in meant})
        sums.update(await self._received(days, sorted({name for _, name in sums})))
        return domain_mail(sums)

    async def _sums(self, days: Sequence[int], until: datetime) -> AsyncIterator[DomainSums]:
        """Yield the counts of the senders' side of each day."""
        for day in days:
            sums = self._final.get(day)
            if sums is None:
                sums = await self._read(day)
                if day < until.timestamp() - _FINAL:
                    self._final[day] = sums
            yield sums
            await asyncio.sleep(0)  # the caller takes 1 ms for a day, in which it blocks the event loop
        for day in sorted(self._final)[:-_MOST_DAYS]:
            del self._final[day]

    async def _read(self, day: int) -> DomainSums:
        key, cursor, sums = counts_key(DAY_SECONDS, day), "0", dict[tuple[str, str], int]()
        with _skipping_other_types():
            while True:  # HSCAN may return a field twice
                reply = await self._client.eval(_SEARCH, 1, key, cursor, f"{day} from-*", _PORTION)
                cursor, fields = reply[0].decode(), json.loads(reply[1].decode(errors="replace"))
                for field, number in zip(fields[::2], fields[1::2], strict=True) if fields else ():
                    with contextlib.suppress(ValueError):  # another program's field
                        _, kind, name = field.split(" ")
                        if kind in _KINDS:
                            sums[_KINDS[kind], intern(name)] = int(number)
                if cursor == "0":
                    break
        return sums

    async def _received(self, days: Sequence[int], names: Sequence[str]) -> Mapping[tuple[str, str], int]:
        """Return the numbers of mails to these domains that passed."""
        sums = Counter[tuple[str, str]]()
        for day in days:
            for start in range(0, len(names), _PORTION):
                portion = names[start : start + _PORTION]
                with _skipping_other_types():
                    fields = [f"{day} {RECEIVED} {name}" for name in portion]
                    numbers = await self._client.hmget(counts_key(DAY_SECONDS, day), fields)
                    sums.update(
                        {(RECEIVED, name): int(number) for name, number in zip(portion, numbers, strict=True) if number}
                    )
        return sums


@contextlib.contextmanager
def _skipping_other_types() -> Iterator[None]:
    """Skip a key that is no hash: another program's."""
    try:
        yield
    except ResponseError as error:
        if not is_wrong_type(error):
            raise
