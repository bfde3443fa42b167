"""An event loop whose time the tests move: it leaps to the next timer whenever nothing else is left to do.

So a test of waits takes no time, and sees the same instants on any machine: while code runs, the time stands still.
The loop waits for no socket and no thread; what is given to its executor is done at once.
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
"""Not 0, at which an instant could be taken for a duration."""

_MOST_TURNS = 200_000
"""In one instant: two seconds of them. Tests need some thousands."""


class _Leaps(selectors.DefaultSelector):
    """Lets the time pass at once instead of waiting."""

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
            self.now = math.nextafter(self.now + timeout, math.inf)  # never just before the timer, by rounding
            self._turns = 0
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its `time` is that of its timers."""

    def __init__(self) -> None:
        self._leaps = _Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (it is the awaiting coroutine's)
            future.set_exception(error)
        return future
