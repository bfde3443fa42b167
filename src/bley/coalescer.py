"""Work that is done soon, together, and not too often."""

import asyncio
from collections.abc import Callable

__all__ = ["Coalescer"]

TICK_SECONDS = 0.005
"""Known triplets come in thousands a second, and each telling of them costs a system call."""


class Coalescer:
    """Calls `work` soon after it is wanted: in the next turn of the event loop, but not twice within a tick."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._is_wanted = False
        self._next = 0.0

    def want(self) -> None:
        """Have it done; needs a running loop."""
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
