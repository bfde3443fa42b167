"""The points of the benchmark's curves."""

from bench.curves import BARE, STRANGERS, Point, points
from bench.running import Load


def _load(rate: float, p99: float) -> Load:
    return Load(requests=1, seconds=1, rate=rate, p50=1, p99=p99, longest=1)


def test_a_point_has_the_median_of_each_figure() -> None:
    """A round that something disturbed does not count, and each figure has its own median."""
    loads = {BARE: [_load(10, 3), _load(20, 1), _load(90, 2)], STRANGERS: [_load(1, 9)]}
    assert list(points(loads, 50, 1000)) == [Point(BARE, 50, 1000, 20, 2), Point(STRANGERS, 50, 1000, 1, 9)]
