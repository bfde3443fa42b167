"""The deletion of all that has expired, and of counts beyond the limit, in slices."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar

from bley.core.greylist import Lifetimes
from bley.metrics import STORE_PURGED
from bley.store.engine import Engine, Purged
from bley.store.request_queue import MAX_BATCH

__all__ = ["purge_all"]

_T = TypeVar("_T")


class _Run(Protocol):
    """Runs one slice of the work while no request uses the engine."""

    async def __call__(self, work: Callable[[], Awaitable[_T]]) -> _T: ...


async def purge_all(engine: Engine, run: _Run, now: datetime, lifetimes: Lifetimes) -> Purged:
    """Return what was deleted. Raises StoreError."""
    total, is_done = Purged(0, 0, 0), False
    while not is_done:
        purged = await run(lambda: engine.purge(now, lifetimes, MAX_BATCH))
        total, is_done = _add(total, purged), max(purged) < MAX_BATCH
        await asyncio.sleep(0)
    is_done = False
    while not is_done:
        counts, is_done = await run(lambda: engine.trim_domains(now, MAX_BATCH))
        total = _add(total, Purged(0, 0, counts))
        await asyncio.sleep(0)
    return total


def _add(total: Purged, purged: Purged) -> Purged:
    for what, number in purged._asdict().items():
        STORE_PURGED.labels(what).inc(number)
    return Purged(*map(sum, zip(total, purged, strict=True)))
