"""Exclusive access to an engine: no cancellation is lost in the library of its driver."""

import asyncio
import contextlib

import pytest

from bley.core.errors import StoreError
from bley.store.exclusive import ExclusiveEngine
from tests.unit.store.test_batched import FakeEngine


async def _goes_on(error: Exception | None) -> None:
    """Lose the cancellation, as redis-py can, then end or fail."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    if error:
        raise error


@pytest.mark.parametrize("error", [None, StoreError("gone")])
async def test_a_lost_cancellation_is_raised_after_the_work(error: Exception | None) -> None:
    engine = ExclusiveEngine(FakeEngine(), None, claims_key=False)
    task = asyncio.create_task(engine.run("purge", lambda: _goes_on(error)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_goes_on_in_a_task_that_was_cancelled_before() -> None:
    """As that of the end, which is cancelled by a signal."""

    async def end() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await ExclusiveEngine(FakeEngine(), None, claims_key=False).run("news", _answer)

    async def _answer() -> str:
        return "written"

    task = asyncio.create_task(end())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "written"
