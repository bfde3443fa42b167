"""Coalesce frequent work into one call per tick of the event loop."""

import asyncio
from collections.abc import Callable

__all__ = ["Coalescer"]

TICK_SECONDS = 0.005
"""The least time between two calls. Known mail comes thousands of times a second, and each write of its log lines is a
system call."""


class Coalescer:
    """Calls `work` once for many requests: in the next iteration of the event loop, but at most once per tick."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._is_wanted = False
        self._next = 0.0

    def schedule(self) -> None:
        """Request a call of `work`. Needs a running event loop."""
        if self._is_wanted:
            return
        self._is_wanted = True
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next:
            loop.call_soon(self._go, loop)
        else:
            loop.call_at(self._next, self._go, loop)

    def _go(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_wanted = False
        self._next = loop.time() + TICK_SECONDS
        self._work()
