"""The growth of counters in this process during a block, whatever other tests have counted."""

from collections.abc import Iterator
from contextlib import contextmanager

from bley.metrics import REGISTRY


def _samples(name: str) -> dict[str, float]:
    return {
        " ".join(sample.labels.values()): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name
    }


@contextmanager
def counted(name: str) -> Iterator[dict[str, float]]:
    """Yield the growth of the samples of this name by their labels' values; only of those that have grown."""
    grown: dict[str, float] = {}
    before = _samples(name)
    yield grown
    differences = {labels: value - before.get(labels, 0) for labels, value in _samples(name).items()}
    grown.update({labels: difference for labels, difference in differences.items() if difference})
