"""The mail that is perhaps delayed wrongly, by what is known of its sender's domain.

A triplet that waits is suspected of that if it was retried, or if mail of its sender's domain passed in the last days.
A domain whose mail came back costs its senders a delay each time.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from bley.core.findings import REASONS
from bley.core.greylist import Record
from bley.core.history.domain_counts import PASS, came_back_kinds
from bley.core.history.shared_domains import is_large_provider, is_shared
from bley.core.history.statistics import DELAY, median_delay
from bley.core.history.worth import PLAIN, Spelling
from bley.core.mail import Triplet
from bley.core.reasons import Reason

__all__ = [
    "NO_DELAYED_MAIL",
    "RECEIVED",
    "SUMMED_KINDS",
    "DelayedDomain",
    "DelayedMail",
    "DomainMail",
    "DomainSums",
    "MostDelayed",
    "domain_mail",
    "domain_of",
    "first_waiting",
    "most_delayed",
]

_MOST_SUSPECTED = 500
"""Domains of each group whose triplets are read: with 5,000, a query takes 0.1 s longer."""

DomainSums = Mapping[tuple[str, str], int]
"""Sums of the counts by domain, by kind and name."""

_FROM = "from-"
RECEIVED = f"to-{PASS}"
"""The kind of counts of mail to a domain that passes, so the domain is ours."""


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
    def not_come_back(self) -> int:
        """Return the number of deferred mails that did not pass (yet)."""
        return max(self.deferred - self.came_back, 0)

    @property
    def comes_back(self) -> bool:
        """Return whether most of its deferred mail came back, as that of forgers does not."""
        return 2 * self.came_back >= self.deferred


SUMMED_KINDS = (
    (f"{_FROM}{PASS}",),
    tuple(f"{_FROM}{reason}" for reason in REASONS if reason != Reason.EARLY),
    tuple(came_back_kinds("from")),
    (RECEIVED,),
)
"""The kinds of counts whose sums are the fields of DomainMail."""


def domain_mail(sums: DomainSums) -> dict[str, DomainMail]:
    """Return the mail of each domain of these sums; those of other kinds are skipped."""
    fields = {kind: field for field, kinds in enumerate(SUMMED_KINDS) for kind in kinds}
    by_name = defaultdict[str, list[int]](lambda: [0] * len(SUMMED_KINDS))
    for (kind, name), number in sums.items():
        if kind in fields:
            by_name[name][fields[kind]] += number
    return {name: DomainMail(each[0], each[1], each[2], bool(each[3])) for name, each in by_name.items()}


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
        """Return the domains of waiting triplets whose mail passed before, those first that others hardly forge.

        Of each group, those with the most mail that passed.
        """
        passed = {domain: mail.passed for domain, name in self.waiting.items() if (mail := self.mail.get(name))}
        groups: tuple[list[str], list[str]] = [], []
        for domain in sorted(filter(passed.get, passed), key=lambda each: -passed[each]):
            groups[self._is_often_forged(self.waiting[domain])].append(domain)
        return [group[:_MOST_SUSPECTED] for group in groups]

    def _is_often_forged(self, name: str) -> bool:
        mail = self.mail[name]
        return is_shared(name) or mail.is_ours or mail.not_come_back > mail.passed

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

    def why(self, waiting: tuple[Triplet, Record], *, observes: bool = False, spelling: Spelling = PLAIN) -> str:
        """Return why the triplet is suspected to wait wrongly, in words."""
        triplet, record = waiting
        words = []
        if record.attempts:
            times = "once" if record.attempts == 1 else f"{spelling.number(record.attempts)} times"
            words.append(f"{'came again' if observes else 'retried'} {times}")
        if passed := self.passed(triplet):
            words.append(self._passed_words(self.waiting[domain_of(triplet.sender)], passed, observes, spelling))
        return "; ".join(words)

    def _passed_words(self, name: str, passed: int, observes: bool, spelling: Spelling) -> str:
        mail, verb = self.mail[name], "would have passed" if observes else "passed"
        words = f"{spelling.number(passed)} {'mail' if passed == 1 else 'mails'} of {name} {verb} in {self.days} days"
        if is_large_provider(name):
            return f"{words}, a large provider"
        if mail.is_ours:
            return f"{words}, a domain of yours"
        if self._is_often_forged(name):
            return f"{words}, and {spelling.number(mail.not_come_back)} did not come back"
        return words


NO_DELAYED_MAIL = DelayedMail(MostDelayed(datetime.min.replace(tzinfo=UTC), 0, ()), {}, {}, 0)
"""Nothing is known of any domain."""
