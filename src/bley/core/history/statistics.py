"""What decisions are counted as, and the figures that people ask for: what is delayed, why, and what came of it.

A request is counted once by what became of it and why. A stranger is also counted by each fact that was found about it,
and who has waited by how long that was. From these counts, summed over any time, come all figures below.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bley.core.decision import Decision, Outcome
from bley.core.evidence import Check
from bley.core.policy import Reason

__all__ = ["DELAY", "DELAY_BOUNDS", "FOUND", "LONGER", "Count", "Figures", "counted", "figures"]

FOUND = "found"
"""The kind of counts whose name is a fact's (core.evidence.Fact), or `dnsbl` or `dnswl` where lists counted."""

DELAY = "delay"
"""The kind of counts of who waited and passed; the name is the longest of DELAY_BOUNDS that was enough, or LONGER."""

_MINUTE = 60
_HOUR = 3600
DELAY_BOUNDS = (
    _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE,
    _HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 12 * _HOUR, 24 * _HOUR,
)  # fmt: skip
"""Seconds: how often a sender's queue is run is a matter of minutes at first, then of hours."""

LONGER = "longer"


class Count(NamedTuple):
    """What is counted: what happened within `seconds` from `start` (seconds since 1970 UTC) on.

    `kind` is an Outcome with the reason as `name`, or FOUND, or DELAY.
    """

    seconds: int
    start: int
    kind: str
    name: str


def counted(decision: Decision, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Kind and name of all that a decision counts as."""
    yield outcome, decision.reason.value
    for check, finding in decision.evidence.items():
        if finding.fact:
            yield FOUND, finding.fact.value
        elif finding.score and check in (Check.DNSBL, Check.DNSWL):
            yield FOUND, check.value
    if decision.reason is Reason.WAITED and decision.delayed is not None:
        seconds = decision.delayed.total_seconds()
        yield DELAY, next((str(bound) for bound in DELAY_BOUNDS if seconds <= bound), LONGER)


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened in some time. All are numbers of requests, one for each recipient of a mail."""

    passed: Mapping[str, int] = field(default_factory=dict)
    """At once or after their wait, by reason."""
    deferred: Mapping[str, int] = field(default_factory=dict)
    """By reason; `early` are retries of mail that is deferred already."""
    found: Mapping[str, int] = field(default_factory=dict)
    delays: Mapping[str, int] = field(default_factory=dict)
    """By the bounds of DELAY_BOUNDS, in their order, and LONGER: not summed up."""

    @property
    def requests(self) -> int:
        """All."""
        return sum(self.passed.values()) + sum(self.deferred.values())

    @property
    def first_deferrals(self) -> int:
        """Mails that were deferred, each once however often it is tried."""
        return sum(self.deferred.values()) - self.early_retries

    @property
    def early_retries(self) -> int:
        """Attempts before the wait was over."""
        return self.deferred.get(Reason.EARLY.value, 0)

    @property
    def came_back(self) -> int:
        """Mails that passed after their wait; those that were deferred before this time are among them."""
        return self.passed.get(Reason.WAITED.value, 0)

    @property
    def not_come_back(self) -> int:
        """Mails that were deferred and have not passed, or not yet."""
        return max(self.first_deferrals - self.came_back, 0)

    @property
    def undelayed(self) -> int:
        """Mails that passed at once."""
        return sum(self.passed.values()) - self.came_back

    @property
    def undelayed_share(self) -> float | None:
        """Of all mails, which came back or not; None where there were none."""
        mails = self.undelayed + self.first_deferrals
        return self.undelayed / mails if mails else None

    @property
    def median_delay_seconds(self) -> int | None:
        """Half of those that came back took no longer; None where none did, or half took longer than all bounds."""
        half, so_far = sum(self.delays.values()) / 2, 0
        for bound in DELAY_BOUNDS:
            so_far += self.delays.get(str(bound), 0)
            if so_far and so_far >= half:
                return bound
        return None


def figures(counts: Mapping[Count, int]) -> Figures:
    """The figures of all these counts together, the most frequent first."""
    passed, deferred, found, delays = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    by_kind = {"pass": passed, FOUND: found, DELAY: delays}
    for count, number in counts.items():
        by_kind.get(count.kind, deferred)[count.name] += number
    bounds = [*map(str, DELAY_BOUNDS), LONGER]
    return Figures(
        dict(passed.most_common()),
        dict(deferred.most_common()),
        dict(found.most_common()),
        {bound: delays[bound] for bound in bounds if delays[bound]},
    )
