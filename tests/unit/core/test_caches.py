"""The bounded memories of what happened a short time ago."""

from datetime import timedelta

import pytest

from bley.core.caches import ExpiringCache, GenerationCache
from tests.fakes import NOON, FakeClock

MINUTE = timedelta(minutes=1)


def test_remembers_for_a_time() -> None:
    clock, recent = FakeClock(), ExpiringCache[str, int](MINUTE, size=10)
    recent.put("a", 1, clock())
    assert recent.get("a", clock()) == 1
    clock.advance(seconds=59)
    assert recent.get("a", clock()) == 1
    clock.advance(seconds=1)
    assert recent.get("a", clock()) is None
    assert recent.get("b", clock()) is None


def test_remembers_what_is_false_too() -> None:
    clock, recent = FakeClock(), ExpiringCache[str, bool](MINUTE, size=10)
    recent.put("a", False, clock())
    assert recent.get("a", clock()) is False


def test_remembers_anew() -> None:
    """A value put in again replaces the old one, and its time starts again."""
    clock, recent = FakeClock(), ExpiringCache[str, int](MINUTE, size=10)
    recent.put("a", 1, clock())
    clock.advance(seconds=50)
    recent.put("a", 2, clock())
    clock.advance(seconds=50)
    assert recent.get("a", clock()) == 2


def test_forgets_the_oldest_when_it_is_full() -> None:
    """By when it was put in last, not by when it was put in first."""
    clock, recent = FakeClock(), ExpiringCache[str, int](MINUTE, size=2)
    for key in ("a", "b", "a", "c"):
        recent.put(key, 1, clock())
    assert [key for key in "abc" if recent.get(key, clock())] == ["a", "c"]
    assert len(recent) == 2


def test_size_of_zero_remembers_nothing() -> None:
    clock, recent = FakeClock(), ExpiringCache[str, int](MINUTE, size=0)
    recent.put("a", 1, clock())
    assert recent.get("a", clock()) is None
    assert len(recent) == 0


def test_a_changed_time_holds_for_what_is_remembered() -> None:
    clock, recent = FakeClock(), ExpiringCache[str, int](MINUTE, size=10)
    recent.put("a", 1, clock())
    recent.valid = timedelta(hours=1)
    clock.advance(minutes=30)
    assert recent.get("a", clock()) == 1


def test_what_is_too_old_goes() -> None:
    """Also where there is room: sixty strangers a second must not fill a memory for a hundred thousand."""
    clock, recent = FakeClock(), ExpiringCache[int, int](MINUTE, size=100_000)
    for number in range(1000):
        recent.put(number, number, clock())
        clock.advance(seconds=1)
    assert 60 <= len(recent) <= 120


@pytest.mark.parametrize("hours_later", [0, 1, 20, 23.99])
def test_what_is_of_the_future_is_forgotten(hours_later: float) -> None:
    """A clock that was set back a day must not keep a client good until it is there again."""
    recent, remembered = ExpiringCache[str, int](MINUTE, size=10), GenerationCache[str, int](MINUTE, size=10)
    recent.put("a", 1, NOON)
    remembered.put("a", 1, NOON)
    now = NOON - timedelta(days=1) + timedelta(hours=hours_later)
    assert recent.get("a", now) is None
    remembered.expire(now)
    assert remembered.get("a") is None
    for number in range(100):
        recent.put(f"b{number}", 1, now + number * MINUTE)
    assert len(recent) == 2, "generations turn again"


class TestRemembered:
    HOUR = timedelta(hours=1)

    @pytest.mark.parametrize("added_at", range(0, 60, 7))
    def test_a_key_is_remembered_for_half_the_time_at_least_and_the_whole_at_most(self, added_at: int) -> None:
        keys, known = GenerationCache[str, bool](self.HOUR, 10), []
        keys.put("first", True, NOON)
        for minute in range(180):
            if minute == added_at:
                keys.put("a", True, NOON + minute * MINUTE)
            keys.expire(NOON + minute * MINUTE)
            known.append(keys.get("a") or False)
        assert not any(known[:added_at])
        assert all(known[added_at : added_at + 30])
        assert not any(known[added_at + 60 :])

    def test_after_a_long_silence_all_is_forgotten(self) -> None:
        keys = GenerationCache[str, bool](self.HOUR, 10)
        keys.put("a", True, NOON)
        keys.expire(NOON + self.HOUR)
        assert len(keys) == 0

    def test_each_generation_goes_by_itself(self) -> None:
        keys = GenerationCache[str, bool](self.HOUR, 10)
        keys.put("a", True, NOON)
        keys.put("b", True, NOON + timedelta(minutes=31))
        keys.expire(NOON + timedelta(minutes=62))
        assert keys.get("a") is None
        assert keys.get("b")

    @pytest.mark.parametrize("size", [0, 1, 2, 10, 11])
    def test_there_are_never_more_than_its_size(self, size: int) -> None:
        keys = GenerationCache[str, bool](self.HOUR, size)
        for number in range(100):
            keys.put(f"k{number}", True, NOON)
            assert len(keys) <= size
        assert bool(keys.get("k99")) == (size > 1)

    def test_what_is_cleared_is_forgotten(self) -> None:
        keys = GenerationCache[str, bool](self.HOUR, 10)
        keys.put("a", True, NOON)
        keys.clear()
        assert keys.get("a") is None
