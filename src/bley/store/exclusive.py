"""Exclusive access to an engine, which does one thing at a time, each within a time limit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bley.core.errors import StoreError
from bley.metrics import STORE_SECONDS
from bley.settings.privacy_key import PrivacyKey
from bley.store.engine import Engine
from bley.store.key_claim import bring_key, confirm_key

__all__ = ["ExclusiveEngine"]

_T = TypeVar("_T")


class ExclusiveEngine:
    """Runs work on the engine, one piece after the other.

    `key`: the key that hashes the store's addresses, unchecked if None; with `claims_key` a new store takes this key.
    """

    def __init__(self, engine: Engine, key: PrivacyKey | None, *, claims_key: bool) -> None:
        self.engine = engine
        self._key, self._claims_key = key, claims_key
        self._lock = asyncio.Lock()

    async def run(self, what: str, work: Callable[[], Awaitable[_T]], seconds: float | None = None) -> _T:
        """Return the work's result. Raises StoreError, also after `seconds`, by default the engine's time limit."""
        limit = seconds or self.engine.answer_seconds
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        async with self._lock:
            with STORE_SECONDS.labels(what).time():
                try:
                    async with asyncio.timeout(limit):
                        return await work()
                except TimeoutError as error:
                    raise self.timeout_error(limit or 0) from error
                finally:
                    # redis-py reads with a timeout of 0, whose end asyncio confuses with a cancellation.
                    if task and task.cancelling() > cancelled:
                        raise asyncio.CancelledError

    def timeout_error(self, seconds: float) -> StoreError:
        """Return the error for an answer that did not come within this time."""
        return StoreError(f"{self.engine.place}: no answer within {seconds:g} s")

    async def prepare(self, seconds: float) -> None:
        """Create or upgrade the tables within this time, if needed. Raises PrivacyKeyError, StoreError."""
        if not await self.run("prepare", self.engine.is_prepared):
            await self.run("prepare", self._bring_key)
            await self.run("prepare", self.engine.prepare, seconds)
        await self.run("prepare", self.confirm_key)

    async def confirm_key(self) -> None:
        """Check that the store has our key. Call it within `run`. Raises PrivacyKeyError, StoreError."""
        if self._key:
            await confirm_key(self.engine, self._key, claims=self._claims_key)

    async def _bring_key(self) -> None:
        if self._key and self._claims_key:
            await bring_key(self.engine, self._key)
