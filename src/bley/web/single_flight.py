"""A cache that runs each query once, however many readers request it at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

__all__ = ["SingleFlightCache"]

_K = TypeVar("_K")
_V = TypeVar("_V")


class SingleFlightCache(Generic[_K, _V]):
    """Results of `query`, each shared by all readers that request the same key within `seconds` after its start.

    A query that has lost all its readers is cancelled; neither that nor an error is cached.
    """

    def __init__(self, query: Callable[[_K], Awaitable[_V]], seconds: float = 1.0) -> None:
        self._query, self._seconds = query, seconds
        self._entries: dict[_K, _Entry[_V]] = {}

    async def get(self, key: _K) -> _V:
        """Return the cached result, or that of a query which runs or is started now."""
        now = asyncio.get_running_loop().time()
        entry = self._entries.get(key)
        if entry is None or entry.is_over(now - self._seconds):
            self._entries = {of: each for of, each in self._entries.items() if not each.is_over(now - self._seconds)}
            entry = self._entries[key] = _Entry(now, asyncio.ensure_future(self._query(key)))
        entry.readers += 1
        try:
            return await asyncio.shield(entry.result)
        finally:
            entry.readers -= 1
            if not entry.readers and not entry.result.done():
                entry.result.cancel()
                if self._entries.get(key) is entry:
                    del self._entries[key]


class _Entry(Generic[_V]):
    def __init__(self, started_at: float, result: "asyncio.Future[_V]") -> None:
        self.started_at, self.result, self.readers = started_at, result, 0

    def is_over(self, oldest: float) -> bool:
        """Return whether a new query is needed: this one failed, or ended and was started before."""
        result = self.result
        return result.done() and (self.started_at < oldest or result.cancelled() or result.exception() is not None)
