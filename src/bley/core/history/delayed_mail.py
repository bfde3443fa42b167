"""The mail that is perhaps delayed wrongly, by what is known of its sender's domain.

A triplet that waits is suspected of that if it was retried, or if mail of its sender's domain passed in the last days.
A domain whose mail came back costs its senders a delay each time.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from bley.core.findings import REASONS
from bley.core.greylist import Record
from bley.core.history.domain_counts import PASS, came_back_kinds
from bley.core.history.shared_domains import is_large_provider, is_shared
from bley.core.history.statistics import DELAY, median_delay
from bley.core.mail import Triplet
from bley.core.quantity import quantity
from bley.core.reasons import Reason

__all__ = [
    "NO_DELAYED_MAIL",
    "DelayedDomain",
    "DelayedMail",
    "DomainMail",
    "DomainSums",
    "MostDelayed",
    "domain_mail",
    "domain_of",
    "first_waiting",
    "most_delayed",
    "summed_kinds",
]

DomainSums = Mapping[tuple[str, str], int]
"""Sums of the counts by domain, by kind and name."""

_FROM = "from-"
_RECEIVED = f"to-{PASS}"


class DelayedDomain(NamedTuple):
    """A sender's domain, by the name under which it is counted, with its mail that passed after a wait."""

    name: str
    delays: Mapping[str, int]
    """As Figures.delays."""

    @property
    def came_back(self) -> int:
        """Return the number of these mails."""
        return sum(self.delays.values())

    @property
    def median_delay_seconds(self) -> int | None:
        """Return the bound that covers half of these mails; see median_delay."""
        return median_delay(self.delays)


class MostDelayed(NamedTuple):
    """The sender domains whose mail came back most, by the counts of whole days."""

    since: datetime
    """The start of the first day that was read."""
    came_back: int
    """All mail that came back, that of the null sender and of uncounted domains too."""
    domains: Sequence[DelayedDomain]
    """The most first. NULL_DOMAIN and REST may be among them."""


def most_delayed(since: datetime, sums: DomainSums, limit: int) -> MostDelayed:
    """Return the domains of these sums of `came_back_kinds`."""
    by_name = defaultdict[str, dict[str, int]](dict)
    for (kind, name), number in sums.items():
        by_name[name][kind.removeprefix(f"{_FROM}{DELAY}-")] = number
    domains = sorted(
        (DelayedDomain(name, delays) for name, delays in by_name.items()),
        key=lambda each: (-each.came_back, each.name),
    )
    return MostDelayed(since, sum(sums.values()), domains[:limit])


def summed_kinds() -> list[str]:
    """Return the kinds of counts that DomainMail is computed from."""
    reasons = [f"{_FROM}{reason}" for reason in REASONS if reason != Reason.EARLY]
    return [_RECEIVED, f"{_FROM}{PASS}", *came_back_kinds("from"), *reasons]


class DomainMail(NamedTuple):
    """The mail from a domain in some days."""

    undelayed: int = 0
    deferred: int = 0
    """Mails; each counts once, however often it is retried."""
    came_back: int = 0
    is_ours: bool = False
    """Mail to the domain passes: it is a domain of this mail server."""

    @property
    def passed(self) -> int:
        """Return the number of mails that passed, at once or after a wait."""
        return self.undelayed + self.came_back

    @property
    def comes_back(self) -> bool:
        """Return whether most of its deferred mail came back, as that of forgers does not."""
        return 2 * self.came_back >= self.deferred


def domain_mail(sums: DomainSums) -> dict[str, DomainMail]:
    """Return the mail of each domain of these sums of `summed_kinds`."""
    back, by_name = frozenset(came_back_kinds("from")), defaultdict[str, Counter[str]](Counter)
    for (kind, name), number in sums.items():
        part = "came_back" if kind in back else kind if kind in (_RECEIVED, f"{_FROM}{PASS}") else "deferred"
        by_name[name][part] += number
    return {
        name: DomainMail(each[f"{_FROM}{PASS}"], each["deferred"], each["came_back"], bool(each[_RECEIVED]))
        for name, each in by_name.items()
    }


def domain_of(sender: str) -> str:
    """Return the domain of a triplet's sender, as it stands there; empty for the null sender."""
    return sender.rpartition("@")[2]


def first_waiting(
    records: Iterable[tuple[Triplet, Record]], limit: int, suspected: Sequence[Collection[str]] | None
) -> list[tuple[Triplet, Record]]:
    """Return the first of these waiting triplets, most early retries first; `suspected` as of History.waiting."""
    places = {domain: place for place, group in reversed([*enumerate(suspected or ())]) for domain in group}
    last = len(places)
    meant = [
        (triplet, record, places.get(domain_of(triplet.sender), last))
        for triplet, record in records
        if suspected is None or record.attempts or domain_of(triplet.sender) in places
    ]
    meant.sort(key=lambda each: (each[1].attempts, -each[2], each[1].last_seen), reverse=True)
    return [(triplet, record) for triplet, record, _ in meant[:limit]]


class DelayedMail(NamedTuple):
    """The sender domains of delayed mail, and their mail."""

    most: MostDelayed
    """Those whose mail came back most in the range."""
    waiting: Mapping[str, str]
    """Domains of waiting triplets, each with the name under which it is counted."""
    mail: Mapping[str, DomainMail]
    """The mail of all these, by that name, in the last `days` days."""
    days: int

    @property
    def suspected(self) -> Sequence[Collection[str]]:
        """Return the domains of waiting triplets whose mail passed before, those first that others hardly forge."""
        passed = [domain for domain, name in self.waiting.items() if self.mail.get(name, DomainMail()).passed]
        is_forged = {domain: self._is_often_forged(self.waiting[domain]) for domain in passed}
        return [[domain for domain in passed if is_forged[domain] is wanted] for wanted in (False, True)]

    def _is_often_forged(self, name: str) -> bool:
        return is_shared(name) or self.mail[name].is_ours

    def passed(self, triplet: Triplet) -> int:
        """Return how much mail of the sender's domain passed; 0 for the null sender, which belongs to no domain."""
        name = self.waiting.get(domain_of(triplet.sender), "")
        return self.mail.get(name, DomainMail()).passed

    def rank(self, waiting: tuple[Triplet, Record]) -> tuple[int, bool, int, datetime]:
        """Return the rank of a suspected triplet: most early retries first, then most passed mail of its domain."""
        triplet, record = waiting
        passed = self.passed(triplet)
        is_likely = bool(passed) and not self._is_often_forged(self.waiting[domain_of(triplet.sender)])
        return record.attempts, is_likely, passed, record.last_seen

    def why(self, waiting: tuple[Triplet, Record], *, observes: bool = False) -> str:
        """Return why the triplet is suspected to wait wrongly, in words."""
        triplet, record = waiting
        words = []
        if record.attempts:
            times = "once" if record.attempts == 1 else f"{record.attempts} times"
            words.append(f"{'came again' if observes else 'retried'} {times}")
        if passed := self.passed(triplet):
            name = self.waiting[domain_of(triplet.sender)]
            note = (
                ", a large provider,"
                if is_large_provider(name)
                else ", a domain of yours,"
                if self.mail[name].is_ours
                else ""
            )
            verb = "would have passed" if observes else "passed"
            words.append(f"{quantity(passed, 'mail')} of {name}{note} {verb} in {self.days} days")
        return "; ".join(words)


NO_DELAYED_MAIL = DelayedMail(MostDelayed(datetime.min.replace(tzinfo=UTC), 0, ()), {}, {}, 0)
"""Nothing is known of any domain."""
