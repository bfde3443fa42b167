"""The schedule of the self-tests of one DNS list."""

import asyncio
import contextlib

__all__ = ["SelfTestSchedule"]

_WELL_SECONDS = 3600.0
"""The interval while the list is well. If it dies in between, its answers show that sooner."""

_ILL_SECONDS = 60.0
"""The first interval while the list is ill. It doubles with each test, up to an hour (exponential backoff)."""

_SHARED_SECONDS = 300.0
"""The longest interval while the resolver is at fault, as it may soon be well. Each test has eight queries at most."""

_DOUBT_SECONDS = 60.0
"""The minimum between two tests for a doubt: doubts may come all day."""

_NO_DNS_SECONDS = 5.0
"""The interval while the DNS is silent, so that a test has no result."""


class SelfTestSchedule:
    """The wait for the next test: until the end of an interval, a request, or a doubt."""

    def __init__(self) -> None:
        self._backoff_seconds = _ILL_SECONDS
        self._is_requested = asyncio.Event()
        self._doubt: asyncio.TimerHandle | None = None
        self._next_doubt_at = 0.0

    def request(self) -> None:
        """Request a test at once."""
        self._is_requested.set()

    def doubt(self) -> None:
        """Request a test as soon as a minute has passed since the last one for a doubt."""
        if self._doubt is None:
            loop = asyncio.get_running_loop()
            self._doubt = loop.call_at(max(loop.time(), self._next_doubt_at), self.request)

    async def wait(self, *, is_tested: bool, is_ill: bool, is_shared: bool = False) -> None:
        """Wait for the next test.

        `is_tested`: the last one had a result; `is_ill`: the list is ill; `is_shared`: by the fault of the resolver.
        """
        if not is_tested:
            await self._wait(_NO_DNS_SECONDS)
        elif is_ill:
            seconds, self._backoff_seconds = self._backoff_seconds, min(2 * self._backoff_seconds, _WELL_SECONDS)
            await self._wait(min(seconds, _SHARED_SECONDS) if is_shared else seconds)
        elif not await self._wait(_WELL_SECONDS):
            self._backoff_seconds = _ILL_SECONDS  # the list was well for the whole interval
        if self._doubt:
            self._doubt.cancel()
            self._doubt = None
            self._next_doubt_at = asyncio.get_running_loop().time() + _DOUBT_SECONDS

    async def _wait(self, seconds: float) -> bool:
        """Wait for a request, for at most so long. Return whether there is one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_requested.wait()
        is_requested = self._is_requested.is_set()
        self._is_requested.clear()
        return is_requested
