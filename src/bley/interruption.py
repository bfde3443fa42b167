"""How a long command is interrupted: between two portions, so that nothing is left half done."""

import signal
from collections.abc import AsyncIterator, Iterable
from types import FrameType
from typing import TypeVar

from bley.core.errors import BleyError

__all__ = ["InterruptedWorkError", "Interruption"]

_T = TypeVar("_T")


class InterruptedWorkError(BleyError):
    """The command was interrupted; the text says what is done and what is not."""


class Interruption:
    """Hears SIGINT and SIGTERM. The second one, and one while input is waited for, ends the command at once."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._is_reading = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_wanted or self._is_reading:
            raise KeyboardInterrupt
        self.is_wanted = True

    async def read(self, items: Iterable[_T], *, waits: bool) -> AsyncIterator[_T]:
        """The items, until they are to end; `waits`: each may be long in coming."""
        iterator = iter(items)
        while True:
            self._is_reading = waits  # before the look at is_wanted: a signal between the two must not be lost
            try:
                if self.is_wanted:
                    return
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._is_reading = False
            yield item
