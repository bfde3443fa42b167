"""Decisions on their way to the store: they go behind the answers, once a second, in slices.

Counts are exact; of decisions the oldest go when there are too many, since the store is away or slower than they come.
Of known mail, of which nobody asks why it was delayed, no more are taken than cost little.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from bley.core.decision import KeptDecision
from bley.core.errors import RefusedError, StoreError
from bley.core.policy import Reason
from bley.core.statistics import Count, counted
from bley.metrics import STORE_DROPPED
from bley.store.engine import spread

__all__ = ["Decisions"]

_T = TypeVar("_T")

MAX_WAITING = 10_000
"""Decisions that wait, some 20 MB."""

KNOWN_AT_ONCE = 1000
"""Decisions on known mail that are kept when many come after some time without: mail to a large list."""

KNOWN_A_SECOND = 200
"""And in the long run: more is a test, or a flood, and each takes time from the answers."""

MAX_SLICE = 100
"""Decisions in one transaction, for which requests wait meanwhile."""

COLLECT_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Decisions:
    """Collects decisions and hands them to `write`, which raises StoreError when they must wait."""

    def __init__(self, write: Callable[[Sequence[KeptDecision], Mapping[Count, int]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: deque[KeptDecision] = deque()
        self._counts: Counter[tuple[int, str, str]] = Counter()
        """By minute since 1970 UTC, kind and name."""
        self._writer: asyncio.Task[None] | None = None
        self._room_for_known = float(KNOWN_AT_ONCE)
        self._known_at: datetime | None = None
        self._closed = asyncio.Event()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def keep(self, decision: KeptDecision) -> None:
        """Keep it, and count it, soon."""
        minute = _minute(decision.at)
        for kind, name in counted(decision.decision, decision.outcome):
            self._counts[minute, kind, name] += 1
        self._waiting.append(decision)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            STORE_DROPPED.labels("decisions").inc()
        self._begin()

    def keep_known(self, at: datetime, known: Sequence[_T], kept: Callable[[_T], KeptDecision]) -> None:
        """Count requests that were known, and keep `kept` of those for which there is room."""
        self._counts[_minute(at), "pass", Reason.KNOWN.value] += len(known)
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

    def _begin(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def close(self) -> int:
        """Write what waits; how many are lost since that is not possible."""
        self._closed.set()
        if self._writer:
            await self._writer
        return len(self._waiting)

    async def _write_all(self) -> None:
        while self._waiting or self._counts:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(COLLECT_SECONDS):
                    await self._closed.wait()
            try:
                await self._write_slice()
                while len(self._waiting) >= MAX_SLICE or (self._closed.is_set() and self._waiting):
                    await self._write_slice()
            except StoreError as error:
                _log.debug("store: decisions wait: %s", error)
                if self._closed.is_set():
                    return

    async def _write_slice(self) -> None:
        """Write some. What cannot be written waits on."""
        decisions = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_SLICE))]
        counts, self._counts = self._counts, Counter()
        try:
            try:
                await self._write(decisions, spread(counts))
            except RefusedError:
                await self._write([], spread(counts))
                counts = Counter()
                await self._write_singly(decisions)
        except StoreError:
            self._waiting.extendleft(reversed(decisions))
            self._counts.update(counts)
            raise
        except Exception:  # noqa: BLE001 (a bug must not end the writing of decisions)
            _log.exception("store: internal error, %d decisions are lost; please report it", len(decisions))

    async def _write_singly(self, decisions: list[KeptDecision]) -> None:
        """Since the store refuses something in them: only that is lost, and told. What is written leaves the list."""
        while decisions:
            try:
                await self._write(decisions[:1], {})
            except RefusedError as error:
                _log.error("store: %s; the decision that it refuses is lost", error)
                STORE_DROPPED.labels("decisions").inc()
            del decisions[0]


def _minute(at: datetime) -> int:
    """Since 1970 UTC."""
    return int(at.timestamp()) // 60
