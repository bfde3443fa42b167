"""Long commands: their progress on the terminal, and their interruption.

A signal interrupts a command between two portions of its work, so that no portion is left incomplete.
"""

import contextlib
import io
import os
import select
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

from bley.core.errors import BleyError

__all__ = ["InterruptedWorkError", "Interruption", "progress"]

_T = TypeVar("_T")
_END = object()


class InterruptedWorkError(BleyError):
    """The command was interrupted; the message says how much of its work is done."""


class Interruption:
    """Handlers of SIGINT and SIGTERM: the first signal requests the end, the second one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.is_requested = False
        self.wakeup, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        """A descriptor that becomes readable when a signal arrives."""
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_requested:
            raise KeyboardInterrupt
        self.is_requested = True

    def stop_if_requested(self, state: str) -> None:
        """Raise InterruptedWorkError after a signal; `state` says how much of the work is done."""
        if self.is_requested:
            raise InterruptedWorkError(f"interrupted: {state}")

    async def read(self, items: Iterable[_T]) -> AsyncIterator[_T]:
        """Yield the items until a signal arrives. An iterator that may block must read from `input`."""
        iterator = iter(items)
        while not self.is_requested:
            item: Any = next(iterator, _END)
            if item is _END or self.is_requested:
                return
            yield item

    def input(self, descriptor: int) -> io.BufferedReader:
        """Open a reader that reports the end of the file at a signal, even within a line."""
        return io.BufferedReader(_Input(descriptor, self))


class _Input(io.RawIOBase):
    """A reader that waits for input and for signals at the same time.

    A plain read would miss a signal that arrives just before it. Python has already checked for signals then, and the
    system call cannot be interrupted before it starts.
    """

    def __init__(self, descriptor: int, interruption: Interruption) -> None:
        self._descriptor, self._interruption = descriptor, interruption

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer, and return the number of bytes: 0 after a signal."""
        wakeup = self._interruption.wakeup
        while not self._interruption.is_requested:
            ready, _, _ = select.select([self._descriptor, wakeup], [], [])
            if wakeup not in ready:
                return os.readv(self._descriptor, [buffer])
            os.read(wakeup, 1)
        return 0


@contextlib.contextmanager
def progress(label: str, *, total: int | None = None, is_quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show the progress on standard error if that is a terminal: a bar if the total is known, else the number done.

    The yielded function takes the number of items done since its last call.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bar = () if total is None else (BarColumn(), MofNCompleteColumn())
    columns = (SpinnerColumn(), TextColumn("{task.description}"), *bar, TimeElapsedColumn())
    disable = is_quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=disable, transient=True) as shown:
        task, done = shown.add_task(label, total=total), 0

        def advance(number: int) -> None:
            nonlocal done
            done += number
            shown.update(task, completed=done, description=label if bar else f"{label}: {done:,}")

        yield advance
