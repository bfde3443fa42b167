"""A store in memory, for tests; also the shortest description of what every store does."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from bley.core.decision import DecisionEntry
from bley.core.greylist import Record, Sighting, merged
from bley.core.history.domain_counts import CountedDomains
from bley.core.mail import Triplet
from bley.core.places import Found
from bley.core.relations import is_relation

__all__ = ["MemoryStore"]

_T = TypeVar("_T")


class MemoryStore:
    """Records and decisions, until the process ends."""

    def __init__(self) -> None:
        self.records: dict[Triplet, Record] = {}
        self.relations: dict[Triplet, Record] = {}
        self.domains = defaultdict[str, dict[str, datetime]](dict)
        """By network: when each domain was last verified on it."""
        self.decisions: list[DecisionEntry] = []
        self.list_counts = Counter[tuple[str, str]]()
        """By kind and name."""

    async def find(self, triplets: Sequence[Triplet], within_seconds: float = 1.0) -> Found:
        records, relations = (Found(each, self.domains).of_any(triplets) for each in (self.records, self.relations))
        return records._replace(records={**records.records, **relations.records})

    async def record(self, sighting: Sighting, within_seconds: float = 1.0) -> None:
        self.record_later(sighting)

    def record_later(self, sighting: Sighting) -> None:
        records = self.relations if is_relation(sighting.record) else self.records
        records[sighting.triplet] = merged(records.get(sighting.triplet), sighting)
        if sighting.network:
            domains, domain = self.domains[sighting.network], sighting.triplet.client
            domains[domain] = max(sighting.seen, domains.get(domain, sighting.seen))

    def add_decision(self, decision: DecisionEntry) -> None:
        self.decisions.append(decision)

    def add_known_decisions(
        self,
        at: datetime,
        known: Sequence[_T],
        to_decision: Callable[[_T], DecisionEntry],
        node: str = "",
        domains: Sequence[CountedDomains] = (),
    ) -> None:
        self.decisions += map(to_decision, known)

    def add_list_count(self, at: datetime, kind: str, name: str, number: int = 1) -> None:
        self.list_counts[kind, name] += number

    async def close(self) -> None:
        """Do nothing: the memory is freed with the object."""
