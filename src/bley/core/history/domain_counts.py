"""The counts of a day by mail domain: how often the mail of one domain is deferred, over a year, without decisions.

A request counts for the domain of its sender and for that of its recipient. The kinds of these counts are the side, a
hyphen, and one of the following; their name is the domain:

    pass           requests that passed, but not after a wait
    REASON         requests that were deferred, by reason; `early` are retries
    would          the part of all these that `mode = observe` only logged
    delay-SECONDS  requests that passed after their wait, as statistics.DELAY
    cut            domains that have no counts of this day, because others had more mail; the name is REST

The domain is the registered one, which includes all domains below it. A recipient's domain that is not registered
itself counts too: customers of one provider may have such.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from bley.core.decision import Decision, Outcome
from bley.core.findings import REASONS
from bley.core.history.statistics import DELAY, DELAY_BOUNDS, LONGER, Count, Figures, delay_bound
from bley.core.names.domains import a_labels, owner_domain
from bley.core.reasons import Reason

__all__ = [
    "CUT",
    "DAY_SECONDS",
    "MOST_RECIPIENTS_DOMAINS",
    "MOST_SENDERS_DOMAINS",
    "NULL_DOMAIN",
    "PASS",
    "REST",
    "SIDES",
    "STORED_DAYS",
    "STORED_DOMAINS",
    "CountedDomains",
    "DomainAdmission",
    "DomainCounts",
    "Side",
    "all_kinds",
    "came_back_kinds",
    "counted_domains",
    "days_of",
    "domain_events",
    "kinds_of",
    "passes",
    "passing_kinds",
    "split_domains",
]

Side = Literal["to", "from"]
"""The side of the recipient, and that of the sender."""

SIDES: tuple[Side, ...] = ("to", "from")

DAY_SECONDS = 86_400
"""The span of these counts, which start at midnight UTC."""

STORED_DAYS = 400
"""The days whose counts are stored."""

REST = "*"
"""The name that stands for all domains beyond a limit."""

NULL_DOMAIN = "<>"
"""The name of the null sender, which has no domain."""

MOST_RECIPIENTS_DOMAINS = 3000
MOST_SENDERS_DOMAINS = 1000
STORED_DOMAINS: Mapping[Side, int] = {"to": MOST_RECIPIENTS_DOMAINS, "from": MOST_SENDERS_DOMAINS}
"""The domains of a past day whose counts are stored, those with the most mail that passed.

With some three kinds each that makes at most 12,000 rows a day, 4.8 million in 400 days, 250 MB. A server with 50
domains of its own has a third of that: the senders.
"""

_MOST_ADMITTED = 4000
"""The domains that a process counts in a day, for each side: 2 MB. Deferrals alone admit half as many.

So no flood of invented domains keeps out those whose mail passes.
"""

PASS, _WOULD, CUT = "pass", "would", "cut"

_NAME = re.compile(r"[a-z0-9._-]{1,253}")
"""A domain in A-labels. Others, such as address literals, have no counts."""

CountedDomains = str
"""The names under which a request counts, each after its side, separated by blanks: `to example.org from example.com`.

One text, because known mail is counted by it, and Python computes the hash of a text once.
"""


def counted_domains(sender: str, recipient: str) -> CountedDomains:
    """Return the names for these mail addresses."""
    return _counted_domains(_domain(sender), _domain(recipient), is_null=not sender)


def _domain(address: str) -> str:
    _, at, domain = address.rpartition("@")
    return domain if at else ""


@lru_cache(maxsize=4096)
def _counted_domains(sender: str, recipient: str, *, is_null: bool) -> CountedDomains:
    """Return the names; equal results are one object, since each cached request of known mail has one."""
    to_names = dict.fromkeys((owner_domain(recipient), a_labels(recipient)))
    counted = [f"to {name}" for name in to_names if _NAME.fullmatch(name)]
    from_name = NULL_DOMAIN if is_null else owner_domain(sender)
    return " ".join([*counted, *([f"from {from_name}"] if is_null or _NAME.fullmatch(from_name) else [])])


def split_domains(domains: CountedDomains) -> list[tuple[Side, str]]:
    """Return each side with the name."""
    words: list[Any] = domains.split(" ")
    return list(zip(words[::2], words[1::2], strict=False))


def domain_events(decision: Decision, outcome: Outcome) -> Sequence[str]:
    """Return what the decision counts as, for each of its domains."""
    if outcome == "pass":
        bound = delay_bound(decision)
        return (f"{DELAY}-{bound}",) if bound else (PASS,)
    return (decision.reason.value,) if outcome == "greylist" else (decision.reason.value, _WOULD)


def passes(event: str) -> bool:
    """Return whether this is an event of mail that passed."""
    return event == PASS or event.startswith(f"{DELAY}-")


class DomainAdmission:
    """The domains that this process counts today; the others count as REST."""

    def __init__(self) -> None:
        self._day = 0
        self._admitted: dict[Side, set[str]] = {side: set() for side in SIDES}
        self._deferred: Counter[Side] = Counter()
        """The number of domains that were admitted by a deferral."""

    def name(self, day: int, side: Side, name: str, *, passes: bool) -> str:
        """Return the name under which a request of the domain counts, which passes or is deferred."""
        if day != self._day:
            self._day, self._deferred = day, Counter()
            self._admitted = {each: set() for each in SIDES}
        admitted = self._admitted[side]
        if name in admitted:
            return name
        if len(admitted) >= _MOST_ADMITTED or not (passes or self._deferred[side] < _MOST_ADMITTED // 2):
            return REST
        self._deferred[side] += not passes
        admitted.add(name)
        return name


def kinds_of(side: Side) -> tuple[str, str]:
    """Return the bounds of all kinds of the side in byte order: the first one, and one beyond the last."""
    return f"{side}-", f"{side}."


def all_kinds() -> list[str]:
    """Return all kinds of both sides."""
    events = [PASS, _WOULD, CUT, *REASONS]
    return [kind for side in SIDES for kind in (*(f"{side}-{event}" for event in events), *came_back_kinds(side))]


def days_of(since: datetime, until: datetime) -> list[int]:
    """Return the start of each day that is partly in this time, at most those whose counts are stored."""
    last = int(until.timestamp()) // DAY_SECONDS * DAY_SECONDS
    first = max(int(since.timestamp()) // DAY_SECONDS * DAY_SECONDS, last - STORED_DAYS * DAY_SECONDS)
    return list(range(first, last + 1, DAY_SECONDS))


def passing_kinds(side: Side) -> list[str]:
    """Return the kinds of mail that passed."""
    return [f"{side}-{PASS}", *came_back_kinds(side)]


def came_back_kinds(side: Side) -> list[str]:
    """Return the kinds of mail that passed after a wait."""
    return [f"{side}-{DELAY}-{bound}" for bound in (*DELAY_BOUNDS, LONGER)]


class DomainCounts(NamedTuple):
    """The stored counts of one domain, and of REST, by day; `first` is the start of the first day that has counts."""

    domain: str
    first: int | None
    counts: Mapping[Count, int]

    def figures(self, side: Side) -> Figures:
        """Return the figures of the domain on this side; the reasons of mail that passed at once are not known."""
        totals, prefix = Counter[str](), f"{side}-"
        for count, number in self.counts.items():
            if count.name == self.domain and count.kind.startswith(prefix):
                totals[count.kind.removeprefix(prefix)] += number
        passed, would = totals.pop(PASS, 0), totals.pop(_WOULD, 0)
        delays = {bound: totals.pop(f"{DELAY}-{bound}", 0) for bound in (*map(str, DELAY_BOUNDS), LONGER)}
        delays = {bound: number for bound, number in delays.items() if number}
        deferred = dict(totals.most_common())
        return Figures(
            {name: number for name, number in ((PASS, passed), (Reason.WAITED.value, sum(delays.values()))) if number},
            deferred,
            deferred if would and would >= totals.total() else {},
            delays=delays,
        )

    def uncertain_days(self, side: Side) -> int:
        """Return the number of days that may lack this domain: it has no counts, and others were beyond a limit."""
        own, rest = (
            {count.start for count in self.counts if count.name == name and count.kind.startswith(f"{side}-")}
            for name in (self.domain, REST)
        )
        return len(rest - own)

    @property
    def since(self) -> datetime | None:
        """The first day that has counts of any domain."""
        return None if self.first is None else datetime.fromtimestamp(self.first, UTC)
