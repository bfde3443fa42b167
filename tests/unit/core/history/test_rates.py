"""The rates of counters."""

import pytest

from bley.core.history.rates import Rates


def _looked(*looks: tuple[float, dict[str, float]], longest: float = 60) -> Rates[str]:
    rates = Rates[str](longest)
    for seconds, counters in looks:
        rates.add(seconds, counters)
    return rates


@pytest.mark.parametrize("looks", [[], [(0.0, {"a": 5.0})], [(1.0, {"a": 5.0}), (1.0, {"a": 6.0})]])
def test_one_look_tells_nothing(looks: list[tuple[float, dict[str, float]]]) -> None:
    assert _looked(*looks).over(1) == {}


def test_the_last_second_and_the_last_minute() -> None:
    rates = _looked((0, {"a": 0}), (59, {"a": 30}), (60, {"a": 60, "b": 3}))
    assert rates.over(0.5) == {"a": 30, "b": 3}
    assert rates.over(60) == {"a": 1, "b": 0.05}


def test_as_long_as_is_known() -> None:
    assert _looked((0, {"a": 0}), (2, {"a": 10})).over(60) == {"a": 5}


def test_what_was_started_anew_starts_anew() -> None:
    """A counter that fell was reset, so its rate is unknown."""
    rates = _looked((0, {"a": 100}), (1, {"a": 3}))
    assert rates.over(60) == {}
    rates.add(2, {"a": 4})
    assert rates.over(60) == {"a": 1}


def test_what_is_too_old_is_forgotten() -> None:
    rates = _looked(*((float(second), {"a": float(second**2)}) for second in range(100)), longest=10)
    assert rates.over(1000) == {"a": (99**2 - 89**2) / 10}
