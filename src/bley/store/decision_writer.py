"""DecisionWriter on their way to the store: they go behind the answers, once a second, in slices.

A slice stays as it is, with its mark, until it is known that the store has it: it may have been written though the
answer was an error. Of decisions the oldest go when there are too many, since the store is away or slower than they
come. Of known mail, of which nobody asks why it was delayed, no more are taken than cost little. Counts are exact, as
long as there is room for them.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from bley.core.decision import KeptDecision
from bley.core.errors import RefusedError, StoreError
from bley.core.history.statistics import Count, counted
from bley.core.policy import Reason
from bley.core.quantity import quantity
from bley.metrics import STORE_DROPPED
from bley.store.batch import end_at
from bley.store.engine import Mark, Marks, counts_per_span

__all__ = ["DecisionWriter", "Lost"]

_T = TypeVar("_T")

MAX_WAITING = 10_000
"""DecisionWriter that wait, some 20 MB."""

MAX_COUNTS = 50_000
"""Counts that wait, of a minute, kind and name each: more than a day of some 30 a minute, some 12 MB."""

KNOWN_AT_ONCE = 1000
"""DecisionWriter on known mail that are kept when many come after some time without: mail to a large list."""

KNOWN_A_SECOND = 200
"""And in the long run: more is a test, or a flood, and each takes time from the answers."""

MAX_SLICE = 100
"""DecisionWriter in one transaction, for which requests wait meanwhile."""

MAX_COUNTS_SLICE = 250
"""Counts in one transaction, two rows each; some 5 ms on SQLite."""

COLLECT_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Lost(NamedTuple):
    """What was not written: decisions, and how many times something was counted."""

    decisions: int
    counts: int
    may_be_written: bool = False
    """A slice of it was under way at the end."""


class _Slice(NamedTuple):
    """What goes in one transaction, the counts as they were collected."""

    decisions: Sequence[KeptDecision]
    counts: Counter[tuple[int, str, str]]
    mark: Mark


class DecisionWriter:
    """Collects decisions and hands them to `write`, which raises StoreError when they must wait."""

    def __init__(self, write: Callable[[Sequence[KeptDecision], Mapping[Count, int], Mark], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: deque[KeptDecision] = deque()
        self._counts: Counter[tuple[int, str, str]] = Counter()
        """By minute since 1970 UTC, kind and name."""
        self._slice: _Slice | None = None
        """It is under way, or its outcome is unknown."""
        self._marks = Marks()
        self._writer: asyncio.Task[None] | None = None
        self._has_room_for_counts = True
        self._room_for_known = float(KNOWN_AT_ONCE)
        self._known_at: datetime | None = None
        self._closed = asyncio.Event()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting) + (len(self._slice.decisions) if self._slice else 0)

    def keep(self, decision: KeptDecision) -> None:
        """Keep it, and count it, soon."""
        for kind, name in counted(decision.decision, decision.outcome):
            self._count(decision.at, kind, name, 1)
        self._waiting.append(decision)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            STORE_DROPPED.labels("decisions").inc()
        self._begin()

    def keep_known(self, at: datetime, known: Sequence[_T], kept: Callable[[_T], KeptDecision]) -> None:
        """Count requests that were known, and keep `kept` of those for which there is room."""
        self._count(at, "pass", Reason.KNOWN.value, len(known))
        if self._known_at:
            grown = self._room_for_known + KNOWN_A_SECOND * max((at - self._known_at).total_seconds(), 0)
            self._room_for_known = max(min(grown, KNOWN_AT_ONCE), 0)
        self._known_at = at
        room = max(min(int(self._room_for_known), MAX_WAITING - len(self._waiting)), 0)
        self._waiting.extend(map(kept, known[:room]))
        self._room_for_known -= min(room, len(known))
        if room < len(known):
            STORE_DROPPED.labels("decisions").inc(len(known) - room)
        self._begin()

    def _count(self, at: datetime, kind: str, name: str, number: int) -> None:
        key = int(at.timestamp()) // 60, kind, name
        if key in self._counts or len(self._counts) < MAX_COUNTS:
            self._counts[key] += number
            return
        STORE_DROPPED.labels("counts").inc(number)
        if self._has_room_for_counts:
            _log.warning("store: %d counts wait, what happens from now on is not counted", MAX_COUNTS)
        self._has_room_for_counts = False

    def _begin(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def close(self, until: float) -> Lost:
        """Write what waits until this instant of the loop's clock; what is lost since that is not possible."""
        self._closed.set()
        has_ended = not self._writer or await end_at(self._writer, until)
        under_way = self._slice.counts.total() if self._slice else 0
        return Lost(len(self), self._counts.total() + under_way, may_be_written=not has_ended)

    async def _write_all(self) -> None:
        while self._slice or self._waiting or self._counts:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(COLLECT_SECONDS):
                    await self._closed.wait()
            try:
                await self._write_slice()
                while self._has_full_slice():
                    await self._write_slice()
            except StoreError as error:
                _log.debug("store: decisions wait: %s", error)
                if self._closed.is_set():
                    return

    def _has_full_slice(self) -> bool:
        if self._closed.is_set():
            return bool(self._waiting or self._counts)
        return len(self._waiting) >= MAX_SLICE or len(self._counts) >= MAX_COUNTS_SLICE

    async def _write_slice(self) -> None:
        """Write some. What cannot be written waits on, just as it is."""
        self._slice = self._slice or self._next_slice()
        decisions, counts, mark = self._slice
        try:
            await self._write(decisions, counts_per_span(counts), mark)
        except RefusedError as error:
            self._lose(error)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 (a bug must not end the writing of decisions)
            lost = quantity(len(decisions), "decision is", "decisions are")
            _log.exception("store: internal error, %s lost; please report it", lost)
            STORE_DROPPED.labels("decisions").inc(len(decisions))
            STORE_DROPPED.labels("counts").inc(counts.total())
        self._slice = None

    def _next_slice(self) -> _Slice:
        decisions = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_SLICE))]
        counts = Counter(dict(self._counts.popitem() for _ in range(min(len(self._counts), MAX_COUNTS_SLICE))))
        self._has_room_for_counts = True
        return _Slice(decisions, counts, self._marks.next())

    def _lose(self, error: RefusedError) -> None:
        """Count what the store refuses, and log it; all else of the slice is written."""
        counts = [value[1] for value, _ in error.refused if isinstance(value, tuple) and isinstance(value[0], Count)]
        decisions = len(error.refused) - len(counts)
        STORE_DROPPED.labels("decisions").inc(decisions)
        STORE_DROPPED.labels("counts").inc(sum(counts))
        _log.error(
            "store: %s; lost, since it refuses that: %s, %s; %s",
            *(error, quantity(decisions, "decision"), quantity(sum(counts), "count"), error.first),
        )
