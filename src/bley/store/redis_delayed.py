"""The sender domains of delayed mail in Redis: the hashes of the days are searched, the newest day first.

Redis searches a hash for a pattern by itself, some 3 million fields a second, in portions between which it serves
other clients.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import ResponseError

from bley.core.history.delayed_mail import RECEIVED, DomainMail, MostDelayed, domain_mail, most_delayed
from bley.core.history.domain_counts import DAY_SECONDS, came_back_kinds, days_of
from bley.store.history import SearchDeadline
from bley.store.redis_domain_counts import first_day, is_wrong_type
from bley.store.redis_keys import counts_key

__all__ = ["read_domain_mail", "read_most_delayed"]

_PORTION = 2000
"""Fields that Redis examines or returns at a time: some 1 ms."""

_SECONDS = 1.0
"""The time in which days are read: a year of a small server, half a year of one with the most domains."""

_MOST_SUMS = 50_000
"""Sums in memory, 10 MB. Beyond it the smaller half is forgotten, so the domains with the most mail stay."""


async def read_most_delayed(client: Any, since: datetime, until: datetime, limit: int) -> MostDelayed:
    """Return the sender domains whose mail came back most, in the latest days if the time is over before the others."""
    kinds, sums, total, deadline = (
        frozenset(came_back_kinds("from")),
        Counter[tuple[str, str]](),
        0,
        SearchDeadline(_SECONDS),
    )
    days = days_of(since, until)
    begun = max(days[0], await first_day(client, until) or 0)
    for day in reversed(days):
        if day < begun:
            break
        if deadline.has_passed:
            begun = day + DAY_SECONDS
            break
        with _skipping_other_types():
            async for kind, name, number in _search(client, day, "from-delay-*"):
                if kind in kinds:
                    sums[kind, name] += number
                    total += number
        if len(sums) > _MOST_SUMS:
            sums = Counter(dict(sums.most_common(_MOST_SUMS // 2)))
    return most_delayed(datetime.fromtimestamp(begun, UTC), sums, limit)._replace(came_back=total)


async def read_domain_mail(
    client: Any, names: Collection[str], since: datetime, until: datetime
) -> Mapping[str, DomainMail]:
    """Return the mail of these domains; those without any are missing."""
    meant, sums, deadline = frozenset(names), Counter[tuple[str, str]](), SearchDeadline(_SECONDS)
    for day in reversed(days_of(since, until) if names else []):
        if deadline.has_passed:
            break
        with _skipping_other_types():
            async for kind, name, number in _search(client, day, "from-*"):
                if name in meant:
                    sums[kind, name] += number
            async for kind, name, number in _look_up(client, day, RECEIVED, sorted(meant)):
                sums[kind, name] += number
    return domain_mail(sums)


@contextlib.contextmanager
def _skipping_other_types() -> Iterator[None]:
    """Skip a key that is no hash: another program's."""
    try:
        yield
    except ResponseError as error:
        if not is_wrong_type(error):
            raise


async def _search(client: Any, day: int, pattern: str) -> AsyncIterator[tuple[str, str, int]]:
    """Yield kind, name and number of the counts of this day whose kind matches."""
    key, cursor, seen = counts_key(DAY_SECONDS, day), 0, set[bytes]()
    while True:
        cursor, fields = await client.hscan(key, cursor, match=f"{day} {pattern}", count=_PORTION)
        for field, number in fields.items():
            if field not in seen:  # HSCAN may return one twice
                seen.add(field)
                with contextlib.suppress(ValueError):  # another program's field
                    _, kind, name = field.decode().split(" ")
                    yield kind, name, int(number)
        if not cursor:
            return


async def _look_up(client: Any, day: int, kind: str, names: list[str]) -> AsyncIterator[tuple[str, str, int]]:
    """Yield kind, name and number of the counts of this kind."""
    for start in range(0, len(names), _PORTION):
        portion = names[start : start + _PORTION]
        numbers = await client.hmget(counts_key(DAY_SECONDS, day), [f"{day} {kind} {name}" for name in portion])
        for name, number in zip(portion, numbers, strict=True):
            if number:
                yield kind, name, int(number)
