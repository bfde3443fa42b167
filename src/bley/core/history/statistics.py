"""The counts of decisions, and the figures that are computed from them: deferrals, their reasons, their outcomes.

A request is counted once, by its outcome and reason. A stranger is also counted by each fact that was found about
it. A request that passes after its wait is also counted by the length of its delay. All figures are computed from sums
of these counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bley.core.decision import Decision, Outcome
from bley.core.findings import Check
from bley.core.reasons import Reason

__all__ = ["DELAY", "DELAY_BOUNDS", "FOUND", "LONGER", "Count", "Figures", "count_keys", "delay_bound", "figures"]

FOUND = "found"
"""The kind of counts whose name is a finding (core.findings.FindingKind), or a DNS list check with a score."""

DELAY = "delay"
"""The kind of counts of requests that passed after their wait.

The name is the smallest of DELAY_BOUNDS that is not below the delay, or LONGER.
"""

_MINUTE = 60
_HOUR = 3600
DELAY_BOUNDS = (
    _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE,
    _HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 12 * _HOUR, 24 * _HOUR,
)  # fmt: skip
"""Seconds. Senders retry after minutes at first, then after hours."""

LONGER = "longer"


class Count(NamedTuple):
    """The key of a count, for the span of `seconds` that starts at `start` (seconds since 1970 UTC).

    `kind` is an Outcome with the reason as `name`, or FOUND, or DELAY.
    """

    seconds: int
    start: int
    kind: str
    name: str


def count_keys(decision: Decision, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield kind and name of each count that the decision increments."""
    yield outcome, decision.reason.value
    for check, finding in decision.evidence.items():
        if finding.kind:
            yield FOUND, finding.kind.value
        elif finding.score and check in (Check.DNSBL, Check.DNSWL):
            yield FOUND, check.value
    if bound := delay_bound(decision):
        yield DELAY, bound


def delay_bound(decision: Decision) -> str:
    """Return the name of the count of such delays; empty if the request did not pass after a wait."""
    if decision.reason is not Reason.WAITED or decision.delayed is None:
        return ""
    seconds = decision.delayed.total_seconds()
    return next((str(bound) for bound in DELAY_BOUNDS if seconds <= bound), LONGER)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of some time. All are numbers of requests; a mail has one request for each recipient."""

    passed: Mapping[str, int] = field(default_factory=dict)
    """Requests that passed, at once or after their wait, by reason."""
    deferred: Mapping[str, int] = field(default_factory=dict)
    """Deferred requests by reason; `early` are retries of mail that is deferred already."""
    only_logged: Mapping[str, int] = field(default_factory=dict)
    """The part of `deferred` that `mode = observe` only logged: these requests passed."""
    found: Mapping[str, int] = field(default_factory=dict)
    delays: Mapping[str, int] = field(default_factory=dict)
    """Delayed requests for each of DELAY_BOUNDS, in that order, and LONGER; not cumulative."""

    @property
    def requests(self) -> int:
        """Return the number of all requests."""
        return sum(self.passed.values()) + sum(self.deferred.values())

    @property
    def defers_nothing(self) -> bool:
        """Return whether there are deferrals, and all of them were only logged."""
        return bool(self.deferred) and self.only_logged == self.deferred

    @property
    def first_deferrals(self) -> int:
        """Return the number of deferred mails; each counts once, however often it is retried."""
        return sum(self.deferred.values()) - self.early_retries

    @property
    def early_retries(self) -> int:
        """Return the number of attempts before the wait was over."""
        return self.deferred.get(Reason.EARLY.value, 0)

    @property
    def came_back(self) -> int:
        """Return the number of mails that passed after their wait, including those that were deferred earlier."""
        return self.passed.get(Reason.WAITED.value, 0)

    @property
    def not_come_back(self) -> int:
        """Return the number of mails that were deferred and have not passed (yet)."""
        return max(self.first_deferrals - self.came_back, 0)

    @property
    def undelayed(self) -> int:
        """Return the number of mails that passed at once."""
        return sum(self.passed.values()) - self.came_back

    @property
    def undelayed_share(self) -> float | None:
        """Return the fraction of all mails that passed at once; None if there are no mails."""
        mails = self.undelayed + self.first_deferrals
        return self.undelayed / mails if mails else None

    @property
    def passed_at_once_share(self) -> float | None:
        """Return the fraction of the mails that passed which did so at once; None if none passed."""
        passed = self.undelayed + self.came_back
        return self.undelayed / passed if passed else None

    @property
    def median_delay_seconds(self) -> int | None:
        """Return the bound that covers half of the delayed mails.

        None if there are no delayed mails, or half of them exceed all bounds.
        """
        half, so_far = sum(self.delays.values()) / 2, 0
        for bound in DELAY_BOUNDS:
            so_far += self.delays.get(str(bound), 0)
            if so_far and so_far >= half:
                return bound
        return None


def figures(counts: Mapping[Count, int]) -> Figures:
    """Return the figures of all these counts, each mapping with its most frequent name first.

    Other kinds are not of all mail, and are skipped.
    """
    passed, deferred, only_logged, found, delays = (Counter[str]() for _ in range(5))
    by_kind = {"pass": passed, "greylist": deferred, "would-defer": only_logged, FOUND: found, DELAY: delays}
    for count, number in counts.items():
        if count.kind in by_kind:
            by_kind[count.kind][count.name] += number
    deferred.update(only_logged)
    bounds = [*map(str, DELAY_BOUNDS), LONGER]
    return Figures(
        dict(passed.most_common()),
        dict(deferred.most_common()),
        dict(only_logged.most_common()),
        dict(found.most_common()),
        {bound: delays[bound] for bound in bounds if delays[bound]},
    )
