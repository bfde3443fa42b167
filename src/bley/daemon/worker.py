"""A worker: a process that answers requests, controlled by its supervisor (supervisor.py).

The supervisor runs `python -m bley.daemon.worker DESCRIPTOR`; the descriptor is the worker's end of a Channel.
Workers are new processes, not forks: the threads of c-ares, SQLite and uvloop do not survive a fork.
A worker stops on SIGTERM, and when the supervisor has died. SIGINT and SIGHUP, which the supervisor handles, are
blocked: Ctrl-C in a terminal reaches all processes.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys

import uvloop

from bley.core.errors import Fault, SettingsError
from bley.daemon.channel import (
    Assignment,
    Channel,
    Command,
    Commit,
    Discard,
    Done,
    HeloNames,
    PrepareReload,
    Refused,
    Reply,
    ReportState,
)
from bley.daemon.instance import Instance
from bley.daemon.reload import prepare_log
from bley.daemon.transaction import Prepared, prepare
from bley.daemon.worker_metrics import remove_metrics
from bley.log.output import configure_log
from bley.ports import utc_now
from bley.service.hidden_clients import HiddenClients
from bley.settings.file import Configuration

__all__ = ["main"]

_log = logging.getLogger(__name__)


class Worker:
    """The worker side of the channel: an instance of bley that executes the supervisor's commands."""

    def __init__(self, channel: Channel, assignment: Assignment) -> None:
        self._channel, self._level = channel, assignment.level
        self._change: Prepared | None = None
        hidden_clients = HiddenClients(lambda *names: channel.send(HeloNames(*names)))
        self._instance = Instance(assignment.configuration, utc_now, hidden_clients, purges=assignment.purges)

    async def run(self, descriptors: tuple[int, ...]) -> None:
        """Serve the sockets of these descriptors until SIGTERM, or until the supervisor dies."""
        try:
            await self._instance.open()
            executing = asyncio.create_task(self._execute_commands())
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, executing.cancel)
            await self._instance.server.listen_at(socket.socket(fileno=each) for each in descriptors)
            self._instance.start_periodic_tasks()
            self._channel.send(Done())
            with contextlib.suppress(asyncio.CancelledError):
                await executing
        finally:
            await self._instance.close()

    async def _execute_commands(self) -> None:
        while True:
            try:
                command = await self._channel.receive()
            except EOFError:
                _log.warning("the supervisor has died: stopping")
                remove_metrics()  # the open files of this process stay writable
                return
            self._channel.send(self._reply(command))

    def _reply(self, command: Command | Reply) -> Reply:
        match command:
            case PrepareReload(configuration):
                return self._prepare(configuration)
            case Commit():
                change, self._change = self._change, None
                if change:
                    change.commit()
                return Done()
            case Discard():
                self._discard()
                return Done()
            case ReportState():
                return self._instance.report_state()
        raise TypeError(f"{command!r} is not a command for a running worker")

    def _prepare(self, configuration: Configuration) -> Reply:
        self._discard()
        try:
            self._change = prepare(
                lambda: prepare_log(configuration, self._level), lambda: self._instance.prepare(configuration)
            )
        except SettingsError as error:
            return Refused(error.faults)
        except Exception:  # noqa: BLE001 (a bug in a reload must not stop the worker; logged)
            _log.exception("internal error; please report it")
            return Refused((Fault("reload", 0, "internal error in a worker; its traceback is in the log"),))
        return Done()

    def _discard(self) -> None:
        change, self._change = self._change, None
        if change:
            change.discard()


async def _work(sock: socket.socket) -> None:
    channel = await Channel.open(sock)
    try:
        assignment = await channel.receive()
        if not isinstance(assignment, Assignment):
            raise TypeError(f"{assignment!r} is not an assignment")
        configure_log(assignment.configuration.settings.log_file, assignment.level)
        await Worker(channel, assignment).run(assignment.descriptors)
    except SettingsError as error:
        channel.send(Refused(error.faults))
    except EOFError:
        return  # the supervisor died before it sent the assignment
    finally:
        await channel.close()


def main() -> None:
    """Run a worker on the channel whose descriptor is the first argument."""
    uvloop.run(_work(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
