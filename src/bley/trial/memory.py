"""The store of a trial: the records of a million triplets in some 40 MB, where objects would take 400 MB.

A table with open addressing, in arrays. A triplet is its 64-bit hash: of a million triplets, two are equal with a
probability of 3e-8. Instants are whole seconds, as in the mail that is judged. An expired record is not found any more,
as after the daemon's purge, and is dropped when the table is full.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from bley.core.decision import DecisionEntry
from bley.core.greylist import Lifetimes, Record, Sighting, Status, merged
from bley.core.history.domain_counts import CountedDomains
from bley.core.mail import Triplet
from bley.core.places import Found
from bley.store.engine import MOST_DOMAINS

__all__ = ["HashTable", "TrialStore", "hashed"]

_T = TypeVar("_T")

_FIRST_SIZE = 1 << 12
_LATEST = 0xFFFF_FFFF
_ATTEMPT_BITS = (1 << 16) - 1
_MOST_NETWORKS = 100_000
"""Networks whose verified domains are remembered, some 400 bytes each; the oldest one is forgotten."""

_STATUSES = tuple(Status)


def hashed(*parts: str) -> int:
    """Return the key of a text in parts: 64 bits, never 0, which marks a free place."""
    return hash(parts) & 0xFFFF_FFFF_FFFF_FFFF or 1


class HashTable:
    """Rows of `width` numbers of 32 bits by key; the first number is the second at which the row expires."""

    def __init__(self, width: int) -> None:
        self._width, self._used = width, 0
        self.now = 0
        """The present, in seconds since 1970."""
        self._allocate(_FIRST_SIZE)

    def _allocate(self, size: int) -> None:
        self._keys, self._mask = array("Q", bytes(8 * size)), size - 1
        self._rows = array("I", bytes(4 * self._width * size))

    def _place(self, key: int) -> int:
        """Return the place of the key, or the free one where it belongs."""
        keys, mask = self._keys, self._mask
        place = key & mask
        while (there := keys[place]) and there != key:
            place = (place + 1) & mask
        return place

    def row(self, key: int) -> "array[int] | None":
        """Return the row; None if there is none, or it has expired."""
        place = self._place(key)
        start = place * self._width
        if not self._keys[place] or self._rows[start] < self.now:
            return None
        return self._rows[start : start + self._width]

    def put(self, key: int, *row: int) -> None:
        """Store the row."""
        place = self._place(key)
        if not self._keys[place]:
            if self._used * 4 >= self._mask * 3:
                self._grow()
                place = self._place(key)
            self._keys[place] = key
            self._used += 1
        start = place * self._width
        for offset, number in enumerate(row):
            self._rows[start + offset] = number

    def _grow(self) -> None:
        """Drop what has expired; double the table if that is less than half of it."""
        keys, rows, width, now = self._keys, self._rows, self._width, self.now
        alive = [place for place, key in enumerate(keys) if key and rows[place * width] >= now]
        size = self._mask + 1
        self._allocate(2 * size if 2 * len(alive) > size else size)
        for old in alive:
            place = self._place(keys[old])
            self._keys[place] = keys[old]
            self._rows[place * width : (place + 1) * width] = rows[old * width : (old + 1) * width]
        self._used = len(alive)


class _Records(Mapping[Triplet, Record]):
    """The records by triplet. A row is: expiry, first_seen, last_seen, and status, attempts and cause."""

    def __init__(self, lifetimes: Lifetimes) -> None:
        self.table, self._lifetimes = HashTable(4), lifetimes
        self._causes: dict[str, int] = {}
        self._cause_texts: list[str] = []

    def __getitem__(self, triplet: Triplet) -> Record:
        row = self.table.row(hashed(*triplet))
        if row is None:
            raise KeyError(triplet)
        _, first, last, rest = row
        return Record(
            _STATUSES[rest & 7],
            datetime.fromtimestamp(first, UTC),
            datetime.fromtimestamp(last, UTC),
            rest >> 3 & _ATTEMPT_BITS,
            self._cause_texts[rest >> 19],
        )

    def __contains__(self, triplet: object) -> bool:
        return isinstance(triplet, tuple) and self.table.row(hashed(*triplet)) is not None

    def __iter__(self) -> Iterator[Triplet]:
        raise TypeError("the triplets are stored as hashes only")

    def __len__(self) -> int:
        return 1  # Found asks whether there are any

    def put(self, triplet: Triplet, record: Record) -> None:
        """Store the record."""
        cause = self._causes.setdefault(record.cause, len(self._causes))
        if cause == len(self._cause_texts):
            self._cause_texts.append(record.cause)
        first, last = int(record.first_seen.timestamp()), int(record.last_seen.timestamp())
        expiry = min(last + int(self._lifetimes.of(record.status).total_seconds()), _LATEST)
        rest = cause << 19 | min(record.attempts, _ATTEMPT_BITS) << 3 | record.status
        self.table.put(hashed(*triplet), expiry, first, last, rest)


class TrialStore:
    """Records in memory, without decisions: a Store (ports.py)."""

    def __init__(self, lifetimes: Lifetimes) -> None:
        self._records = _Records(lifetimes)
        self._domains: dict[str, dict[str, datetime]] = {}
        """By network: when each domain was last verified on it, the latest last."""
        self._found = Found(self._records, self._domains)

    def set_now(self, seconds: int) -> None:
        """Set the present, in seconds since 1970."""
        self._records.table.now = seconds

    async def find(self, triplets: Sequence[Triplet], within_seconds: float = 1.0) -> Found:
        """Return the records of the triplets."""
        return self._found.of_any(triplets)

    async def record(self, sighting: Sighting, within_seconds: float = 1.0) -> None:
        """Merge the sighting into its triplet's record."""
        self.record_later(sighting)

    def record_later(self, sighting: Sighting) -> None:
        """Do the same, but for a pool: without the results of SPF it lets nothing pass."""
        if sighting.status is Status.POOL:
            return
        self._records.put(sighting.triplet, merged(self._records.get(sighting.triplet), sighting))
        if network := sighting.network:
            domain, known = sighting.triplet.client, self._domains.pop(network, {})
            known.pop(domain, None)
            known[domain] = sighting.seen
            if len(known) > MOST_DOMAINS:
                del known[next(iter(known))]
            self._domains[network] = known
            if len(self._domains) > _MOST_NETWORKS:
                del self._domains[next(iter(self._domains))]

    def add_decision(self, decision: DecisionEntry) -> None:
        """Drop the decision."""

    def add_known_decisions(
        self,
        at: datetime,
        known: Sequence[_T],
        to_decision: Callable[[_T], DecisionEntry],
        node: str = "",
        domains: Sequence[CountedDomains] = (),
    ) -> None:
        """Drop the decisions."""

    def add_list_count(self, at: datetime, kind: str, name: str, number: int = 1) -> None:
        """Drop the count."""

    async def close(self) -> None:
        """Do nothing: the memory is freed with the object."""
