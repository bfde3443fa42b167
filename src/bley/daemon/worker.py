"""A worker: a process that answers requests as its supervisor (supervisor.py) tells it to.

Run by `python -m bley.worker DESCRIPTOR`, which is one end of a Channel. It stops on SIGTERM, and when the supervisor
has gone; SIGINT and SIGHUP are the supervisor's business and were blocked by it.
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
    Answer,
    Assignment,
    Channel,
    Commit,
    Discard,
    Done,
    Question,
    Refused,
    Reload,
    ReportState,
)
from bley.daemon.instance import Instance
from bley.daemon.reload import prepare_log
from bley.daemon.transaction import Prepared, prepare
from bley.daemon.worker_metrics import remove_counts
from bley.log.output import configure_log
from bley.ports import utc_now
from bley.settings.file import Configuration

__all__ = ["main"]

_log = logging.getLogger(__name__)


class Worker:
    """Works by an assignment that came through the channel."""

    def __init__(self, channel: Channel, assignment: Assignment) -> None:
        self._channel, self._level = channel, assignment.level
        self._change: Prepared | None = None
        self._serving = Instance(assignment.configuration, utc_now, purges=assignment.purges)

    async def run(self, descriptors: tuple[int, ...]) -> None:
        """Answer at these sockets until it is to stop."""
        try:
            await self._serving.open()
            obeying = asyncio.create_task(self._obey())
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, obeying.cancel)
            await self._serving.server.listen_at(socket.socket(fileno=each) for each in descriptors)
            self._serving.begin_chores()
            self._channel.send(Done())
            with contextlib.suppress(asyncio.CancelledError):
                await obeying
        finally:
            await self._serving.close()

    async def _obey(self) -> None:
        while True:
            try:
                question = await self._channel.receive()
            except EOFError:
                _log.warning("the supervisor has gone: stopping")
                remove_counts()  # which are written all the same
                return
            self._channel.send(self._answer(question))

    def _answer(self, question: Question | Answer) -> Answer:
        match question:
            case Reload(configuration):
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
                return self._serving.report_state()
        raise TypeError(f"{question!r} is no question to a worker at work")

    def _prepare(self, configuration: Configuration) -> Answer:
        self._discard()
        try:
            self._change = prepare(
                lambda: prepare_log(configuration, self._level), lambda: self._serving.prepare(configuration)
            )
        except SettingsError as error:
            return Refused(error.faults)
        except Exception:  # noqa: BLE001 (a bug must not end what works; logged)
            _log.exception("internal error; please report it")
            return Refused((Fault("reload", 0, "a worker cannot prepare it, as its log says"),))
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
            raise TypeError(f"{assignment!r} is no assignment")
        configure_log(assignment.configuration.settings.log_file, assignment.level)
        await Worker(channel, assignment).run(assignment.descriptors)
    except SettingsError as error:
        channel.send(Refused(error.faults))
    except EOFError:
        return  # the supervisor has gone before it had work
    finally:
        await channel.close()


def main() -> None:
    """Work until the supervisor says that it is enough, or has gone."""
    uvloop.run(_work(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
