"""Queries of stored data by the dashboard, `bley why`, `bley stats`, `bley graph` and `bley top`."""

import heapq
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from bley.core.greylist import Record
from bley.core.history.attempts import Attempts, AttemptsQuery
from bley.core.history.audit import AuditEntry, AuditKind
from bley.core.history.delayed_mail import DomainMail, MostDelayed
from bley.core.history.domain_counts import DomainCounts
from bley.core.history.exempted import ExemptedCount, Exemption
from bley.core.history.list_counts import LIST_SPANS
from bley.core.history.periods import ComparedCounts, Period
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.core.places import Found
from bley.store.engine import SPANS

__all__ = [
    "MORE_SECONDS",
    "SEARCH_SECONDS",
    "FirstRecords",
    "History",
    "PartialResult",
    "SearchDeadline",
    "WaitingTriplets",
    "has_before",
    "list_span_of",
    "span_of",
]


SEARCH_SECONDS = 10.0
"""The time limit of a search for decisions or records: enough for some millions. Narrower searches find more."""

MORE_SECONDS = 0.15
"""The time in which a search goes on, beyond the decisions of its page, for its summary."""

_T = TypeVar("_T")


class PartialResult(list[_T]):
    """The results of a search that reached its deadline; a search for decisions can be continued from `before`."""

    def __init__(self, found: Iterable[_T], before: str = "") -> None:
        super().__init__(found)
        self.before = before


class SearchDeadline:
    """The deadline of a search that starts now; by default SEARCH_SECONDS later."""

    def __init__(self, seconds: float | None = None) -> None:
        self._begun = time.monotonic()
        self._end = self._begun + (SEARCH_SECONDS if seconds is None else seconds)

    @property
    def has_passed(self) -> bool:
        """Return whether the search must end."""
        return time.monotonic() >= self._end

    def ends(self, found: int, enough: int | None) -> bool:
        """Return whether the search ends with so many results, by this deadline or since they are enough."""
        has_enough = enough is not None and found >= enough and time.monotonic() >= self._begun + MORE_SECONDS
        return has_enough or self.has_passed


class FirstRecords:
    """The first of all records that are added, in the order of the query, at most `limit`."""

    def __init__(self, query: RecordQuery, limit: int) -> None:
        self._query, self._limit = query, limit
        self._added: dict[Triplet, Record] = {}
        self.bound: Any = None
        """So many records rank higher that no record of this rank is needed; None: not known yet."""

    def add(self, records: Iterable[tuple[Triplet, Record]]) -> None:
        """Add records; a triplet may be added several times."""
        self._added.update(records)
        if len(self._added) > 2 * self._limit + _SLACK:
            self._added = dict(self.found)
            self.bound = self._query.rank(next(reversed(self._added.values())))

    @property
    def found(self) -> list[tuple[Triplet, Record]]:
        """Return these records."""
        return heapq.nlargest(self._limit, self._added.items(), key=lambda item: self._query.rank(item[1]))


_SLACK = 1000
"""Records beyond twice the limit before the older ones are sorted out, so that this is seldom done."""


class WaitingTriplets(NamedTuple):
    """The number of greylisted triplets, and some of them."""

    number: int
    records: Sequence[tuple[Triplet, Record]]


class History(Protocol):
    """Read access to one database, by its own connection, so that requests do not wait. Methods raise StoreError."""

    place: str

    async def counts(self, period: Period, now: datetime, kinds: Collection[str] = ()) -> Mapping[Count, int]:
        """Return the counts of each slot of the period until `now`: none that a clock which was ahead has made.

        `kinds`: those that are meant; none means all.
        """

    async def compared_counts(self, period: Period, now: datetime) -> ComparedCounts:
        """Return the same, and the counts of the period before, all of which have the start of that period.

        Those of DNS lists come along, as in `list_counts`.
        """

    async def list_counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        """Return the sums of the counts of DNS lists, from the span in which the period starts until `now`."""

    async def domain_counts(self, domain: str, since: datetime, until: datetime) -> DomainCounts:
        """Return the counts of the domain, and of REST, of each day that is partly in this time."""

    async def decisions(
        self, query: DecisionQuery, limit: int, before: str = "", enough: int | None = None
    ) -> Sequence[StoredDecision]:
        """Return at most `limit` decisions, the newest first, of those older than decision number `before`.

        With `enough`, so many do, once MORE_SECONDS have passed; the result is then a PartialResult too.
        The result is a PartialResult if the deadline passed before all candidates were read.
        """

    async def decision(self, number: str) -> StoredDecision | None:
        """Return the decision with this number."""

    async def attempts(self, query: AttemptsQuery) -> Attempts:
        """Return the first and the last attempts of a mail."""

    async def count_exempted(
        self, exemptions: Sequence[Exemption], since: datetime, seconds: float
    ) -> Sequence[ExemptedCount]:
        """Return for each entry how much deferred mail it would have exempted since then, in some `seconds`."""

    async def audit(
        self,
        since: datetime,
        until: datetime | None,
        kinds: frozenset[AuditKind],
        limit: int,
        *,
        with_settings: bool = False,
    ) -> Sequence[AuditEntry]:
        """Return at most `limit` entries of the audit since then, before `until`, the newest first.

        `kinds`: those that are meant; an empty set means all. Without `with_settings` they lack their settings.
        """

    async def waiting(
        self, since: datetime, limit: int, suspected: Sequence[Collection[str]] | None = None
    ) -> WaitingTriplets:
        """Return greylisted triplets that were seen since then: most early retries first, then the newest first.

        With `suspected`, only those that were retried, or whose sender has one of these domains. Those of the first
        group of domains precede the others that have as many retries. The number is always that of all.
        """

    async def waiting_domains(self, since: datetime, limit: int) -> Sequence[str]:
        """Return the domains of the senders of these triplets, at most `limit`, the most recently seen first."""

    async def most_delayed(self, since: datetime, until: datetime, limit: int) -> MostDelayed:
        """Return the sender domains whose mail came back most on the days that are partly in this time."""

    async def domain_mail(self, names: Collection[str], since: datetime, until: datetime) -> Mapping[str, DomainMail]:
        """Return the mail of these domains on the days that are partly in this time; those without any are missing."""

    async def records(
        self, query: RecordQuery, limit: int, seconds: float | None = None
    ) -> Sequence[tuple[Triplet, Record]]:
        """Return the first matching records in the query's order, at most `limit`. The deadline is after `seconds`.

        The result is a PartialResult, of any matching records, if the deadline passed.
        """

    async def find(self, triplets: Sequence[Triplet]) -> Found:
        """Return the records of these triplets, and those under domains that were verified on their networks."""

    async def close(self) -> None:
        """Close all connections."""


def span_of(period: Period) -> int:
    """Return the span, a key of engine.SPANS, whose counts are summed for the period."""
    return 3600 if period.slot.total_seconds() % 3600 == 0 else 60


def list_span_of(period: Period) -> int:
    """Return the span, a key of LIST_SPANS, whose counts of DNS lists are summed for the period."""
    return min(span for span, lifetime in LIST_SPANS.items() if period.length < lifetime or span == max(LIST_SPANS))


def has_before(period: Period) -> bool:
    """Return whether counts are stored for so long that the period can be compared with the one before."""
    return 2 * period.length <= SPANS[span_of(period)]
