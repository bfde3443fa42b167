"""How a long command is interrupted: between two portions, so that nothing is left half done."""

import io
import os
import select
import signal
from collections.abc import AsyncIterator, Iterable
from types import FrameType
from typing import Any, TypeVar

from bley.core.errors import BleyError

__all__ = ["InterruptedWorkError", "Interruption"]

_T = TypeVar("_T")
_END = object()


class InterruptedWorkError(BleyError):
    """The command was interrupted; the text says what is done and what is not."""


class Interruption:
    """Hears SIGINT and SIGTERM; the second one ends the command at once."""

    def __init__(self) -> None:
        self.is_wanted = False
        self.heard, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        """Something is to be read there when a signal has come."""
        signal.set_wakeup_fd(told)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_wanted:
            raise KeyboardInterrupt
        self.is_wanted = True

    async def read(self, items: Iterable[_T]) -> AsyncIterator[_T]:
        """The items, until they are to end. Those that may be long in coming must come from `input`."""
        iterator = iter(items)
        while not self.is_wanted:
            item: Any = next(iterator, _END)
            if item is _END or self.is_wanted:
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
        while not self._interruption.is_wanted:
            ready, _, _ = select.select([self._descriptor, heard], [], [])
            if heard not in ready:
                return os.readv(self._descriptor, [buffer])
            os.read(heard, 1)
        return 0
