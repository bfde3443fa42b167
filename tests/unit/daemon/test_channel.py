"""What a supervisor and a worker say to each other arrives whole and in order, or the end is heard."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bley.core.errors import Fault
from bley.daemon.channel import (
    Assignment,
    Channel,
    Command,
    Commit,
    Discard,
    Done,
    InvalidMessageError,
    PrepareReload,
    Refused,
    Reply,
    ReportState,
)
from bley.settings.file import load
from bley.status import StateReport

CONFIGURATION = load()


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Channel, Channel]]:
    first, second = socket.socketpair()
    ends = await Channel.open(first), await Channel.open(second)
    yield ends
    for end in ends:
        await end.close()


async def test_messages_arrive_in_order(ends: tuple[Channel, Channel]) -> None:
    messages: list[Command | Reply] = [
        Assignment(CONFIGURATION, 20, (3, 4), purges=True),
        PrepareReload(CONFIGURATION),
        Commit(),
        Discard(),
        ReportState(),
        Done(),
        Refused((Fault("bley.conf", 3, "is wrong"),)),
        StateReport([], True, False, 3, {"writes": 1}, {"spf": 2}, {"tasks": 4}),
    ]
    for message in messages:
        ends[0].send(message)
    assert [await ends[1].receive() for _ in messages] == messages


async def test_a_message_may_be_larger_than_what_a_socket_holds(ends: tuple[Channel, Channel]) -> None:
    large = replace(CONFIGURATION, warnings=tuple(f"note {number}" for number in range(100_000)))
    ends[0].send(PrepareReload(large))
    async with asyncio.timeout(60):
        assert await ends[1].receive() == PrepareReload(large)


async def test_the_end_is_heard_after_what_was_said_before(ends: tuple[Channel, Channel]) -> None:
    ends[0].send(Done())
    await ends[0].close()
    assert await ends[1].receive() == Done()
    with pytest.raises(EOFError):
        await ends[1].receive()


async def test_an_end_in_the_middle_of_a_message_is_an_end() -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.open(ours)
    with theirs:
        theirs.sendall((100).to_bytes(4) + b"half of it")
    with pytest.raises(EOFError):
        await channel.receive()
    await channel.close()


@pytest.mark.parametrize("garbage", [b"2026-11-29T12:00:00Z bley[7]: hello\n", (5).to_bytes(4) + b"hello", bytes(4)])
async def test_what_is_no_message_is_an_error_of_its_own(garbage: bytes) -> None:
    """A line of the log, say: its first letters would be a length of 800 MB."""
    ours, theirs = socket.socketpair()
    channel = await Channel.open(ours)
    with theirs:
        theirs.sendall(garbage)
        with pytest.raises(InvalidMessageError):
            await channel.receive()
    await channel.close()


async def test_who_has_gone_is_told_in_vain(ends: tuple[Channel, Channel]) -> None:
    await ends[1].close()
    ends[0].send(ReportState())
    with pytest.raises(EOFError):
        await ends[0].receive()
    await ends[0].close()
    ends[0].send(ReportState())
