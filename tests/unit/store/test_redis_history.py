"""Redis is searched in portions; tests/property/test_history.py tests the results."""

from datetime import UTC, datetime, timedelta

import pytest

from bley.core.greylist import Record, Status
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, Search
from bley.core.mail import Triplet
from bley.core.triplet import TripletRules
from bley.store.history import PartialResult
from bley.store.redis_history import RedisHistory
from tests.fake_redis import FakeRedisClient
from tests.searched import some_decisions

RULES = TripletRules()
NOW = datetime.now(UTC)


def _records(number: int) -> dict[Triplet, Record]:
    return {
        Triplet(f"2001:db8:{each:x}::/64", "a@example.com", "b@example.org"): Record(
            Status.CLEAN, NOW, NOW + timedelta(seconds=each)
        )
        for each in range(number)
    }


async def test_a_search_for_records_finds_the_last_seen_of_all_in_few_calls() -> None:
    """Each record appears once, though SCAN returns its key twice."""
    records = _records(3000)
    client = FakeRedisClient([], records)
    found = await RedisHistory("redis", client).records(RecordQuery(Search("::/0", RULES)), 20)
    assert found == list(reversed(list(records.items())[-20:]))
    assert client.calls <= 2 * (3000 // 500) + 2 * (3000 // 500) + 2


async def test_searches_end_when_their_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search for decisions continues where it ended, up to the last one."""
    monkeypatch.setattr("bley.store.history.SEARCH_SECONDS", 0.0)
    history = RedisHistory("redis", FakeRedisClient(some_decisions(350), _records(1000)))
    assert isinstance(await history.records(RecordQuery(Search("::/0", RULES)), 10), PartialResult)
    query, before, searches = DecisionQuery(Search("nobody.example", RULES)), "", 1
    while isinstance(found := await history.decisions(query, 10, before), PartialResult):
        before, searches = found.before, searches + 1
    assert (found, searches) == ([], 5)


@pytest.mark.parametrize("before", ["7", "x", "1-", "-1", "1-1-1", "9" * 19 + "-0"])
async def test_behind_what_is_no_number_is_nothing(before: str) -> None:
    """Redis refuses, say, the number of another engine."""
    client = FakeRedisClient(some_decisions(3), {})
    assert await RedisHistory("redis", client).decisions(DecisionQuery(), 10, before) == []
    assert client.calls == 0
