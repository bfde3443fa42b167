"""Answers of the store that are bounded in time and shared: no reader waits for ever, and one that hangs is dropped."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bley.core.errors import StoreError
from bley.store.history import History

__all__ = ["BoundedHistory", "SingleFlightCache"]

_KEPT_SECONDS = 1.0
"""Many who look at the same cost as much as one."""

_CLOSE_SECONDS = 2.0

_K = TypeVar("_K")
_V = TypeVar("_V")


class BoundedHistory:
    """A History, opened by `open_history` when it is first asked, and anew after an answer that took too long.

    `place` is what people call the store; an answer may take so many seconds.
    """

    def __init__(self, place: str, open_history: Callable[[], History], seconds: float) -> None:
        self._place, self._open, self._seconds = place, open_history, seconds
        self._history: History | None = None
        self._asking: set[asyncio.Future[object]] = set()
        self._closing: set[asyncio.Future[None]] = set()
        self._is_closed = False

    async def ask(self, question: Callable[[History], Awaitable[_V]]) -> _V:
        """The answer. Raises StoreError, also where there is none in time, and when this is closed meanwhile.

        A reader that is cancelled takes the question along, but does not wait until the store has noticed.
        """
        if self._is_closed:
            raise StoreError(f"{self._place}: bley is stopping")
        history = self._history = self._history or self._open()
        answer: asyncio.Future[_V] = asyncio.ensure_future(question(history))
        self._keep(answer)
        try:
            await asyncio.wait({answer}, timeout=self._seconds)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if not answer.done():
            answer.cancel()
            self._renew(history)
            raise StoreError(f"{self._place}: no answer within {self._seconds:g} s")
        if answer.cancelled():
            raise StoreError(f"{self._place}: bley is stopping")
        return answer.result()

    def _keep(self, answer: "asyncio.Future[_V]") -> None:
        self._asking.add(answer)  # type: ignore[arg-type] # what it answers is of no interest here
        answer.add_done_callback(self._asking.discard)
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _renew(self, history: History) -> None:
        """Open another one for the next question, unless one that hangs is still being closed: they must not add up."""
        if self._history is history and not self._closing:
            self._history = None
            closing = asyncio.ensure_future(history.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End all questions and let go of the store, for which nobody waits long."""
        self._is_closed = True
        for answer in list(self._asking):
            answer.cancel()
        if self._history:
            self._closing.add(asyncio.ensure_future(self._history.close()))
        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSE_SECONDS)


class SingleFlightCache(Generic[_K, _V]):
    """Answers by `ask` that are kept for a moment: a question that is asked meanwhile gets the same.

    One that nobody waits for any more is cancelled, and is not kept.
    """

    def __init__(self, ask: Callable[[_K], Awaitable[_V]]) -> None:
        self._ask = ask
        self._answers: dict[_K, _Answer[_V]] = {}

    async def get(self, key: _K) -> _V:
        """The answer, which is at most so old."""
        now = asyncio.get_running_loop().time()
        answer = self._answers.get(key)
        if answer is None or (answer.future.done() and now - answer.begun > _KEPT_SECONDS):
            answer = self._answers[key] = _Answer(now, asyncio.ensure_future(self._ask(key)))
        answer.readers += 1
        try:
            return await asyncio.shield(answer.future)
        finally:
            answer.readers -= 1
            if not answer.readers and not answer.future.done():
                answer.future.cancel()
                if self._answers.get(key) is answer:
                    del self._answers[key]


class _Answer(Generic[_V]):
    def __init__(self, begun: float, future: "asyncio.Future[_V]") -> None:
        self.begun, self.future, self.readers = begun, future, 0
