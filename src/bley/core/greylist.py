"""The life of a record. The whole model:

    no record, or one greylisted longer ago than its lifetime       NEW
    greylisted, the wait is not over                                EARLY
    greylisted, the wait is over                                    WAITED
    clean or trusted                                                KNOWN

    wait = min(period + attempts * penalty, longest), counted from the first attempt

A record changes only by merging a sighting into it. Merging is commutative: two nodes that saw the same stranger, or
writes that were queued while the store was down, result in the same record in any order.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, IntEnum
from typing import NamedTuple

from bley.core.mail import Triplet

__all__ = [
    "LONGEST_CAUSE",
    "MAX_ATTEMPTS",
    "OF_TRIPLETS",
    "PAIR_LIFETIME",
    "RESTARTING",
    "Lifetimes",
    "Record",
    "Sighting",
    "Standing",
    "Status",
    "Timing",
    "merged",
    "united",
]


MAX_ATTEMPTS = 1_000_000
"""The highest count of early retries. Every wait has reached its maximum by then, and every engine can store it."""

LONGEST_CAUSE = 255
"""Characters of a record's cause, all of them ASCII: a reason of some 20 and the name of a DNS list, at most 253."""


PAIR_LIFETIME = timedelta(days=400)
"""The time for which a known pair is stored after its last mail. Some partners write once a year."""


class Status(IntEnum):
    """The status of a triplet's record, which never decreases; from NEW_PAIR on, of a relation (core.relations)."""

    GREYLISTED = 0
    CLEAN = 1
    TRUSTED = 2
    NEW_PAIR = 3
    PAIR = 4
    CLIENT = 5
    CORRESPONDENT = 6
    POOL = 7


OF_TRIPLETS = frozenset({Status.GREYLISTED, Status.CLEAN, Status.TRUSTED})
"""The statuses of records of triplets; all others are those of relations."""

RESTARTING = frozenset({Status.GREYLISTED, Status.POOL})
"""The statuses of records that a sighting replaces when they are older than the lifetime of greylisted records."""


class Standing(Enum):
    """The stage of life of a triplet."""

    NEW = "new"
    EARLY = "early"
    WAITED = "waited"
    KNOWN = "known"


class Record(NamedTuple):
    """The stored state of a triplet. `attempts` counts early retries; instants are aware UTC."""

    status: Status
    first_seen: datetime
    last_seen: datetime
    attempts: int = 0
    cause: str = ""
    """Why the first attempt was deferred: a reason, and after a blank what else is known of it.

    Empty if it was not deferred, and where it is unknown, as in records of other greylisters. Of a POOL: the client.
    """


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long records that are not seen again, and decisions, stay in the store.

    A greylisted record expires `greylisted` after its first attempt, however often it was seen.
    """

    greylisted: timedelta = timedelta(days=10)
    known: timedelta = timedelta(days=40)
    decisions: timedelta = timedelta(days=30)
    correspondents: timedelta = timedelta(days=90)

    def of(self, status: Status) -> timedelta:
        """Return the lifetime of a record with this status."""
        if status is Status.PAIR:
            return PAIR_LIFETIME
        if status is Status.CORRESPONDENT:
            return self.correspondents
        return self.greylisted if status in RESTARTING else self.known

    def are_over(self, record: Record, now: datetime) -> bool:
        """Return whether the record has expired."""
        return record.last_seen < now - self.of(record.status)


class Sighting(NamedTuple):
    """One request for a triplet, at `seen`, and the resulting status. `attempts` is 1 for an early retry that counts.

    If the triplet's greylisted record had expired by `seen`, it is discarded before the merge.
    """

    triplet: Triplet
    status: Status
    seen: datetime
    lifetimes: Lifetimes
    attempts: int = 0
    first_seen: datetime | None = None
    """The first attempt, if a record of it is carried here from another place (core.places); None: this request."""
    network: str = ""
    """The network on which the domain, the first part of `triplet`, was verified, now or before; else empty."""
    cause: str = ""
    """That of the record to which the first attempt belongs: this one or, for a retry, the one found."""

    @property
    def record(self) -> Record:
        """The record that results where there is none yet."""
        return Record(self.status, self.first_seen or self.seen, self.seen, self.attempts, self.cause)


@dataclass(frozen=True, slots=True)
class Timing:
    """The wait of a greylisted triplet, and the lifetimes of records."""

    period: timedelta = timedelta(minutes=5)
    longest: timedelta = timedelta(minutes=720)
    penalty: timedelta = timedelta(minutes=1)
    lifetimes: Lifetimes = Lifetimes()

    def wait(self, attempts: int) -> timedelta:
        """Return the time from the first attempt until a retry passes."""
        return min(self.period + attempts * self.penalty, self.longest)

    def remaining(self, record: Record, now: datetime) -> timedelta:
        """Return the remaining wait: negative when it is over, and never more than the whole wait.

        A first attempt in the future comes from a clock that was set back since, or from another node. The next
        sighting moves it to the present.
        """
        return min(record.first_seen, now) + self.wait(record.attempts) - now

    def standing(self, record: Record | None, now: datetime) -> Standing:
        """Return the standing of the triplet with this record at `now`."""
        if record is None:
            return Standing.NEW
        if record.status is not Status.GREYLISTED:
            return Standing.KNOWN
        if record.first_seen < now - self.lifetimes.greylisted:
            return Standing.NEW
        return Standing.WAITED if self.remaining(record, now) < timedelta(0) else Standing.EARLY


def merged(record: Record | None, sighting: Sighting) -> Record:
    """Return the record after `sighting`: the higher status, the earliest and latest instant, the sum of attempts.

    The cause is that of the earliest first attempt; of two at one instant, the greater text, so that none is lost.
    Every store implements exactly this.
    """
    forget_before = sighting.seen - sighting.lifetimes.greylisted
    if record is None or (record.status in RESTARTING and record.first_seen < forget_before):
        return sighting.record
    new = sighting.record
    return Record(
        status=max(record.status, new.status),
        first_seen=min(record.first_seen, new.first_seen),
        last_seen=max(record.last_seen, new.last_seen),
        attempts=min(record.attempts + new.attempts, MAX_ATTEMPTS),
        cause=_cause(record, new),
    )


def united(one: Record | None, other: Record) -> Record:
    """Combine two records of the same triplet. Idempotent: the same record twice changes nothing."""
    if one is None:
        return other
    return Record(
        status=max(one.status, other.status),
        first_seen=min(one.first_seen, other.first_seen),
        last_seen=max(one.last_seen, other.last_seen),
        attempts=max(one.attempts, other.attempts),
        cause=_cause(one, other),
    )


def _cause(one: Record, other: Record) -> str:
    """Return the cause of the earlier first attempt; of two at one instant, the greater text."""
    if one.first_seen == other.first_seen:
        return max(one.cause, other.cause)
    return min(one, other, key=lambda record: record.first_seen).cause
