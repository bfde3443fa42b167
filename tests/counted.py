"""What is counted in this process while something is done, whatever other tests have counted."""

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
    """By how much the samples of this name have grown at the end, by their labels' values; only those that have."""
    grown: dict[str, float] = {}
    before = _samples(name)
    yield grown
    differences = {labels: value - before.get(labels, 0) for labels, value in _samples(name).items()}
    grown.update({labels: difference for labels, difference in differences.items() if difference})
