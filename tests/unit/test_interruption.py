import asyncio
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from bley.interruption import Interruption


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_line_of_reading_is_heard_before_the_next_item(number: int) -> None:
    """Else the command would wait for input that may never come."""
    lines = 0
    while _ends_when_signalled_at(lines, number):
        lines += 1
    assert lines > 10, "three items, several lines each"


def _ends_when_signalled_at(wanted_line: int, number: int) -> bool:
    """Whether there is such a line, counted as they run."""
    signalled_after: int | None = None
    given = line = 0

    def items() -> Iterator[int]:
        nonlocal given
        for given in range(1, 4):
            assert signalled_after is None, f"waits for item {given} although it was interrupted at line {wanted_line}"
            yield given

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal line, signalled_after
        if frame.f_code is not Interruption.read.__code__:
            return None
        if event == "line":
            if line == wanted_line:
                signalled_after = given
                signal.raise_signal(number)
            line += 1
        return trace

    async def read() -> None:
        async for _item in Interruption().read(items(), waits=True):
            pass

    traced_before = sys.gettrace()
    try:
        sys.settrace(trace)
        asyncio.run(read())
    except KeyboardInterrupt:
        assert signalled_after is not None
    finally:
        sys.settrace(traced_before)
    return signalled_after is not None


def test_the_second_signal_ends_it_at_once() -> None:
    Interruption()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
