"""A store in memory: for tests, and the shortest description of what every store does."""

from datetime import datetime

from bley.core.greylist import Record, Sighting, Status, merged
from bley.core.mail import Triplet

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps records until the process ends."""

    def __init__(self) -> None:
        self.records: dict[Triplet, Record] = {}

    async def find(self, triplet: Triplet) -> Record | None:
        """See the port."""
        return self.records.get(triplet)

    async def record(self, sighting: Sighting) -> None:
        """See the port."""
        self.record_later(sighting)

    def record_later(self, sighting: Sighting) -> None:
        """See the port."""
        self.records[sighting.triplet] = merged(self.records.get(sighting.triplet), sighting)

    async def purge(self, *, greylisted_before: datetime, known_before: datetime) -> int:
        """See the port."""
        old = [
            triplet
            for triplet, record in self.records.items()
            if record.last_seen < (greylisted_before if record.status is Status.GREYLISTED else known_before)
        ]
        for triplet in old:
            del self.records[triplet]
        return len(old)

    async def close(self) -> None:
        """See the port."""
