"""The event loop of tests whose time leaps."""

import asyncio
import time

import pytest

from tests.leaping_loop import LeapingLoop

pytestmark = pytest.mark.leaps


async def test_a_wait_takes_as_long_as_it_should_and_no_time() -> None:
    loop, real = asyncio.get_running_loop(), time.monotonic()
    begun = loop.time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await asyncio.sleep(7200)
    assert loop.time() - begun == pytest.approx(3600)
    assert time.monotonic() - real < 3600


async def test_timers_come_in_their_order() -> None:
    came: list[int] = []
    for seconds in (3, 1, 2):
        asyncio.get_running_loop().call_later(seconds, came.append, seconds)
    await asyncio.sleep(2.5)
    assert came == [1, 2]


async def test_a_thread_s_work_is_done_at_once() -> None:
    begun = asyncio.get_running_loop().time()
    assert await asyncio.to_thread(int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await asyncio.to_thread(int, "seven")
    assert asyncio.get_running_loop().time() == begun


def test_what_never_comes_is_no_hang() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with (
        pytest.raises(RuntimeError, match="whatever is awaited never comes"),
        asyncio.Runner(loop_factory=LeapingLoop) as runner,
    ):
        runner.run(wait())
