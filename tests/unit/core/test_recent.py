"""The bounded memory of what happened a short time ago."""

from datetime import timedelta

from bley.core.recent import Recent
from tests.fakes import FakeClock

MINUTE = timedelta(minutes=1)


def test_remembers_for_a_time() -> None:
    clock, recent = FakeClock(), Recent[str, int](MINUTE, size=10)
    recent.put("a", 1, clock())
    assert recent.get("a", clock()) == 1
    clock.advance(seconds=59)
    assert recent.get("a", clock()) == 1
    clock.advance(seconds=1)
    assert recent.get("a", clock()) is None
    assert recent.get("b", clock()) is None


def test_remembers_what_is_false_too() -> None:
    clock, recent = FakeClock(), Recent[str, bool](MINUTE, size=10)
    recent.put("a", False, clock())
    assert recent.get("a", clock()) is False


def test_remembers_anew() -> None:
    """A value put in again replaces the old one, and its time starts again."""
    clock, recent = FakeClock(), Recent[str, int](MINUTE, size=10)
    recent.put("a", 1, clock())
    clock.advance(seconds=50)
    recent.put("a", 2, clock())
    clock.advance(seconds=50)
    assert recent.get("a", clock()) == 2
    assert len(recent) == 1


def test_forgets_the_oldest_when_it_is_full() -> None:
    """By when it was put in last, not by when it was put in first."""
    clock, recent = FakeClock(), Recent[str, int](MINUTE, size=2)
    for key in ("a", "b", "a", "c"):
        recent.put(key, 1, clock())
    assert [key for key in "abc" if recent.get(key, clock())] == ["a", "c"]
    assert len(recent) == 2


def test_size_of_zero_remembers_nothing() -> None:
    clock, recent = FakeClock(), Recent[str, int](MINUTE, size=0)
    recent.put("a", 1, clock())
    assert recent.get("a", clock()) is None
    assert len(recent) == 0


def test_changed_settings_hold_for_what_is_remembered() -> None:
    clock, recent = FakeClock(), Recent[str, int](MINUTE, size=10)
    for key in "abc":
        recent.put(key, 1, clock())
    recent.valid, recent.size = timedelta(hours=1), 2
    clock.advance(minutes=30)
    assert recent.get("a", clock()) == 1
    recent.put("d", 1, clock())
    assert [key for key in "abcd" if recent.get(key, clock())] == ["c", "d"]
