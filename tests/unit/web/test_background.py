"""Work in a thread lets the event loop have its turn soon."""

import asyncio
import sys
import threading

import pytest

from bley.web.background import TURN_SECONDS, in_background


async def test_the_work_is_done_in_another_thread() -> None:
    assert await in_background(threading.get_ident) != threading.get_ident()


async def test_turns_are_short_until_all_work_is_done() -> None:
    usual, gate = sys.getswitchinterval(), threading.Event()
    waiting = asyncio.ensure_future(in_background(gate.wait))
    assert await in_background(sys.getswitchinterval) == pytest.approx(TURN_SECONDS)
    assert sys.getswitchinterval() == pytest.approx(TURN_SECONDS)
    gate.set()
    await waiting
    assert sys.getswitchinterval() == pytest.approx(usual)


async def test_after_an_error_turns_are_as_usual() -> None:
    usual = sys.getswitchinterval()
    with pytest.raises(ValueError, match="invalid literal"):
        await in_background(int, "x")
    assert sys.getswitchinterval() == pytest.approx(usual)
