"""The daemon of one process: start, reload (SIGHUP), stop (SIGTERM, SIGINT) and the notifications to systemd."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence

from bley import __version__
from bley.daemon import systemd
from bley.daemon.change_audit import ChangeAudit
from bley.daemon.instance import Instance, restart_on_error
from bley.daemon.local_list_watch import LocalListWatch
from bley.daemon.pid_file import pid_file
from bley.daemon.private_files import log_private_files
from bley.daemon.reload import (
    handling_sighup,
    log_reload_errors,
    log_warnings,
    prepare_log,
    reload_configuration,
)
from bley.daemon.transaction import prepare
from bley.daemon.web_listener import WebListener
from bley.ports import Clock, utc_now
from bley.server.postfix_access import log_barriers
from bley.server.unix_socket import UnixAccess
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.status import StateReport

__all__ = ["Daemon"]

_log = logging.getLogger(__name__)


class Daemon:
    """A running bley of one process. `load` reads the configuration for a reload; `level` is the log level."""

    def __init__(
        self, configuration: Configuration, load: Callable[[], Configuration], level: int, clock: Clock = utc_now
    ) -> None:
        self._configuration, self._load, self._level, self._clock = configuration, load, level, clock
        self._local_lists = LocalListWatch(lambda: self._configuration.local_lists, self._reload, self._clock)
        self.places: Sequence[str] = ()
        """The names of the sockets."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; call `ready` once bley listens. Raises SettingsError if it cannot listen."""
        self._instance = Instance(self._configuration, self._clock, purges=True)
        self._web = WebListener(self, self._configuration, clock=self._clock)
        self._audit = ChangeAudit(self._configuration.settings.store, self._clock)
        serving = asyncio.create_task(self._serve(ready))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        try:
            with contextlib.suppress(asyncio.CancelledError), handling_sighup(self._reload):
                await serving
        finally:
            systemd.notify("STOPPING=1")
            await self._instance.close()
            await self._web.close()
            await self._audit.close()
        _log.info("stopped")

    async def _serve(self, ready: Callable[[], None]) -> None:
        """Serve until the task is cancelled, possibly before the store is open."""
        settings = self._configuration.settings
        await self._instance.open()
        await self._listen(settings)
        with pid_file(settings.pid_file):
            ready()
            self._audit.add_start(self._configuration)
            self._instance.start_periodic_tasks()
            systemd.notify_ready(self._status)
            await asyncio.gather(restart_on_error(systemd.feed_watchdog), restart_on_error(self._local_lists.run))

    async def _listen(self, settings: Settings) -> None:
        if sockets := systemd.passed_sockets():
            self.places = await self._instance.server.listen_at(sockets)
        else:
            access = UnixAccess(settings.listen_mode, settings.listen_group)
            self.places = await self._instance.server.listen(settings.listen_addr, settings.listen_port, access)
            log_barriers(settings.listen_addr, access)
        log_private_files(settings)
        self._web.open()
        _log.info("bley %s %s", __version__, self._status)
        log_warnings(self._configuration)

    @property
    def _status(self) -> str:
        return f"listens on {', '.join(self.places)}, store {self._configuration.settings.store}"

    @property
    def settings_file(self) -> str:
        """The absolute name of `bley.conf`."""
        return self._configuration.resolved_file

    async def is_alive(self) -> bool:
        """Return True: a process that answers is alive."""
        return True

    async def report_state(self) -> StateReport:
        """Return the current gauges of this process."""
        return self._instance.report_state()

    def read_local_lists(self) -> None:
        """Reload now if a list file of `bley allow` has changed."""
        self._local_lists.poll()

    def process_ids(self) -> Mapping[str, int]:
        """Return the id of the one process."""
        return {"main": os.getpid()}

    def _reload(self) -> None:
        """Read the settings and list files again, and switch to all of them or to none."""
        with log_reload_errors():
            new = reload_configuration(self._load, self._configuration)
            change = prepare(
                lambda: prepare_log(new, self._level),
                lambda: self._web.prepare(new),
                lambda: self._instance.prepare(new),
            )
            change.commit()
            old, self._configuration = self._configuration, new
            self._audit.add_reload(old, new)
            log_warnings(new)
            if self.places:  # else it still starts
                systemd.notify_status(self._status)
            _log.info("reloaded")
