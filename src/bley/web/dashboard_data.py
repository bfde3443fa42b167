"""The data of the pages: state and settings of the running daemon, and the history in its store."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Literal, NamedTuple

from bley.core.errors import StoreError
from bley.core.greylist import Record
from bley.core.history.attempts import possible_triplets, wildcard_triplets
from bley.core.history.audit import AuditEntry, AuditKind
from bley.core.history.delayed_mail import NO_DELAYED_MAIL, DelayedMail
from bley.core.history.exempted import ExemptedMail, Exemption
from bley.core.history.periods import Period
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.silence import Silence
from bley.core.history.statistics import Count
from bley.core.history.summary import (
    DomainSummary,
    Summary,
    counted_domain,
    first_day,
    summarize,
    summarize_domain,
)
from bley.core.mail import Triplet
from bley.ports import Clock, utc_now
from bley.settings.database import Database
from bley.settings.file import Configuration
from bley.store.delayed_domains import read_delayed_mail
from bley.store.history import SEARCH_SECONDS, History, PartialResult, WaitingTriplets
from bley.store.opening import open_history
from bley.store.stories import StoredStory, count_exempted, read_stories
from bley.web.bounded_history import BoundedHistory
from bley.web.decision_search import DecisionSearch
from bley.web.monitored_daemon import MonitoredDaemon
from bley.web.silences import SilenceWatch
from bley.web.single_flight import SingleFlightCache

__all__ = ["MOST_SUMMARIZED", "PAGE_SIZE", "DashboardData", "OverviewData", "SearchResult"]

PAGE_SIZE = 50
"""Decisions on one page of a search."""
MOST_SUMMARIZED = 1000
"""Decisions of which a search has a summary, the newest ones: some 40 ms to read."""
_RECORDS = 50
"""Records that a search shows."""
_LATEST = 12
"""Latest decisions on the overview."""
_WAITING = 200
"""Suspected triplets that are read for the overview and its download."""
_DELAYED_SECONDS = 60.0
"""The lifetime of the counts of sender domains, which takes three queries of some 0.1 s."""

_CHANGES: frozenset[AuditKind] = frozenset(["start", "reload"])
_MOST_CHANGES = 200
"""Starts and reloads that the overview marks, the latest ones."""
_COUNTING_SECONDS = 0.1
"""The time in which deferred mail is counted that an entry would have exempted: at least 30,000 decisions of SQL."""
_LONGEST_COUNTING_SECONDS = 0.5
"""The time limit on a store that is slower than expected."""

_ConnectionKind = Literal["quick", "search"]

_SECONDS: dict[_ConnectionKind, float] = {"quick": 5.0, "search": SEARCH_SECONDS + 5.0}
"""Time limits of a query. A quick one takes less than a second. A search ends by itself, at most one step too late."""


class OverviewData(NamedTuple):
    """The history of a period."""

    period: Period
    now: datetime
    counts: Mapping[Count, int]
    waiting: WaitingTriplets
    latest: Sequence[StoredDecision]
    silences: Sequence[Silence] = ()
    """The remarkable silences of the mail servers."""
    before: Mapping[Count, int] | None = None
    """The counts of the period before, if it was counted."""
    changes: Sequence[AuditEntry] = ()
    """The latest starts and reloads within the period."""
    of_lists: Mapping[Count, int] = MappingProxyType({})
    """The counts of DNS lists in the period (core.history.list_counts)."""
    delayed: DelayedMail = NO_DELAYED_MAIL

    @property
    def has_requests(self) -> bool:
        """Whether a mail server has ever asked."""
        return all(silence.since for silence in self.silences)


class SearchResult(NamedTuple):
    """The decisions and records that match a search. `found`: decisions, those beyond the page for the summary only."""

    now: datetime
    found: Sequence[StoredDecision]
    records: Sequence[tuple[Triplet, Record]]
    by_domain: DomainSummary | None = None

    @property
    def decisions(self) -> Sequence[StoredDecision]:
        """The decisions of the page."""
        return self.found[:PAGE_SIZE]

    @property
    def is_complete(self) -> bool:
        """Whether both searches ended before their time limit."""
        is_short = isinstance(self.found, PartialResult) and len(self.found) < PAGE_SIZE
        return not is_short and not isinstance(self.records, PartialResult)

    @property
    def older_than(self) -> str:
        """The number of the decision at which the next page starts; empty on the last page."""
        if isinstance(self.found, PartialResult) and len(self.found) < PAGE_SIZE:
            return self.found.before
        return self.decisions[-1].number if len(self.decisions) == PAGE_SIZE else ""

    @property
    def summary(self) -> Summary:
        """The summary of the decisions that were found."""
        has_all = not isinstance(self.found, PartialResult) and len(self.found) < MOST_SUMMARIZED
        return summarize(self.found, is_complete=has_all)


class DashboardData:
    """Reads what the pages show. It connects to the store, by `open_store`, at the first request."""

    def __init__(
        self,
        daemon: MonitoredDaemon,
        clock: Clock = utc_now,
        open_store: Callable[[Database], History] = open_history,
    ) -> None:
        self.daemon, self.clock = daemon, clock
        self._open_store = open_store
        self._histories: dict[_ConnectionKind, BoundedHistory] = {}
        self._overviews = SingleFlightCache(self._load_overview)
        self._delayed = SingleFlightCache(self._load_delayed, _DELAYED_SECONDS)
        self._silences = SilenceWatch()

    def reconfigure(self, configuration: Configuration) -> None:
        """Apply these settings to later requests. A store that is connected stays: another one needs a restart."""
        self.configuration = configuration

    @property
    def place(self) -> str:
        """The store's address."""
        return str(self.configuration.settings.store)

    def _history(self, kind: _ConnectionKind) -> BoundedHistory:
        """Return a connection. Searches, which may read all decisions, have their own: no page waits behind them."""
        if kind not in self._histories:
            place = self.configuration.settings.store
            self._histories[kind] = BoundedHistory(str(place), lambda: self._open_store(place), _SECONDS[kind])
        return self._histories[kind]

    async def overview(self, period: Period) -> OverviewData | StoreError:
        """Return the history of the period, or why it cannot be read."""
        return await self._overviews.get(period)

    async def _load_overview(self, period: Period) -> OverviewData | StoreError:
        now, longest = self.clock(), self.configuration.timings.longest

        async def load(history: History) -> OverviewData:
            counts, before, of_lists = await history.compared_counts(period, now)
            waiting = await history.waiting(now - longest, _WAITING, delayed.suspected)
            latest = await history.decisions(DecisionQuery(), _LATEST)
            silences = await self._silences.find(history, latest, now)
            changes = await history.audit(period.since(now), None, _CHANGES, _MOST_CHANGES)
            return OverviewData(period, now, counts, waiting, latest, silences, before, changes, of_lists, delayed)

        try:
            delayed = await self._delayed.get(period)
            return await self._history("quick").query(load)
        except StoreError as error:
            return error

    async def _load_delayed(self, period: Period) -> DelayedMail:
        now, longest = self.clock(), self.configuration.timings.longest
        since = period.since(now)
        return await self._history("quick").query(lambda history: read_delayed_mail(history, since, now, longest))

    async def search(self, search: DecisionSearch) -> SearchResult:
        """Return a page of decisions; on the first page, records and the summary too. Raises StoreError."""
        if search.before:
            return SearchResult(self.clock(), await self.search_decisions(search, PAGE_SIZE, search.before), [])
        by_domain = await self._summarize_domain(search)
        found = await self.search_decisions(search, MOST_SUMMARIZED, enough=PAGE_SIZE)
        return SearchResult(self.clock(), found, await self.search_records(search) if search.records else [], by_domain)

    async def search_decisions(
        self, search: DecisionSearch, limit: int, before: str = "", enough: int | None = None
    ) -> Sequence[StoredDecision]:
        """Return decisions that match, as History.decisions. Raises StoreError."""
        query = search.query(self.configuration.triplet_rules, self.clock())
        return await self._history("search").query(lambda history: history.decisions(query, limit, before, enough))

    async def _summarize_domain(self, search: DecisionSearch) -> DomainSummary | None:
        """Return the summary of the counts by domain, if they can answer the search."""
        now = self.clock()
        query = search.query(self.configuration.triplet_rules, now)
        if not (domain := counted_domain(query, now)):
            return None
        since, until = first_day(query, now), min(query.until or now, now)
        counts = await self._history("quick").query(lambda history: history.domain_counts(domain, since, until))
        return summarize_domain(counts, since)

    async def search_records(self, search: DecisionSearch) -> Sequence[tuple[Triplet, Record]]:
        """Return records that match; none without a search text. Raises StoreError."""
        text_search = search.text_search(self.configuration.triplet_rules)
        if text_search is None:
            return []
        return await self._history("search").query(lambda history: history.records(RecordQuery(text_search), _RECORDS))

    async def decision(self, number: str) -> StoredDecision | None:
        """Return the decision with this number, if there is one. Raises StoreError."""
        return await self._history("quick").query(lambda history: history.decision(number))

    async def story(self, decision: StoredDecision) -> StoredStory:
        """Return the story of the decision's mail. Raises StoreError."""
        read = partial(read_stories, configuration=self.configuration, decisions=[decision], now=self.clock())
        return (await self._history("quick").query(read))[0]

    async def select_records(self, query: RecordQuery, limit: int) -> Sequence[tuple[Triplet, Record]]:
        """Return at most so many records that match. Raises StoreError."""
        return await self._history("search").query(lambda history: history.records(query, limit))

    async def stored_records(self, decision: StoredDecision) -> Mapping[Triplet, Record]:
        """Return the records of this mail by the triplets under which they stand. Raises StoreError."""
        rules = self.configuration.triplet_rules
        candidates = [*possible_triplets(decision, rules), *wildcard_triplets(decision, rules)]
        found = await self._history("quick").query(lambda history: history.find(candidates))
        return found.of_any(candidates).records

    async def exempted(self, exemptions: Sequence[Exemption]) -> Mapping[Exemption, ExemptedMail]:
        """Return the deferred mail that the entries would have exempted; nothing if that takes too long."""
        count = partial(
            count_exempted,
            configuration=self.configuration,
            exemptions=exemptions,
            now=self.clock(),
            seconds=_COUNTING_SECONDS,
        )
        try:
            async with asyncio.timeout(_LONGEST_COUNTING_SECONDS):
                return await self._history("search").query(count)
        except TimeoutError:
            return {}

    async def close(self) -> None:
        """Cancel all queries, and close the connections to the store."""
        await asyncio.gather(*(history.close() for history in self._histories.values()))
