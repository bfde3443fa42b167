"""What the pages are made from: the running bley and its settings, and the history in its store."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from bley.core.errors import StoreError
from bley.core.greylist import Record
from bley.core.history.outcome import (
    DeferralOutcome,
    deferral_outcome,
    possible_triplets,
    united_record,
    waited_query,
    wildcard_triplets,
)
from bley.core.history.periods import Period
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.ports import Clock, utc_now
from bley.settings.database import Database
from bley.settings.file import Configuration
from bley.store.history import SEARCH_SECONDS, History, PartialResult, WaitingTriplets
from bley.store.opening import open_history
from bley.web.bounded_history import BoundedHistory, SingleFlightCache
from bley.web.decision_search import DecisionSearch
from bley.web.monitored_daemon import MonitoredDaemon

__all__ = ["PAGE", "DashboardData", "OverviewData", "SearchResult"]

PAGE = 50
"""Decisions on one page of a search."""
RECORDS = 50
_LATEST = 12
_WAITING = 200
_LATER = 200
"""How many decisions are looked through for the one by which a triplet passed."""

Purpose = Literal["quick", "search"]

_SECONDS: dict[Purpose, float] = {"quick": 5.0, "search": SEARCH_SECONDS + 5.0}
"""What an answer may take: what is quick takes less than one. A search ends itself, at most a step too late."""


class OverviewData(NamedTuple):
    """What the store told of a period."""

    period: Period
    now: datetime
    counts: Mapping[Count, int]
    waiting: WaitingTriplets
    latest: Sequence[StoredDecision]


class SearchResult(NamedTuple):
    """What fits what somebody asked for."""

    now: datetime
    decisions: Sequence[StoredDecision]
    records: Sequence[tuple[Triplet, Record]]

    @property
    def is_whole(self) -> bool:
        """Whether all was looked at that could fit."""
        return not isinstance(self.decisions, PartialResult) and not isinstance(self.records, PartialResult)

    @property
    def older(self) -> str:
        """The number of the decision behind which a search for older ones goes on; empty where there are none."""
        if isinstance(self.decisions, PartialResult):
            return self.decisions.before
        return self.decisions[-1].number if len(self.decisions) == PAGE else ""


class DashboardData:
    """Connects to the store, by `open_store`, when somebody looks.

    Each question to the store has a time limit, after which the next one gets a connection of its own.
    """

    def __init__(
        self,
        shown: MonitoredDaemon,
        clock: Clock = utc_now,
        open_store: Callable[[Database], History] = open_history,
    ) -> None:
        self.shown, self.clock = shown, clock
        self._open_store = open_store
        self._readers: dict[Purpose, BoundedHistory] = {}
        self._overviews = SingleFlightCache(self._look)

    def take(self, configuration: Configuration) -> None:
        """Look by these settings from now on. The place of the store stays as it was at first: it needs a restart."""
        self.configuration = configuration

    @property
    def place(self) -> str:
        """Where the store is."""
        return str(self.configuration.settings.store)

    def _history(self, purpose: Purpose) -> BoundedHistory:
        """Searches may read all decisions: no other page waits for them."""
        if purpose not in self._readers:
            place = self.configuration.settings.store
            self._readers[purpose] = BoundedHistory(str(place), lambda: self._open_store(place), _SECONDS[purpose])
        return self._readers[purpose]

    async def overview(self, period: Period) -> OverviewData | StoreError:
        """What there is to see, or why nothing can be seen."""
        return await self._overviews.get(period)

    async def _look(self, period: Period) -> OverviewData | StoreError:
        now, history = self.clock(), self._history("quick")
        longest = self.configuration.settings.timing.longest

        async def look(history: History) -> OverviewData:
            counts = await history.counts(period, now)
            waiting = await history.waiting(now - longest, _WAITING)
            return OverviewData(period, now, counts, waiting, await history.decisions(DecisionQuery(), _LATEST))

        try:
            return await history.ask(look)
        except StoreError as error:
            return error

    async def found(self, asked: DecisionSearch) -> SearchResult:
        """What fits; records only on the first page. Raises StoreError."""
        decisions = await self.found_decisions(asked)
        return SearchResult(self.clock(), decisions, [] if asked.before else await self.found_records(asked))

    async def found_decisions(self, asked: DecisionSearch) -> Sequence[StoredDecision]:
        """A page of decisions that fit. Raises StoreError."""
        query = asked.query(self.configuration.triplet_rules, self.clock())
        return await self._history("search").ask(lambda history: history.decisions(query, PAGE, asked.before))

    async def found_records(self, asked: DecisionSearch) -> Sequence[tuple[Triplet, Record]]:
        """Records that fit, if anything is looked for. Raises StoreError."""
        search = asked.search(self.configuration.triplet_rules)
        if search is None:
            return []
        return await self._history("search").ask(lambda history: history.records(search, RECORDS))

    async def decision(self, number: str) -> StoredDecision | None:
        """The decision of this number; None: there is none. Raises StoreError."""
        return await self._history("quick").ask(lambda history: history.decision(number))

    async def deferral_outcome(self, decision: StoredDecision) -> DeferralOutcome | None:
        """What became of a deferral; None: it is none. Raises StoreError."""
        if not decision.defers or decision.triplet is None:
            return None
        rules, timing = self.configuration.triplet_rules, self.configuration.settings.timing
        records = await self._history("quick").ask(lambda history: history.find(possible_triplets(decision, rules)))
        query = waited_query([decision])
        waited = await self._history("search").ask(lambda history: history.decisions(query, _LATER))
        return deferral_outcome(decision, united_record(decision, records, rules), waited, timing, self.clock())

    async def kept_under(self, decision: StoredDecision) -> Sequence[Triplet]:
        """Where its records are. Raises StoreError."""
        rules = self.configuration.triplet_rules
        everywhere = [*possible_triplets(decision, rules), *wildcard_triplets(decision, rules)]
        return list(await self._history("quick").ask(lambda history: history.find(everywhere)))

    async def close(self) -> None:
        """End what is being looked for, and let go of the store."""
        await asyncio.gather(*(reader.close() for reader in self._readers.values()))
