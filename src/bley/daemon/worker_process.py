"""The supervisor's handle of a worker process: start, requests, stop, and the backoff before it is replaced."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from bley.core.errors import BleyError, SettingsError
from bley.daemon import systemd
from bley.daemon.channel import Answer, Assignment, Channel, GarbledError, Question, Refused

__all__ = ["RestartBackoff", "WorkerGoneError", "WorkerProcess", "in_words"]

_LONG_LIFE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 30.0
_REAP_SECONDS = 10.0
"""The time between the end of the channel and the exit of the process, before it is killed."""

_log = logging.getLogger(__name__)


class WorkerGoneError(BleyError):
    """The worker exited before it answered."""


class RestartBackoff:
    """The delay before a worker is replaced: none at first, doubled while workers die within 30 s of a start."""

    def __init__(self) -> None:
        self._pause = 0.0

    def pause_after(self, lived_seconds: float) -> float:
        """Return the seconds until a worker that lived this long is replaced: 0, 1, 2, 4, and so on up to 30."""
        if lived_seconds >= _LONG_LIFE_SECONDS:
            self._pause = 0.0
        pause, self._pause = self._pause, min(max(2 * self._pause, 1.0), _LONGEST_PAUSE_SECONDS)
        return pause


class WorkerProcess:
    """A worker process, started by the constructor. `number` counts from 1, and a replacement has the same number.

    `is_mute`: it has no standard output. Needs a running loop. Raises OSError if it cannot be started.
    """

    def __init__(
        self, number: int, assignment: Assignment, environment: Mapping[str, str], *, is_mute: bool = False
    ) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _start(theirs.fileno(), assignment.descriptors, environment, is_mute=is_mute)
            except OSError:
                ours.close()
                raise
        self.number, self._begun = number, loop.time()
        self._channel = loop.create_task(Channel.open(ours))
        self._questions: deque[asyncio.Future[Answer]] = deque()
        """The requests that are not answered yet, in order."""
        self.ended = loop.create_task(self._listen())
        """Done when the process has exited; the result is its exit status, or minus the number of a signal."""
        self.ready = loop.create_task(self.ask(assignment))
        """Done when the worker listens; its errors are those of `ask`."""

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self._process.pid})"

    @property
    def process_id(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def lived_seconds(self) -> float:
        """The seconds since its start."""
        return asyncio.get_running_loop().time() - self._begun

    async def ask(self, question: Question, within_seconds: float | None = None) -> Answer:
        """Send a request and return the answer.

        Raises SettingsError if the worker refuses, TimeoutError, and WorkerGoneError if the process exits first.
        """
        if self.ended.done():
            raise WorkerGoneError(f"{self} has ended")
        channel = await asyncio.shield(self._channel)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._questions.append(answered)
        channel.send(question)
        async with asyncio.timeout(within_seconds):
            answer = await answered
        if isinstance(answer, Refused):
            raise SettingsError(answer.faults)
        return answer

    def stop(self) -> None:
        """Send SIGTERM: the worker finishes the requests in flight, then exits."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    async def _listen(self) -> int:
        channel = await self._channel
        try:
            while True:
                answer = await channel.receive()
                answered = self._questions.popleft()
                if not answered.done():  # done if it timed out
                    answered.set_result(answer)  # type: ignore[arg-type] # a worker only answers
        except EOFError:
            pass
        except (GarbledError, IndexError) as error:  # IndexError: an answer without a request
            _log.error("%s sent an invalid answer (%s): killing it", self, error)
            self.kill()
        await channel.close()
        status = await asyncio.to_thread(self._reap)
        for answered in self._questions:
            if not answered.done():
                answered.set_exception(WorkerGoneError(f"{self} {in_words(status)}"))
        return status

    def _reap(self) -> int:
        try:
            return self._process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _start(
    channel: int, passed: Sequence[int], environment: Mapping[str, str], *, is_mute: bool
) -> subprocess.Popen[bytes]:
    """Start a worker that inherits these descriptors; SIGINT and SIGHUP are blocked in it."""
    output = subprocess.DEVNULL if is_mute else None
    with _blocked(signal.SIGINT, signal.SIGHUP):
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "bley.daemon.worker", str(channel)],
            env={key: value for key, value in os.environ.items() if key not in systemd.VARIABLES} | dict(environment),
            pass_fds=(channel, *passed),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def in_words(status: int) -> str:
    """Describe an exit status."""
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"


@contextlib.contextmanager
def _blocked(*signals: signal.Signals) -> Iterator[None]:
    """Block these signals during the block; processes that it starts inherit the mask, which survives exec.

    Signals to this process stay pending meanwhile.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
