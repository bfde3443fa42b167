"""How a record ages. The whole model:

    no record, or one greylisted longer ago than its lifetime       NEW
    greylisted, the wait is not over                                EARLY
    greylisted, the wait is over                                    WAITED
    clean or trusted                                                KNOWN

    wait = min(period + attempts * penalty, longest), counted from the first attempt

A record is only ever changed by a sighting merged into it, and merging is the same in any order: two nodes
that saw the same stranger, or writes kept while the store was away, end in the same record.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, IntEnum
from typing import NamedTuple

from bley.core.mail import Triplet

__all__ = ["MAX_ATTEMPTS", "Lifetimes", "Record", "Sighting", "Standing", "Status", "Timing", "merged", "united"]


MAX_ATTEMPTS = 1_000_000
"""So far early retries are counted: every wait is the longest by then, and every engine can keep the number."""


class Status(IntEnum):
    """What a record says of its triplet; it only ever rises."""

    GREYLISTED = 0
    CLEAN = 1
    TRUSTED = 2


class Standing(Enum):
    """Where a triplet is in its life."""

    NEW = "new"
    EARLY = "early"
    WAITED = "waited"
    KNOWN = "known"


class Record(NamedTuple):
    """What the store keeps of a triplet; `attempts` counts the early retries, instants are aware UTC."""

    status: Status
    first_seen: datetime
    last_seen: datetime
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a record is kept that is not seen again, and how long decisions are.

    A greylisted record is a stranger's again so long after its first attempt, however often it was seen.
    """

    greylisted: timedelta = timedelta(days=10)
    known: timedelta = timedelta(days=40)
    decisions: timedelta = timedelta(days=30)

    def of(self, status: Status) -> timedelta:
        """How long a record of this status is kept."""
        return self.greylisted if status is Status.GREYLISTED else self.known

    def are_over(self, record: Record, now: datetime) -> bool:
        """Whether the record can be forgotten."""
        return record.last_seen < now - self.of(record.status)


class Sighting(NamedTuple):
    """A triplet was seen at `seen`, and this came of it; `attempts` is 1 for an early retry that counts.

    A greylisted record that had outlived its lifetime by then is that of another time: it is forgotten first.
    """

    triplet: Triplet
    status: Status
    seen: datetime
    lifetimes: Lifetimes
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a greylisted triplet waits, and how long a record is kept."""

    period: timedelta = timedelta(minutes=5)
    longest: timedelta = timedelta(minutes=720)
    penalty: timedelta = timedelta(minutes=1)
    lifetimes: Lifetimes = Lifetimes()

    def wait(self, attempts: int) -> timedelta:
        """The time from the first attempt after which a retry passes."""
        return min(self.period + attempts * self.penalty, self.longest)

    def remaining(self, record: Record, now: datetime) -> timedelta:
        """What is left of the wait; negative when it is over, and never more than the whole wait.

        A first attempt in the future was recorded by a clock that has been set back since, or is another node's: the
        next sighting makes it the present.
        """
        return min(record.first_seen, now) + self.wait(record.attempts) - now

    def standing(self, record: Record | None, now: datetime) -> Standing:
        """Where the triplet of `record` is at `now`."""
        if record is None:
            return Standing.NEW
        if record.status is not Status.GREYLISTED:
            return Standing.KNOWN
        if record.first_seen < now - self.lifetimes.greylisted:
            return Standing.NEW
        return Standing.WAITED if self.remaining(record, now) < timedelta(0) else Standing.EARLY


def merged(record: Record | None, sighting: Sighting) -> Record:
    """The record after `sighting`: the higher status, the earliest and latest instant, all attempts.

    Every store does exactly this.
    """
    forget_before = sighting.seen - sighting.lifetimes.greylisted
    if record is None or (record.status is Status.GREYLISTED and record.first_seen < forget_before):
        return Record(sighting.status, sighting.seen, sighting.seen, sighting.attempts)
    return Record(
        status=max(record.status, sighting.status),
        first_seen=min(record.first_seen, sighting.seen),
        last_seen=max(record.last_seen, sighting.seen),
        attempts=min(record.attempts + sighting.attempts, MAX_ATTEMPTS),
    )


def united(one: Record | None, other: Record) -> Record:
    """What two accounts of the same triplet say together; telling the same twice changes nothing."""
    if one is None:
        return other
    return Record(
        status=max(one.status, other.status),
        first_seen=min(one.first_seen, other.first_seen),
        last_seen=max(one.last_seen, other.last_seen),
        attempts=max(one.attempts, other.attempts),
    )
