"""The supervisor's handle of a worker process: start, commands, stop, and the backoff before it is replaced."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from bley.core.errors import BleyError, SettingsError
from bley.daemon import systemd
from bley.daemon.channel import Assignment, Channel, Command, HeloNames, InvalidMessageError, Refused, Reply

__all__ = ["RestartBackoff", "WorkerGoneError", "WorkerProcess", "describe_exit"]

_STABLE_SECONDS = 30.0
_MAX_DELAY_SECONDS = 30.0
_REAP_SECONDS = 10.0
"""The time between the end of the channel and the exit of the process, before it is killed."""

_log = logging.getLogger(__name__)


class WorkerGoneError(BleyError):
    """The worker exited before it answered."""


class RestartBackoff:
    """The delay before a worker is replaced: none at first, doubled while workers die within 30 s of a start."""

    def __init__(self) -> None:
        self._delay = 0.0

    def delay_after(self, uptime_seconds: float) -> float:
        """Return the seconds until a worker that lived this long is replaced: 0, 1, 2, 4, and so on up to 30."""
        if uptime_seconds >= _STABLE_SECONDS:
            self._delay = 0.0
        delay, self._delay = self._delay, min(max(2 * self._delay, 1.0), _MAX_DELAY_SECONDS)
        return delay


class WorkerProcess:
    """A worker process, started by the constructor. `number` counts from 1, and a replacement has the same number.

    `take_helo_names` is called with each HeloNames. `is_silent`: it has no standard output.
    Needs a running loop. Raises OSError if it cannot be started.
    """

    def __init__(
        self,
        number: int,
        assignment: Assignment,
        environment: Mapping[str, str],
        take_helo_names: Callable[[HeloNames], None],
        *,
        is_silent: bool = False,
    ) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _start(theirs.fileno(), assignment.descriptors, environment, is_silent=is_silent)
            except OSError:
                ours.close()
                raise
        self.number, self._started, self._take_helo_names = number, loop.time(), take_helo_names
        self._channel = loop.create_task(Channel.open(ours))
        self._pending: deque[asyncio.Future[Reply]] = deque()
        """The commands without a reply yet, in order."""
        self.ended = loop.create_task(self._listen())
        """Done when the process has exited; the result is its exit status, or minus the number of a signal."""
        self.ready = loop.create_task(self.call(assignment))
        """Done when the worker listens; its errors are those of `call`."""

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self._process.pid})"

    @property
    def process_id(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def uptime_seconds(self) -> float:
        """The seconds since its start."""
        return asyncio.get_running_loop().time() - self._started

    async def call(self, command: Command, within_seconds: float | None = None) -> Reply:
        """Send a command and return the reply.

        Raises SettingsError if the worker refuses, TimeoutError, and WorkerGoneError if the process exits first.
        """
        if self.ended.done():
            raise WorkerGoneError(f"{self} has ended")
        channel = await asyncio.shield(self._channel)
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending.append(answered)
        channel.send(command)
        async with asyncio.timeout(within_seconds):
            reply = await answered
        if isinstance(reply, Refused):
            raise SettingsError(reply.faults)
        return reply

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
                reply = await channel.receive()
                if isinstance(reply, HeloNames):
                    self._take_helo_names(reply)
                    continue
                answered = self._pending.popleft()
                if not answered.done():  # done if it timed out
                    answered.set_result(reply)  # type: ignore[arg-type] # a worker only replies
        except EOFError:
            pass
        except (InvalidMessageError, IndexError) as error:  # IndexError: a reply without a command
            _log.error("%s sent an invalid reply (%s): killing it", self, error)
            self.kill()
        await channel.close()
        status = await asyncio.to_thread(self._reap)
        for answered in self._pending:
            if not answered.done():
                answered.set_exception(WorkerGoneError(f"{self} {describe_exit(status)}"))
        return status

    def _reap(self) -> int:
        try:
            return self._process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _start(
    channel: int, passed: Sequence[int], environment: Mapping[str, str], *, is_silent: bool
) -> subprocess.Popen[bytes]:
    """Start a worker that inherits these descriptors; SIGINT and SIGHUP are blocked in it."""
    output = subprocess.DEVNULL if is_silent else None
    with _blocked(signal.SIGINT, signal.SIGHUP):
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "bley.daemon.worker", str(channel)],
            env={key: value for key, value in os.environ.items() if key not in systemd.VARIABLES} | dict(environment),
            pass_fds=(channel, *passed),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def describe_exit(status: int) -> str:
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
