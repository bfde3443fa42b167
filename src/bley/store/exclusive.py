"""An engine does one thing at a time: whoever wants something of it takes a turn, which has a time limit."""

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
    """Turns at this engine, the first of which prepares it.

    Its addresses are hashed by `key` (None: that is not checked), which a new store takes if `claims_key`.
    """

    def __init__(self, engine: Engine, key: PrivacyKey | None, *, claims_key: bool) -> None:
        self.engine = engine
        self._key, self._claims_key = key, claims_key
        self._lock = asyncio.Lock()

    async def run(self, what: str, work: Callable[[], Awaitable[_T]], seconds: float | None = None) -> _T:
        """Return the work's result, for which it has `seconds`, or as long as an answer may take. Raises StoreError."""
        limit = seconds or self.engine.answer_seconds
        async with self._lock:
            with STORE_SECONDS.labels(what).time():
                try:
                    async with asyncio.timeout(limit):
                        return await work()
                except TimeoutError as error:
                    raise self.late(limit or 0) from error

    def late(self, seconds: float) -> StoreError:
        """The error of an answer that has not come within this time."""
        return StoreError(f"{self.engine.place}: no answer within {seconds:g} s")

    async def prepare(self, seconds: float) -> None:
        """Make or upgrade the tables within this time, if they are not there. Raises PrivacyKeyError, StoreError."""
        if not await self.run("prepare", self.engine.is_prepared):
            await self.run("prepare", self._bring_key)
            await self.run("prepare", self.engine.prepare, seconds)
        await self.run("prepare", self.confirm_key)

    async def confirm_key(self) -> None:
        """Check that the store has our key. Raises PrivacyKeyError, StoreError. To be called within a turn."""
        if self._key:
            await confirm_key(self.engine, self._key, claims=self._claims_key)

    async def _bring_key(self) -> None:
        if self._key and self._claims_key:
            await bring_key(self.engine, self._key)
