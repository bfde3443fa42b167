"""The processor time of a step, during which the event loop handles no other request.

The target is 5 ms a step. Other programs that share the caches disturb a measurement, so a run with a slow step is
repeated, and the fastest run counts. The limit is a multiple of the target: the search is for costs that grow faster
than their input. On a slow or busy machine, each step may take longer by the same factor as ordinary work does.
"""

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["LONGEST_SECONDS", "Steps", "allow_more_time", "in_time", "run_in_time"]

_T = TypeVar("_T")

LONGEST_SECONDS = 4 * 0.005
_MOST_RUNS = 4

_ORDINARY_WORK = range(12_000)
_ORDINARY_SECONDS = 0.001
"""The time of ordinary work on the reference machine of the limits."""

_slowness = 1.0


class Steps:
    """A timer for the steps of one run; `longest` is the processor time of the slowest one, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0

    def time(self, step: Callable[[], _T]) -> _T:
        """Do and time one step."""
        begun = time.thread_time()
        try:
            return step()
        finally:
            self.longest = max(self.longest, time.thread_time() - begun)


def allow_more_time(factor: int) -> None:
    """Multiply the limit by this factor from now on, because the code is instrumented."""
    global _slowness
    _slowness = factor


def run_in_time(run: Callable[[Steps], _T], longest_seconds: float = LONGEST_SECONDS) -> _T:
    """Return the result of `run`, which may be called again. Raises AssertionError if a step is slow in every run."""
    fastest = float("inf")
    for _ in range(_MOST_RUNS):
        steps = Steps()
        result = run(steps)
        if steps.longest <= longest_seconds * _slowness or steps.longest <= longest_seconds * _slowness_now():
            return result
        fastest = min(fastest, steps.longest)
    raise AssertionError(f"a step takes {fastest * 1000:.1f} ms of processor time in every run")


def in_time(step: Callable[[], _T], longest_seconds: float = LONGEST_SECONDS) -> _T:
    """Do the step in the manner of `run_in_time`."""
    return run_in_time(lambda steps: steps.time(step), longest_seconds)


def _slowness_now() -> float:
    """Return the factor by which ordinary work is slower now than on the reference machine."""
    return _slowness * max(1.0, min(_ordinary_seconds() for _ in range(_MOST_RUNS)) / _ORDINARY_SECONDS)


def _ordinary_seconds() -> float:
    """Return the processor time of work that creates no garbage."""
    begun = time.thread_time()
    for number in _ORDINARY_WORK:
        str(number).partition("7")
    return time.thread_time() - begun
