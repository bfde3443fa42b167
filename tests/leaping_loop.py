"""An event loop with virtual time, which leaps to the next timer whenever there is nothing else to do.

So a test of timeouts takes no time, and sees the same instants on any machine: while code runs, the time stands still.
The loop waits for no socket and no thread, and runs the work of its executor at once.
"""

import asyncio
import math
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

__all__ = ["LeapingLoop"]

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_START_SECONDS = 86_400.0
"""The first instant; not 0, which could be confused with a duration."""

_MOST_TURNS = 200_000
"""The maximal number of turns in one instant, two seconds of them; tests need some thousands."""


class _Leaps(selectors.DefaultSelector):
    """A selector that advances the time instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _START_SECONDS
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self._turns += 1
        if self._turns > _MOST_TURNS:
            raise RuntimeError("whatever is awaited turn by turn never comes: the time stands still meanwhile")
        if not ready and timeout is None:
            raise RuntimeError("whatever is awaited never comes: nothing is ready, and no timer runs")
        if not ready and timeout:
            self.now = math.nextafter(self.now + timeout, math.inf)  # rounding must not end just before the timer
            self._turns = 0
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """A loop whose `time` is that of its timers."""

    def __init__(self) -> None:
        self._leaps = _Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (it belongs to the awaiting coroutine)
            future.set_exception(error)
        return future
