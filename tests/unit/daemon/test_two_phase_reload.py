"""Either all workers take a reload or none does, whatever one of them does meanwhile."""

import asyncio
from typing import Any, cast

import pytest

from bley.core.errors import Fault, SettingsError
from bley.daemon import two_phase_reload
from bley.daemon.channel import Command, Commit, Discard, Done, PrepareReload, Reply
from bley.daemon.two_phase_reload import commit_reload, prepare_reload
from bley.daemon.worker_process import WorkerGoneError, WorkerProcess
from bley.settings.file import load

NEW = load()
FAULT = Fault("resolver", 0, "is wrong")


class _Worker:
    """As a WorkerProcess, with these answers; the last one stands for all that come."""

    def __init__(self, *answers: Exception | str | None) -> None:
        self._answers = list(answers)
        self.asked: list[Command] = []
        self.is_killed = False

    async def call(self, command: Command, within_seconds: float) -> Reply:
        self.asked.append(command)
        reply = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(reply, Exception):
            raise reply
        if reply == "late":
            async with asyncio.timeout(within_seconds):
                await asyncio.Event().wait()
        return Done()

    def kill(self) -> None:
        self.is_killed = True

    def __str__(self) -> str:
        return "worker 1 (pid 7)"


def _processes(*workers: _Worker) -> list[WorkerProcess]:
    return cast("list[WorkerProcess]", list(workers))


def _names(worker: _Worker) -> list[str]:
    return [type(command).__name__ for command in worker.asked]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(worker: Any, command: Command, within_seconds: float = 0.01) -> Any:
        return await original(worker, command, within_seconds)

    original = two_phase_reload._send
    monkeypatch.setattr(two_phase_reload, "_send", ask)


async def test_all_prepare_before_one_switches() -> None:
    workers = [_Worker(None), _Worker(None)]
    prepared = await prepare_reload(_processes(*workers), NEW)
    assert [worker.asked for worker in workers] == [[PrepareReload(NEW)], [PrepareReload(NEW)]]
    await commit_reload(_processes(*workers), prepared, NEW)
    assert [_names(worker) for worker in workers] == [["PrepareReload", "Commit"]] * 2


async def test_where_one_refuses_all_discard() -> None:
    """Its faults are told once, though all have them."""
    workers = [_Worker(None), _Worker(SettingsError([FAULT]), None), _Worker(SettingsError([FAULT]), None)]
    with pytest.raises(SettingsError) as caught:
        await prepare_reload(_processes(*workers), NEW)
    assert caught.value.faults == (FAULT,)
    assert [worker.asked for worker in workers] == [[PrepareReload(NEW), Discard()]] * 3


async def test_where_one_is_late_all_discard() -> None:
    """The late one too, when it comes to it."""
    workers = [_Worker(None), _Worker("late")]
    with pytest.raises(SettingsError, match=r"worker 1 \(pid 7\) has not answered"):
        await prepare_reload(_processes(*workers), NEW)
    assert [worker.asked for worker in workers] == [[PrepareReload(NEW), Discard()]] * 2
    assert not any(worker.is_killed for worker in workers)


async def test_one_that_has_ended_is_no_fault() -> None:
    """The one that replaces it with the old configuration prepares and switches; one with the new is not asked."""
    gone, alive, replacing = _Worker(WorkerGoneError("gone")), _Worker(None), _Worker(None)
    prepared = await prepare_reload(_processes(gone, alive), NEW)
    assert prepared == _processes(alive)
    await commit_reload(_processes(replacing, alive), prepared, NEW)
    assert _names(replacing) == _names(alive) == ["PrepareReload", "Commit"]


@pytest.mark.parametrize("reply", ["late", SettingsError([FAULT])])
async def test_one_that_does_not_switch_is_killed_and_so_begins_with_the_new(reply: Exception | str) -> None:
    worker, other = _Worker(None, reply), _Worker(None)
    prepared = await prepare_reload(_processes(worker, other), NEW)
    await commit_reload(_processes(worker, other), prepared, NEW)
    assert worker.is_killed
    assert not other.is_killed


async def test_one_that_ends_while_it_switches_is_no_fault() -> None:
    worker = _Worker(None, WorkerGoneError("gone"))
    await commit_reload(_processes(worker), await prepare_reload(_processes(worker), NEW), NEW)
    assert worker.asked[-1] == Commit()
    assert not worker.is_killed
