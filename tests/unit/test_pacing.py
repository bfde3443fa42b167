"""Work that is done soon, together, and not too often."""

import asyncio
from itertools import pairwise

from bley.pacing import TICK_SECONDS, Pacer


async def test_what_is_wanted_in_one_turn_is_done_once_in_the_next() -> None:
    done: list[str] = []
    pacer = Pacer(lambda: done.append("done"))
    pacer.want()
    pacer.want()
    assert done == []
    await asyncio.sleep(0)
    assert done == ["done"]


async def test_it_is_not_done_twice_within_a_tick() -> None:
    loop = asyncio.get_running_loop()
    done: list[float] = []
    pacer = Pacer(lambda: done.append(loop.time()))
    begun = loop.time()
    while loop.time() < begun + 6 * TICK_SECONDS:
        pacer.want()
        await asyncio.sleep(0)
    assert 2 <= len(done) <= 7
    # The event loop's clock may be behind its timers by a millisecond.
    assert all(second - first >= TICK_SECONDS - 0.001 for first, second in pairwise(done))


async def test_what_is_wanted_while_it_is_done_is_done_again() -> None:
    done = 0

    def work() -> None:
        nonlocal done
        done += 1
        if done == 1:
            pacer.want()

    pacer = Pacer(work)
    pacer.want()
    await asyncio.sleep(3 * TICK_SECONDS)
    assert done == 2
