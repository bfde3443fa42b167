"""A reload of several workers in two phases: all of them prepare, then all of them switch, or none does.

A worker that exits meanwhile is no fault: its replacement starts with the configuration in force, which is the old one
until all workers have prepared. In the first phase a worker that does not reply in time prevents the reload. In the
second it is killed, and its replacement starts with the new configuration.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from bley.core.errors import Fault, SettingsError
from bley.daemon.channel import Command, Commit, Discard, PrepareReload
from bley.daemon.worker_process import WorkerGoneError, WorkerProcess
from bley.settings.file import Configuration

__all__ = ["commit_reload", "prepare_reload"]

_SECONDS = 10.0
"""The deadline of each phase. A worker prepares in some 10 ms."""

_log = logging.getLogger(__name__)


async def prepare_reload(workers: Iterable[WorkerProcess], new: Configuration) -> list[WorkerProcess]:
    """Have the workers prepare this configuration. Return the workers that have prepared it.

    Raises SettingsError with all faults if one refuses or is late; then all of them discard it.
    """
    targets = list(workers)
    try:
        outcomes = await asyncio.gather(*(_send(worker, PrepareReload(new)) for worker in targets))
        if faults := [fault for outcome in outcomes for fault in outcome or ()]:
            raise SettingsError(tuple(dict.fromkeys(faults)))  # mostly the same faults from each worker
    except BaseException:
        # A late worker handles it in order, after the command that it is still executing. The reply is not awaited.
        await asyncio.gather(*(_send(worker, Discard(), within_seconds=0) for worker in targets))
        raise
    return [worker for worker, outcome in zip(targets, outcomes, strict=True) if outcome is not None]


async def commit_reload(
    workers: Iterable[WorkerProcess], prepared: Sequence[WorkerProcess], new: Configuration
) -> None:
    """Switch the workers that have prepared; a worker that started with the old configuration meanwhile does both."""
    await asyncio.gather(
        *(_switch(worker, [Commit()] if worker in prepared else [PrepareReload(new), Commit()]) for worker in workers)
    )


async def _switch(worker: WorkerProcess, commands: Sequence[Command]) -> None:
    for command in commands:
        if faults := await _send(worker, command):
            for fault in faults:
                _log.error("%s", fault)
            _log.error("%s has not reloaded: killing it", worker)
            worker.kill()
            return


async def _send(worker: WorkerProcess, command: Command, within_seconds: float = _SECONDS) -> Sequence[Fault] | None:
    """Send a command. Return the faults for which the worker refuses or is late; None if it exited."""
    try:
        await worker.call(command, within_seconds)
    except SettingsError as error:
        return error.faults
    except TimeoutError:
        return [Fault("workers", 0, f"{worker} has not answered for {within_seconds:g} s")]
    except WorkerGoneError:
        return None
    return ()
