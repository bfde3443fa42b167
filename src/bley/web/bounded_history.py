"""Queries to the store with a time limit: no reader waits forever, and a connection that hangs is replaced."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bley.core.errors import StoreError
from bley.store.history import History

__all__ = ["BoundedHistory"]

_CLOSE_SECONDS = 2.0

_V = TypeVar("_V")


class BoundedHistory:
    """A History with a limit of `seconds` for each query; `place` names the store in errors.

    `open_history` opens the connection at the first query, and a new one after a query that took too long.
    """

    def __init__(self, place: str, open_history: Callable[[], History], seconds: float) -> None:
        self._place, self._open, self._seconds = place, open_history, seconds
        self._history: History | None = None
        self._running: set[asyncio.Future[object]] = set()
        self._closing: set[asyncio.Future[None]] = set()
        self._is_closed = False

    async def query(self, run: Callable[[History], Awaitable[_V]]) -> _V:
        """Return the result of `run`. Raises StoreError, also after the time limit and when this object is closed.

        If the caller is cancelled, so is the query; the caller does not wait until the store has noticed.
        """
        if self._is_closed:
            raise StoreError(f"{self._place}: bley is stopping")
        history = self._history = self._history or self._open()
        result: asyncio.Future[_V] = asyncio.ensure_future(run(history))
        self._track(result)
        try:
            await asyncio.wait({result}, timeout=self._seconds)
        except asyncio.CancelledError:
            result.cancel()
            raise
        if not result.done():
            result.cancel()
            self._reconnect(history)
            raise StoreError(f"{self._place}: no answer within {self._seconds:g} s")
        if result.cancelled():
            raise StoreError(f"{self._place}: bley is stopping")
        return result.result()

    def _track(self, result: "asyncio.Future[_V]") -> None:
        self._running.add(result)  # type: ignore[arg-type] # the type of the result does not matter here
        result.add_done_callback(self._running.discard)
        result.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _reconnect(self, history: History) -> None:
        """Drop this connection, unless another one hangs while it is closed: they must not accumulate."""
        if self._history is history and not self._closing:
            self._history = None
            closing = asyncio.ensure_future(history.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Cancel all queries and close the connection, waiting at most two seconds for it."""
        self._is_closed = True
        for result in list(self._running):
            result.cancel()
        if self._history:
            self._closing.add(asyncio.ensure_future(self._history.close()))
        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSE_SECONDS)
