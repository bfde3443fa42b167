"""Mail and files that could not be used: a count and an example of each reason."""

from collections import Counter

__all__ = ["Problems"]

_MOST_SERVERS = 1000
"""Servers by which mail came, some 100 bytes each."""


class Problems:
    """Counts of reasons, each with the place of its first example."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.servers: Counter[str] = Counter()
        """Other servers than those of the border, by the mails that they received."""

    def add(self, reason: str, place: str) -> None:
        """Count a mail, or a file, that cannot be used for this reason, which is one of a fixed set of texts."""
        self.counts[reason] += 1
        self.examples.setdefault(reason, place)

    def add_server(self, name: str) -> None:
        """Count a mail that another server received."""
        if name in self.servers or len(self.servers) < _MOST_SERVERS:
            self.servers[name] += 1
