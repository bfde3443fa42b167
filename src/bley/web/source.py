"""What the pages are made from: the running bley and its settings, and the history in its store."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Generic, Literal, NamedTuple, TypeVar

from bley.config_file import Configuration
from bley.core.errors import StoreError
from bley.core.greylist import Record
from bley.core.mail import Triplet
from bley.core.periods import Period
from bley.core.search import DecisionQuery, StoredDecision
from bley.core.sequel import Sequel, places, places_of_any, record_of, sequel, waited_query
from bley.core.statistics import Count
from bley.database import Database
from bley.ports import Clock, utc_now
from bley.store.history import History, Waiting
from bley.store.opening import open_history
from bley.web.asked import AskedDecisions
from bley.web.shown import Shown

__all__ = ["PAGE", "Found", "Looked", "Source"]

PAGE = 50
"""Decisions on one page of a search."""
RECORDS = 50
_LATEST = 12
_WAITING = 200
_LATER = 200
"""How many decisions are looked through for the one by which a triplet passed."""

_KEPT_SECONDS = 1.0
"""Many who look at the same cost as much as one."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class Looked(NamedTuple):
    """What the store told of a period."""

    period: Period
    now: datetime
    counts: Mapping[Count, int]
    waiting: Waiting
    latest: Sequence[StoredDecision]


class Found(NamedTuple):
    """What fits what somebody asked for."""

    now: datetime
    decisions: Sequence[StoredDecision]
    records: Sequence[tuple[Triplet, Record]]


class Source:
    """Connects to the store, by `open_store`, when somebody looks."""

    def __init__(
        self,
        shown: Shown,
        clock: Clock = utc_now,
        open_store: Callable[[Database], History] = open_history,
    ) -> None:
        self.shown, self.clock = shown, clock
        self._open_store = open_store
        self._histories: dict[str, History] = {}
        self._looked = _Kept(self._look)

    def take(self, configuration: Configuration) -> None:
        """Look by these settings from now on. The place of the store stays as it was at first: it needs a restart."""
        self.configuration = configuration

    @property
    def place(self) -> str:
        """Where the store is."""
        return str(self.configuration.settings.store)

    def _history(self, purpose: Literal["quick", "search"]) -> History:
        """Searches may read all decisions: no other page waits for them."""
        if purpose not in self._histories:
            self._histories[purpose] = self._open_store(self.configuration.settings.store)
        return self._histories[purpose]

    async def overview(self, period: Period) -> Looked | StoreError:
        """What there is to see, or why nothing can be seen."""
        return await self._looked.get(period)

    async def _look(self, period: Period) -> Looked | StoreError:
        now, history = self.clock(), self._history("quick")
        timing = self.configuration.settings.timing
        try:
            counts = await history.counts(period, now)
            waiting = await history.waiting(now - timing.longest, _WAITING)
            latest = await history.decisions(DecisionQuery(), _LATEST)
        except StoreError as error:
            return error
        return Looked(period, now, counts, waiting, latest)

    async def found(self, asked: AskedDecisions) -> Found:
        """What fits. Raises StoreError."""
        rules, now = self.configuration.triplet_rules, self.clock()
        search, history = asked.search(rules), self._history("search")
        decisions = await history.decisions(asked.query(rules, now), PAGE, asked.before)
        return Found(now, decisions, await history.records(search, RECORDS) if search and not asked.before else [])

    async def decision(self, number: str) -> StoredDecision | None:
        """The decision of this number; None: there is none. Raises StoreError."""
        return await self._history("quick").decision(number)

    async def sequel(self, decision: StoredDecision) -> Sequel | None:
        """What became of a deferral; None: it is none. Raises StoreError."""
        if not decision.defers or decision.triplet is None:
            return None
        rules, timing = self.configuration.triplet_rules, self.configuration.settings.timing
        records = await self._history("quick").find(places(decision, rules))
        waited = await self._history("search").decisions(waited_query([decision]), _LATER)
        return sequel(decision, record_of(decision, records, rules), waited, timing, self.clock())

    async def kept_under(self, decision: StoredDecision) -> Sequence[Triplet]:
        """Where its records are. Raises StoreError."""
        rules = self.configuration.triplet_rules
        return list(await self._history("quick").find([*places(decision, rules), *places_of_any(decision, rules)]))

    async def close(self) -> None:
        """Let go of the store."""
        await self._looked.close()
        for history in self._histories.values():
            await history.close()


class _Kept(Generic[_K, _V]):
    """Answers that are kept for a moment; who asks meanwhile gets the same."""

    def __init__(self, ask: Callable[[_K], Awaitable[_V]]) -> None:
        self._ask = ask
        self._asked: dict[_K, tuple[float, asyncio.Future[_V]]] = {}

    async def get(self, key: _K) -> _V:
        """The answer, which is at most so old."""
        now = asyncio.get_running_loop().time()
        asked = self._asked.get(key)
        if asked is None or (asked[1].done() and now - asked[0] > _KEPT_SECONDS):
            asked = self._asked[key] = now, asyncio.ensure_future(self._ask(key))
        return await asyncio.shield(asked[1])

    async def close(self) -> None:
        """Wait for what is still being asked."""
        await asyncio.gather(*(answer for _, answer in self._asked.values()), return_exceptions=True)
