"""Long commands: how they show their progress, and how they are interrupted.

That is between two portions, so that nothing is left half done.
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
    """The command was interrupted; the text says what is done and what is not."""


class Interruption:
    """Hears SIGINT and SIGTERM; the second one ends the command at once."""

    def __init__(self) -> None:
        self.is_requested = False
        self.heard, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        """Something is to be read there when a signal has come."""
        signal.set_wakeup_fd(told)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_requested:
            raise KeyboardInterrupt
        self.is_requested = True

    def stop_if_requested(self, what: str) -> None:
        """Raise InterruptedWorkError, which says what is done and what is not, once a signal has come."""
        if self.is_requested:
            raise InterruptedWorkError(f"interrupted: {what}")

    async def read(self, items: Iterable[_T]) -> AsyncIterator[_T]:
        """The items, until they are to end. Those that may be long in coming must come from `input`."""
        iterator = iter(items)
        while not self.is_requested:
            item: Any = next(iterator, _END)
            if item is _END or self.is_requested:
                return
            yield item

    def input(self, descriptor: int) -> io.BufferedReader:
        """What comes there; it ends, be it within a line, when a signal comes."""
        return io.BufferedReader(_Input(descriptor, self))


class _Input(io.RawIOBase):
    """Waits for input and for signals at once.

    A read of the descriptor alone would not hear a signal that comes in the moment before it: Python has looked for
    signals then, and the system does not break off a read that has not begun.
    """

    def __init__(self, descriptor: int, interruption: Interruption) -> None:
        self._descriptor, self._interruption = descriptor, interruption

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See RawIOBase."""
        heard = self._interruption.heard
        while not self._interruption.is_requested:
            ready, _, _ = select.select([self._descriptor, heard], [], [])
            if heard not in ready:
                return os.readv(self._descriptor, [buffer])
            os.read(heard, 1)
        return 0


@contextlib.contextmanager
def progress(label: str, *, total: int | None = None, is_quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """How far it is, on standard error, where that is a terminal: a bar where the total is known, else a number."""
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
