"""The counts of decisions, and the figures that are computed from them: deferrals, their reasons, their outcomes.

A request is counted once, by its outcome and reason. A stranger is also counted by each fact that was found about
it. A request that passes after its wait is also counted by the length of its delay and the cause of its deferral; so
are deferrals whose reason only refers to an earlier one (REPEATED). All figures are computed from sums of these counts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from bley.core.decision import Decision, Outcome
from bley.core.findings import REPEATED
from bley.core.history.list_counts import LIST_CHECKS, back_keys
from bley.core.reasons import Reason

__all__ = [
    "DELAY",
    "DELAY_BOUNDS",
    "FOUND",
    "LONGER",
    "UNKNOWN_CAUSE",
    "CauseFigures",
    "Count",
    "Figures",
    "count_keys",
    "delay_bound",
    "delay_bound_of",
    "figures",
    "median_delay",
]

FOUND = "found"
"""The kind of counts whose name is a finding (core.findings.FindingKind), or a DNS list check with a score."""

DELAY = "delay"
"""The kind of counts of requests that passed after their wait, followed by a colon and the reason of their deferral.

It stands alone where that is unknown, as in counts of an older bley. The name is the smallest of DELAY_BOUNDS that is
not below the delay, or LONGER.
"""

UNKNOWN_CAUSE = "unknown"
"""Stands for the reason of deferrals whose record does not have it."""

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

    `kind` is an Outcome with the reason as `name`, or FOUND, DELAY, or a reason of REPEATED with the cause as `name`.
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
        elif finding.score and check in LIST_CHECKS:
            yield FOUND, check.value
    cause = decision.cause_reason
    if bound := delay_bound(decision):
        yield f"{DELAY}:{cause}" if cause else DELAY, bound
        yield from back_keys(decision.cause)
    elif cause and decision.defers and decision.reason in REPEATED:
        yield decision.reason.value, cause


def delay_bound(decision: Decision) -> str:
    """Return the name of the count of such delays; empty if the request did not pass after a wait."""
    if decision.reason is not Reason.WAITED or decision.delayed is None:
        return ""
    return delay_bound_of(decision.delayed)


def delay_bound_of(delay: timedelta) -> str:
    """Return the smallest of DELAY_BOUNDS that is not below the delay, or LONGER."""
    seconds = delay.total_seconds()
    return next((str(bound) for bound in DELAY_BOUNDS if seconds <= bound), LONGER)


class CauseFigures(NamedTuple):
    """The figures of the mail that was first deferred for one reason, if by way of `client-bad`."""

    deferred: int = 0
    """Mails; each counts once, however often it is retried."""
    early_retries: int = 0
    delays: Mapping[str, int] = MappingProxyType({})
    """The mails that came back, as in Figures.delays."""

    @property
    def came_back(self) -> int:
        """Return the number of mails that passed after their wait, including those that were deferred earlier."""
        return sum(self.delays.values())

    @property
    def came_back_share(self) -> float | None:
        """Return the fraction of the deferred mails that came back; None if more did than were deferred in the time."""
        return self.came_back / self.deferred if 0 < self.deferred >= self.came_back else None

    @property
    def median_delay_seconds(self) -> int | None:
        """Return the bound that covers half of the mails that came back; see median_delay."""
        return median_delay(self.delays)


def median_delay(delays: Mapping[str, int]) -> int | None:
    """Return the bound that covers half of these delays.

    None if there are none, or half of them exceed all bounds.
    """
    half, so_far = sum(delays.values()) / 2, 0
    for bound in DELAY_BOUNDS:
        so_far += delays.get(str(bound), 0)
        if so_far and so_far >= half:
            return bound
    return None


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
    by_cause: Mapping[str, CauseFigures] = field(default_factory=dict)
    """By the reason of the first deferral, or UNKNOWN_CAUSE. `early` is none; `client-bad` is, where no other is known.

    Their numbers add up to `first_deferrals`, `early_retries` and the sum of `delays`.
    """

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

    def first_deferred_share(self, cause: str) -> float | None:
        """Return the fraction of the deferred mails that this reason deferred; None if no mail was."""
        return self.by_cause[cause].deferred / self.first_deferrals if self.first_deferrals else None

    def delayed_share(self, cause: str) -> float | None:
        """Return the fraction of the delayed mails, which came back, that this reason delayed; None if none did."""
        delayed = sum(self.delays.values())
        return self.by_cause[cause].came_back / delayed if delayed else None

    @property
    def median_delay_seconds(self) -> int | None:
        """Return the bound that covers half of the delayed mails; see median_delay."""
        return median_delay(self.delays)


def figures(counts: Mapping[Count, int]) -> Figures:
    """Return the figures of all these counts, each mapping with its most frequent name first.

    Other kinds are not of all mail, and are skipped.
    """
    by_kind = defaultdict[str, Counter[str]](Counter)
    for count, number in counts.items():
        by_kind[count.kind][count.name] += number
    deferred = by_kind["greylist"] + by_kind["would-defer"]
    delays = {
        kind.partition(":")[2] or UNKNOWN_CAUSE: by_bound
        for kind, by_bound in by_kind.items()
        if kind.partition(":")[0] == DELAY
    }
    return Figures(
        dict(by_kind["pass"].most_common()),
        dict(deferred.most_common()),
        dict(by_kind["would-defer"].most_common()),
        dict(by_kind[FOUND].most_common()),
        _in_order(sum(delays.values(), Counter())),
        _by_cause(deferred, by_kind[Reason.EARLY.value], by_kind[Reason.CLIENT_BAD.value], delays),
    )


def _by_cause(
    deferred: Counter[str], early: Counter[str], client_bad: Counter[str], delays: Mapping[str, Counter[str]]
) -> dict[str, CauseFigures]:
    """Return the figures of each cause; `early` and `client_bad` have the causes of the deferrals of that reason."""
    first = deferred + client_bad
    first[Reason.CLIENT_BAD.value] -= client_bad.total()
    retries = early + Counter({UNKNOWN_CAUSE: deferred[Reason.EARLY.value] - early.total()})
    del first[Reason.EARLY.value]
    causes = [cause for cause, number in first.most_common() if number > 0]
    return {
        cause: CauseFigures(first[cause], retries[cause], _in_order(delays.get(cause, {})))
        for cause in dict.fromkeys([*causes, *retries, *delays])
    }


def _in_order(delays: Mapping[str, int]) -> dict[str, int]:
    bounds = (*map(str, DELAY_BOUNDS), LONGER)
    return {bound: delays[bound] for bound in bounds if delays.get(bound)}
