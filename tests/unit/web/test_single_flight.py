"""Concurrent readers of the same key share one query."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bley.core.errors import StoreError
from bley.web.single_flight import SingleFlightCache

pytestmark = pytest.mark.leaps

SECONDS = 0.05


class CountedQuery:
    """A query that counts its calls, and hangs while `hangs`."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.number, self.hangs = 0, hangs

    async def __call__(self, key: str) -> str:
        self.number += 1
        if self.hangs:
            await asyncio.Event().wait()
        return f"{key}{self.number}"


async def _time_out(get: Callable[[str], Any], key: str) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(get(key), SECONDS)


async def test_readers_share_a_result() -> None:
    query = CountedQuery()
    cache = SingleFlightCache(query)
    assert tuple(await asyncio.gather(cache.get("a"), cache.get("a"), cache.get("b"))) == ("a1", "a1", "b2")


async def test_a_result_is_shared_for_its_lifetime() -> None:
    query = CountedQuery()
    cache = SingleFlightCache(query, 60.0)
    assert await cache.get("a") == "a1"
    await asyncio.sleep(59)
    assert await cache.get("a") == "a1"
    await asyncio.sleep(2)
    assert await cache.get("a") == "a2"


async def test_results_that_are_over_leave_the_memory() -> None:
    """A reader may choose many keys, one after the other."""
    cache = SingleFlightCache(CountedQuery(), 60.0)
    for key in "abc":
        await cache.get(key)
    await asyncio.sleep(61)
    await cache.get("d")
    assert list(cache._entries) == ["d"]


async def test_an_error_is_raised_and_not_cached() -> None:
    async def query(key: str) -> str:
        await asyncio.sleep(0)
        if len(called) == 0:
            called.append(key)
            raise StoreError("away")
        return key

    called: list[str] = []
    cache = SingleFlightCache(query, 60.0)
    with pytest.raises(StoreError):
        await cache.get("a")
    assert await cache.get("a") == "a"


async def test_a_query_without_readers_is_cancelled_and_run_again() -> None:
    query = CountedQuery(hangs=True)
    cache = SingleFlightCache(query)
    await asyncio.gather(_time_out(cache.get, "a"), _time_out(cache.get, "a"))
    assert query.number == 1
    query.hangs = False
    assert await cache.get("a") == "a2"


async def test_a_reader_that_is_cancelled_leaves_the_query_to_the_others() -> None:
    query = CountedQuery(hangs=True)
    cache = SingleFlightCache(query)
    stays = asyncio.create_task(cache.get("a"))
    await _time_out(cache.get, "a")
    assert not stays.done()
    await _time_out(lambda _: stays, "a")
