"""Work that is done soon, together, and not too often."""

import asyncio

import pytest

from bley.coalescer import TICK_SECONDS, Coalescer

pytestmark = pytest.mark.leaps


async def test_what_is_wanted_in_one_turn_is_done_once_in_the_next() -> None:
    done: list[str] = []
    pacer = Coalescer(lambda: done.append("done"))
    pacer.schedule()
    pacer.schedule()
    assert done == []
    await asyncio.sleep(0)
    assert done == ["done"]


async def test_it_is_not_done_twice_within_a_tick() -> None:
    loop = asyncio.get_running_loop()
    done: list[float] = []
    pacer = Coalescer(lambda: done.append(loop.time()))
    begun = loop.time()
    for _ in range(56):
        pacer.schedule()
        await asyncio.sleep(TICK_SECONDS / 10)
    assert done == pytest.approx([begun + number * TICK_SECONDS for number in range(6)], rel=1e-9)


async def test_what_is_wanted_while_it_is_done_is_done_again() -> None:
    done = 0

    def work() -> None:
        nonlocal done
        done += 1
        if done == 1:
            pacer.schedule()

    pacer = Coalescer(work)
    pacer.schedule()
    await asyncio.sleep(3 * TICK_SECONDS)
    assert done == 2
