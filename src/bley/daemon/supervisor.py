"""The supervisor: with `workers` above 1, the process that was started runs workers (worker.py), which answer.

It opens the sockets, starts the workers and replaces those that die. For all of them it does what the daemon does for
its one process: signals, reload, pid file, systemd, `web_listen`.
"""

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bley import __version__
from bley.core.errors import Fault, SettingsError, StartError
from bley.daemon import systemd
from bley.daemon.change_audit import ChangeAudit
from bley.daemon.channel import Assignment, HeloNames, ReportState
from bley.daemon.instance import restart_on_error
from bley.daemon.local_list_watch import LocalListWatch
from bley.daemon.pid_file import pid_file
from bley.daemon.private_files import log_private_files
from bley.daemon.reload import (
    handling_sighup,
    log_faults,
    log_reload_errors,
    log_warnings,
    prepare_log,
    reload_configuration,
)
from bley.daemon.transaction import prepare
from bley.daemon.two_phase_reload import commit_reload, prepare_reload
from bley.daemon.web_listener import WebListener
from bley.daemon.worker_metrics import WorkerMetrics
from bley.daemon.worker_process import RestartBackoff, WorkerGoneError, WorkerProcess, describe_exit
from bley.ports import steady_now, utc_now
from bley.server.postfix_access import log_barriers
from bley.server.sockets import WorkerSockets
from bley.server.unix_socket import UnixAccess
from bley.service.hidden_clients import HiddenClients
from bley.settings.file import Configuration
from bley.status import StateReport, merged

__all__ = ["Supervisor"]

_REPORT_SECONDS = 2.0
"""The deadline of a state report: shorter than the timeouts of `bley lists` and Prometheus."""
_START_SECONDS = 30.0
"""The time to start, during which a silent worker is not considered hung; opening the store takes up to 5 s of it."""
_STOP_SECONDS = 20.0
"""The time to flush and close the store, after the requests in flight were answered."""

_log = logging.getLogger(__name__)


class Supervisor:
    """A running bley of several workers; parameters as Daemon's. `is_silent`: the workers have no standard output."""

    def __init__(
        self, configuration: Configuration, load: Callable[[], Configuration], level: int, *, is_silent: bool
    ) -> None:
        self._configuration, self._load, self._level = configuration, load, level
        self._is_silent = is_silent
        self._workers: dict[int, WorkerProcess] = {}
        self._hidden_clients = HiddenClients()
        self._reload_requested = asyncio.Event()
        self._local_lists = LocalListWatch(lambda: self._configuration.local_lists, self._reload_requested.set, utc_now)

    async def run(self, ready: Callable[[], None]) -> None:
        """Supervise until SIGTERM or SIGINT; call `ready` once all workers listen.

        Raises SettingsError if they cannot listen or start.
        """
        settings = self._configuration.settings
        access, passed = UnixAccess(settings.listen_mode, settings.listen_group), systemd.passed_sockets()
        self._sockets = WorkerSockets(settings.listen_addr, settings.listen_port, access, passed)
        log_barriers(() if passed else settings.listen_addr, access)
        log_private_files(settings)
        with tempfile.TemporaryDirectory(prefix="bley-", ignore_cleanup_errors=True) as folder:
            self._metrics = WorkerMetrics(Path(folder))
            self._web = WebListener(self, self._configuration, self._metrics)
            self._audit = ChangeAudit(settings.store, utc_now)
            supervising = asyncio.create_task(self._supervise(ready))
            self._handle_signals(supervising)
            try:
                with contextlib.suppress(asyncio.CancelledError), handling_sighup(self._reload_requested.set):
                    await supervising
            finally:
                systemd.notify("STOPPING=1")
                self._sockets.close()
                await self._stop_workers(settings.check_timeout.total_seconds() + _STOP_SECONDS)
                await self._web.close()
                await self._audit.close()
        _log.info("stopped")

    def _handle_signals(self, supervising: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervising.cancel)

    async def _supervise(self, ready: Callable[[], None]) -> None:
        settings = self._configuration.settings
        await self._start_all()
        self._web.open()
        _log.info("bley %s %s", __version__, self._status)
        log_warnings(self._configuration)
        with pid_file(settings.pid_file):
            ready()
            self._audit.add_start(self._configuration)
            systemd.notify_ready(self._status)
            await asyncio.gather(
                *(self._keep_replacing(worker) for worker in list(self._workers.values())),
                restart_on_error(self._watch_workers),
                restart_on_error(self._reload_on_signal),
                restart_on_error(self._local_lists.run),
            )

    async def _start_all(self) -> None:
        """Start all workers and wait until they listen. Raises SettingsError, and StartError if a process fails."""
        try:
            workers = [self._start(number) for number in range(1, self._configuration.settings.workers + 1)]
            await asyncio.gather(*(worker.ready for worker in workers))
        except (OSError, WorkerGoneError) as error:
            raise StartError([Fault("workers", 0, f"a worker cannot be started: {error}")]) from error

    def _start(self, number: int) -> WorkerProcess:
        """Start a worker. Raises OSError."""
        sockets = tuple(sock.fileno() for sock in self._sockets.of(number))
        assignment = Assignment(self._configuration, self._level, sockets, purges=number == 1)
        environment = self._metrics.environment(number)
        worker = self._workers[number] = WorkerProcess(
            number, assignment, environment, self._take_helo_names, is_silent=self._is_silent
        )
        return worker

    def _take_helo_names(self, names: HeloNames) -> None:
        for each in names.helo_names:
            self._hidden_clients.observe(names.address, each, steady_now())

    async def _keep_replacing(self, worker: WorkerProcess) -> None:
        """Replace this worker when it dies, and each of its replacements in turn."""
        backoff = RestartBackoff()
        while True:
            await asyncio.wait([worker.ended])
            self._metrics.remove_gauges(worker.number)
            delay = backoff.delay_after(worker.uptime_seconds)
            when = f"in {delay:g} s" if delay else "now"
            _log.warning("%s %s: restarting %s", worker, describe_exit(worker.ended.result()), when)
            worker = await self._replacement(worker.number, delay, backoff)
            try:
                await worker.ready
            except SettingsError as error:
                log_faults(error)
            except WorkerGoneError:
                continue  # logged above
            else:
                _log.info("%s is ready", worker)

    async def _replacement(self, number: int, delay: float, backoff: RestartBackoff) -> WorkerProcess:
        while True:
            if delay:
                self._sockets.release(number)
                await asyncio.sleep(delay)
            try:
                return self._start(number)
            except OSError as error:
                delay = backoff.delay_after(0)
                _log.error("worker %d cannot be started: %s", number, error)

    async def _watch_workers(self) -> None:
        """Feed systemd's watchdog while at least one worker answers, and kill workers that do not."""
        quarter = systemd.watchdog_period().total_seconds() / 4
        while quarter:
            targets = [
                worker
                for worker in self._workers.values()
                if worker.ready.done() or worker.uptime_seconds > _START_SECONDS
            ]
            answers = await asyncio.gather(*(self._is_responsive(worker, quarter) for worker in targets))
            if any(answers):
                systemd.notify("WATCHDOG=1")
            await asyncio.sleep(quarter)

    async def _is_responsive(self, worker: WorkerProcess, within_seconds: float) -> bool:
        try:
            await worker.call(ReportState(), within_seconds)
        except TimeoutError:
            _log.error("%s has not answered for %g s: killing it", worker, within_seconds)
            worker.kill()
            return False
        except WorkerGoneError:
            return False
        return True

    @property
    def _status(self) -> str:
        settings = self._configuration.settings
        return f"listens on {', '.join(self.places)}, store {settings.store}, {settings.workers} workers"

    @property
    def settings_file(self) -> str:
        """The absolute name of `bley.conf`."""
        return self._configuration.resolved_file

    @property
    def places(self) -> Sequence[str]:
        """The names of the sockets."""
        return self._sockets.places

    async def is_alive(self) -> bool:
        """Return whether a worker answers, as soon as the first one does."""
        reports = [asyncio.create_task(self._report_of(worker)) for worker in self._workers.values()]
        try:
            for answered in asyncio.as_completed(reports):
                if await answered:
                    return True
        finally:
            for each in reports:
                each.cancel()
        return False

    def read_local_lists(self) -> None:
        """Reload now if a list file of `bley allow` has changed."""
        self._local_lists.poll()

    def process_ids(self) -> Mapping[str, int]:
        """Return the process ids of the supervisor (`main`) and of the workers, by their numbers."""
        return {"main": os.getpid()} | {str(number): worker.process_id for number, worker in self._workers.items()}

    async def report_state(self) -> StateReport | None:
        """Return the merged gauges of all workers that answer; None if none does."""
        answers = await asyncio.gather(*map(self._report_of, self._workers.values()))
        if not (reports := [answer for answer in answers if answer]):
            return None
        report = merged(reports)
        for each in report.lists:
            each["answers"] = self._metrics.list_answers(each["name"])  # includes workers that died
        return report

    async def _report_of(self, worker: WorkerProcess) -> StateReport | None:
        try:
            answer = await worker.call(ReportState(), _REPORT_SECONDS)
        except (TimeoutError, WorkerGoneError):
            return None
        return answer if isinstance(answer, StateReport) else None

    async def _reload_on_signal(self) -> None:
        """Reload at each SIGHUP, one reload at a time; signals during a reload cause one more."""
        while True:
            await self._reload_requested.wait()
            self._reload_requested.clear()
            with log_reload_errors():
                await self._reload()

    async def _reload(self) -> None:
        """Read the settings and list files again, and switch all workers to them or none. Raises SettingsError."""
        new = reload_configuration(self._load, self._configuration)
        change = prepare(lambda: prepare_log(new, self._level), lambda: self._web.prepare(new))
        try:
            prepared = await prepare_reload(self._workers.values(), new)
        except BaseException:
            change.discard()
            raise
        change.commit()
        old, self._configuration = self._configuration, new  # workers that start from now on use the new one
        await commit_reload(self._workers.values(), prepared, new)
        self._audit.add_reload(old, new)
        log_warnings(new)
        systemd.notify_status(self._status)
        _log.info("reloaded")

    async def _stop_workers(self, within_seconds: float) -> None:
        if not self._workers:
            return
        for worker in self._workers.values():
            worker.stop()
        _, late = await asyncio.wait([worker.ended for worker in self._workers.values()], timeout=within_seconds)
        for worker in self._workers.values():
            if worker.ended in late:
                _log.error("%s has not stopped within %g s: killing it", worker, within_seconds)
                worker.kill()
        if late:
            await asyncio.wait(late)
