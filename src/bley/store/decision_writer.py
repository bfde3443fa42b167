"""The queue of decisions and counts, which are written within a second or two, in slices, after the answers are sent.

One slice a second is usual. Of many, each has an equal part of the second, so that requests have their turns between.

A slice is retried unchanged, with its mark, until the store confirms it: a failed attempt may have been committed.
If the store is away or too slow, the oldest decisions are dropped. Decisions on known mail are sampled at a limited
rate, because there is no delay to be explained. Counts are exact while there is room for them.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple, TypeVar

from bley.core.decision import DecisionEntry
from bley.core.errors import AwayError, RefusedError, StoreError
from bley.core.history.domain_counts import CountedDomains, counted_domains, domain_events
from bley.core.history.list_counts import LIST_SPANS
from bley.core.history.nodes import NODE_PASSED, node_keys
from bley.core.history.statistics import Count, count_keys
from bley.core.quantity import quantity
from bley.core.reasons import Reason
from bley.metrics import STORE_DROPPED
from bley.store.domain_tally import DomainTally
from bley.store.engine import Mark, Marks, counts_per_span

__all__ = ["DecisionWriter", "Lost", "wait_or_cancel"]

_T = TypeVar("_T")

MAX_WAITING = 10_000
"""The limit of queued decisions, some 20 MB."""

MAX_COUNTS = 50_000
"""The limit of queued counts, each of a minute, kind and name: over a day at some 30 a minute, some 12 MB.

Those of DNS lists are of ten minutes.
"""

_LIST_MINUTES = min(LIST_SPANS) // 60

KNOWN_AT_ONCE = 1000
"""The burst of decisions on known mail that is stored after some time without any: mail to a large list."""

KNOWN_A_SECOND = 200
"""The sustained rate: a higher one is a test or a flood, and each decision takes time from the answers."""

MAX_SLICE = 100
"""Decisions in one transaction; requests wait while it runs."""

MAX_COUNTS_SLICE = 250
"""Counts in one transaction, two rows each, three for DNS lists: some 5 ms on SQLite."""

COLLECT_SECONDS = 1.0
"""The time in which decisions collect before a slice is written, and in which all full slices that wait are written."""

_CANCEL_SECONDS = 0.2
"""The time for a cancelled task to close its connection. A thread takes longer, and is not awaited."""

_log = logging.getLogger(__name__)


class Lost(NamedTuple):
    """The numbers of decisions and of counted events that were not written."""

    decisions: int
    counts: int
    may_be_written: bool = False
    """A slice was under way at the end; its outcome is unknown."""


class _Slice(NamedTuple):
    """The decisions and counts of one transaction."""

    decisions: Sequence[DecisionEntry]
    counts: Counter[tuple[int, str, str]]
    of_domains: Mapping[Count, int]
    mark: Mark


class DecisionWriter:
    """Collects decisions and passes them to `write`, which raises StoreError if they must be retried."""

    def __init__(self, write: Callable[[Sequence[DecisionEntry], Mapping[Count, int], Mark], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: deque[DecisionEntry] = deque()
        self._counts: Counter[tuple[int, str, str]] = Counter()
        """The keys are minute since 1970 UTC, kind and name."""
        self._domains = DomainTally()
        self._slice: _Slice | None = None
        """The slice that is under way, or whose outcome is unknown."""
        self._marks = Marks()
        self._writer: asyncio.Task[None] | None = None
        self._has_room_for_counts = True
        self._room_for_known = float(KNOWN_AT_ONCE)
        self._known_at: datetime | None = None
        self._is_delayed = False
        """The last slice failed."""
        self._closed = asyncio.Event()

    def __len__(self) -> int:
        """Return the number of queued decisions."""
        return len(self._waiting) + (len(self._slice.decisions) if self._slice else 0)

    def add_decision(self, decision: DecisionEntry) -> None:
        """Queue and count the decision."""
        minute = int(decision.at.timestamp()) // 60
        for kind, name in chain(count_keys(decision.decision, decision.outcome), node_keys(decision)):
            self._count(minute, kind, name, 1)
        # A user sends to the domains of others.
        recipient = "" if decision.decision.reason is Reason.AUTHENTICATED else decision.recipient
        events = domain_events(decision.decision, decision.outcome)
        self._domains.add(decision.at, counted_domains(decision.sender, recipient), events)
        self._waiting.append(decision)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            STORE_DROPPED.labels("decisions").inc()
        self._begin()

    def add_known_decisions(
        self,
        at: datetime,
        known: Sequence[_T],
        to_decision: Callable[[_T], DecisionEntry],
        node: str = "",
        domains: Sequence[CountedDomains] = (),
    ) -> None:
        """Count requests that were known; queue `to_decision(request)` for those within the rate limit."""
        minute = int(at.timestamp()) // 60
        self._count(minute, "pass", Reason.KNOWN.value, len(known))
        if node:
            self._count(minute, NODE_PASSED, node, len(known))
        self._domains.add_known(at, domains)
        if self._known_at:
            grown = self._room_for_known + KNOWN_A_SECOND * max((at - self._known_at).total_seconds(), 0)
            self._room_for_known = max(min(grown, KNOWN_AT_ONCE), 0)
        self._known_at = at
        room = max(min(int(self._room_for_known), MAX_WAITING - len(self._waiting)), 0)
        self._waiting.extend(map(to_decision, known[:room]))
        self._room_for_known -= min(room, len(known))
        if room < len(known):
            STORE_DROPPED.labels("decisions").inc(len(known) - room)
        self._begin()

    def add_list_count(self, at: datetime, kind: str, name: str, number: int) -> None:
        """Count events about a DNS list; `kind` is one of LIST_KINDS."""
        minute = int(at.timestamp()) // 60
        self._count(minute - minute % _LIST_MINUTES, kind, name, number)
        self._begin()

    def _count(self, minute: int, kind: str, name: str, number: int) -> None:
        key = minute, kind, name
        if key in self._counts or len(self._counts) < MAX_COUNTS:
            self._counts[key] += number
            return
        STORE_DROPPED.labels("counts").inc(number)
        if self._has_room_for_counts:
            _log.warning("store: %d counts are queued; further events are not counted", MAX_COUNTS)
        self._has_room_for_counts = False

    def _begin(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def close(self, until: float) -> Lost:
        """Write what is queued, until this instant of the loop's clock. Return what is lost."""
        self._closed.set()
        has_ended = not self._writer or await wait_or_cancel(self._writer, until)
        under_way = self._slice.counts.total() if self._slice else 0
        return Lost(len(self), self._counts.total() + under_way, may_be_written=not has_ended)

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._slice or self._waiting or self._counts or self._domains:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(began + self._interval):
                    await self._closed.wait()
            began = loop.time()
            try:
                await self._write_slice()
            except StoreError as error:
                self._log_delay(error)
                began = loop.time()
                if self._closed.is_set():
                    return

    def _log_delay(self, error: StoreError) -> None:
        level = logging.DEBUG if self._is_delayed or isinstance(error, AwayError) else logging.WARNING
        _log.log(level, "store: %s; decisions wait until it takes them", error)
        self._is_delayed = True

    @property
    def _interval(self) -> float:
        """The seconds from the start of one slice to that of the next."""
        full = max(len(self._waiting) // MAX_SLICE, len(self._counts) // MAX_COUNTS_SLICE, self._domains.ready_slices)
        return COLLECT_SECONDS if self._is_delayed else COLLECT_SECONDS / max(full, 1)

    async def _write_slice(self) -> None:
        """Write one slice. If that fails, the slice stays for a retry, unchanged."""
        self._slice = self._slice or self._next_slice()
        decisions, counts, of_domains, mark = self._slice
        try:
            if decisions or counts or of_domains:
                await self._write(decisions, {**counts_per_span(counts), **of_domains}, mark)
        except RefusedError as error:
            self._lose(error)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 (a bug must not end the writing of decisions)
            lost = quantity(len(decisions), "decision is", "decisions are")
            _log.exception("store: internal error, %s lost; please report it", lost)
            STORE_DROPPED.labels("decisions").inc(len(decisions))
            STORE_DROPPED.labels("counts").inc(counts.total())
        self._slice, self._is_delayed = None, False

    def _next_slice(self) -> _Slice:
        decisions = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_SLICE))]
        counts = Counter(dict(self._counts.popitem() for _ in range(min(len(self._counts), MAX_COUNTS_SLICE))))
        self._has_room_for_counts = True
        of_domains = self._domains.take(asyncio.get_running_loop().time(), all_now=self._closed.is_set())
        return _Slice(decisions, counts, of_domains, self._marks.next())

    def _lose(self, error: RefusedError) -> None:
        """Log and count the refused values; the rest of the slice is written."""
        counts = [value[1] for value, _ in error.refused if isinstance(value, tuple) and isinstance(value[0], Count)]
        decisions = len(error.refused) - len(counts)
        STORE_DROPPED.labels("decisions").inc(decisions)
        STORE_DROPPED.labels("counts").inc(sum(counts))
        _log.error(
            "store: %s; refused, and lost: %s, %s; %s",
            *(error, quantity(decisions, "decision"), quantity(sum(counts), "count"), error.first),
        )


async def wait_or_cancel(task: asyncio.Task[None], instant: float) -> bool:
    """Wait for the task, and cancel it at this instant of the loop's clock. Return whether it ended by itself."""
    seconds = instant - asyncio.get_running_loop().time()
    ended, _ = await asyncio.wait([task], timeout=max(seconds, 0))
    if not ended:
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_SECONDS)
    return bool(ended)
