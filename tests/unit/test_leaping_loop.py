"""The event loop with virtual time."""

import asyncio
import time
from collections.abc import Callable, Coroutine

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


async def _wait() -> None:
    await asyncio.Event().wait()


async def _wait_turn_by_turn() -> None:
    async with asyncio.timeout(1):
        while True:  # noqa: ASYNC110 (as tests do that have no event)
            await asyncio.sleep(0)


@pytest.mark.parametrize("wait", [_wait, _wait_turn_by_turn])
def test_what_never_comes_is_no_hang(wait: Callable[[], Coroutine[None, None, None]]) -> None:
    with (
        pytest.raises(RuntimeError, match="never comes"),
        asyncio.Runner(loop_factory=LeapingLoop) as runner,
    ):
        runner.run(wait())
