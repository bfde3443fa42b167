import asyncio
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from bley.commands import progress as progress_module
from bley.commands.progress import Interruption


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Three lines come out of it, and then nothing for a minute."""
    ours, theirs = os.pipe()
    os.write(theirs, b"one\ntwo\nthree\n")
    at_last = threading.Timer(60, os.close, [theirs])
    at_last.start()
    yield ours, theirs
    assert at_last.is_alive(), "nothing but the end of the input has ended the wait for it"
    at_last.cancel()
    os.close(ours)
    os.close(theirs)


async def _read(interruption: Interruption, descriptor: int) -> list[bytes]:
    return [line async for line in interruption.read(interruption.input(descriptor))]


def _when_it_waits(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Act in the moment in which there is nothing to read."""
    wait: Callable[..., Any] = select.select

    def act_and_wait(*descriptors: Any) -> Any:
        if not any(wait(*descriptors, 0)):
            act()
        return wait(*descriptors)

    monkeypatch.setattr(select, "select", act_and_wait)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("line", range(25))
def test_a_signal_at_any_line_of_reading_ends_it(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int, line: int
) -> None:
    """Else the command would wait for input that may never come."""
    run = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal run
        if frame.f_code.co_filename != progress_module.__file__:
            return None
        if event == "line":
            run += 1
            if run == line:
                signal.raise_signal(number)
        return trace

    interruption = Interruption()
    if line == 0:
        signal.raise_signal(number)
    _when_it_waits(monkeypatch, lambda: signal.raise_signal(number))  # where there is no such line
    traced_before = sys.gettrace()
    sys.settrace(trace)
    try:
        asyncio.run(_read(interruption, pipe[0]))
    finally:
        sys.settrace(traced_before)
    assert interruption.is_requested


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_interrupts_no_wait_for_input_ends_it_too(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It arrived just before the wait began, or, as here, in another thread."""
    main_thread = threading.get_ident()
    other = threading.Thread(target=signal.pthread_kill, args=(main_thread, number))
    _when_it_waits(monkeypatch, other.start)
    assert asyncio.run(_read(Interruption(), pipe[0])) == [b"one\n", b"two\n", b"three\n"]
    other.join()


def test_the_second_signal_ends_the_command_at_once() -> None:
    interruption = Interruption()
    signal.raise_signal(signal.SIGTERM)
    assert interruption.is_requested
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


async def test_what_was_read_when_a_signal_came_is_not_given() -> None:
    interruption = Interruption()

    def items() -> Iterator[int]:
        yield 1
        signal.raise_signal(signal.SIGINT)
        yield 2

    assert [item async for item in interruption.read(items())] == [1]


def test_input_comes_as_it_is() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"one\ntwo\n\nlast")
    os.close(theirs)
    with Interruption().input(ours) as reading:
        assert list(reading) == [b"one\n", b"two\n", b"\n", b"last"]
    os.close(ours)
