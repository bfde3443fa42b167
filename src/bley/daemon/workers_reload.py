"""A reload of several workers in two phases: all of them prepare it, then all of them switch, or none does.

A worker that ends meanwhile is no fault: the one that replaces it begins with the configuration in force, which is
the old one until all have prepared. One that does not answer in time prevents the reload in the first phase. In the
second it is killed, and so replaced by one that begins with the new configuration.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from bley.core.errors import Fault, SettingsError
from bley.daemon.channel import Commit, Discard, Question, Reload
from bley.daemon.worker_process import WorkerGoneError, WorkerProcess
from bley.settings.file import Configuration

__all__ = ["prepare_workers", "switch_workers"]

_SECONDS = 10.0
"""For each phase. To prepare takes a worker some 10 ms."""

_log = logging.getLogger(__name__)


async def prepare_workers(workers: Iterable[WorkerProcess], new: Configuration) -> list[WorkerProcess]:
    """Have the workers prepare this configuration; those that have done so.

    Raises SettingsError with all faults when one refuses, or is late; then all of them go on as before.
    """
    asked = list(workers)
    try:
        outcomes = await asyncio.gather(*(_ask(worker, Reload(new)) for worker in asked))
        if faults := [fault for outcome in outcomes for fault in outcome or ()]:
            raise SettingsError(tuple(dict.fromkeys(faults)))  # which are mostly the same ones
    except BaseException:
        # In order behind the question that a late one has not answered yet; nobody waits for the answer.
        await asyncio.gather(*(_ask(worker, Discard(), within_seconds=0) for worker in asked))
        raise
    return [worker for worker, outcome in zip(asked, outcomes, strict=True) if outcome is not None]


async def switch_workers(
    workers: Iterable[WorkerProcess], prepared: Sequence[WorkerProcess], new: Configuration
) -> None:
    """Have those that have prepared it switch; those that began with the old configuration meanwhile do both."""
    await asyncio.gather(
        *(_switch(worker, [Commit()] if worker in prepared else [Reload(new), Commit()]) for worker in workers)
    )


async def _switch(worker: WorkerProcess, questions: Sequence[Question]) -> None:
    for question in questions:
        if faults := await _ask(worker, question):
            for fault in faults:
                _log.error("%s", fault)
            _log.error("%s is killed: it has not reloaded", worker)
            worker.kill()
            return


async def _ask(worker: WorkerProcess, question: Question, within_seconds: float = _SECONDS) -> Sequence[Fault] | None:
    """The faults for which it does not do so; None: it has ended."""
    try:
        await worker.ask(question, within_seconds)
    except SettingsError as error:
        return error.faults
    except TimeoutError:
        return [Fault("workers", 0, f"{worker} has not answered for {within_seconds:g} s")]
    except WorkerGoneError:
        return None
    return ()
