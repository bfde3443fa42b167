"""Mail and files that could not be used: a count and an example of each reason."""

from collections import Counter

__all__ = ["Problems"]


class Problems:
    """Counts of reasons, each with the place of its first example."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, reason: str, place: str) -> None:
        """Count a mail, or a file, that cannot be used for this reason, which is one of a fixed set of texts."""
        self.counts[reason] += 1
        self.examples.setdefault(reason, place)
