"""The daemon's life: start, reload (SIGHUP), stop (SIGTERM, SIGINT), and what it tells systemd."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from bley import __version__, systemd
from bley.checks.dnsl import AskedList
from bley.checks.gather import Checks
from bley.checks.helo import Us
from bley.checks.list_report import ListReport, report_lists
from bley.checks.list_watch import ListWatch
from bley.checks.spf import SpfChecker
from bley.config import Settings
from bley.config_file import Configuration
from bley.core.domains import load_suffixes
from bley.core.errors import Fault, SettingsError, StoreError
from bley.log_output import configure_log
from bley.ports import Clock, utc_now
from bley.predecessors.taking import open_own
from bley.resolver import CaresResolver
from bley.server import MAX_CONNECTIONS, Server
from bley.service import Service
from bley.store.batched import BatchedStore
from bley.uncached import DnspythonResolver
from bley.web import Web

__all__ = ["Daemon", "Dns"]

_PURGE_SECONDS = 1800
_NEWS_SECONDS = 20
"""How long another node, or a command, waits until it is heard here; less than a minute was promised."""
_SPARE_DESCRIPTORS = 300  # 200 patient questions, the rest for store, log and web
_NEEDS_RESTART = (
    "database",
    "listen_addr",
    "listen_port",
    "listen_mode",
    "dbtype",
    "dbhost",
    "dbport",
    "dbname",
    "dbpath",
    "dbuser",
    "dbpass",
    "dbtls",
    "dbtls_ca",
    "pid_file",
    "cache_size",
    "web_listen",
)

_log = logging.getLogger(__name__)


class Dns:
    """The checks of one configuration with the resolver and the threads that they need; `watch` knows the lists."""

    def __init__(self, settings: Settings, watch: ListWatch) -> None:
        # Less than the checks' own deadline, so that it is the resolver that says which question was not answered.
        within = settings.check_timeout * 0.9
        self.resolver = CaresResolver(settings.resolver, within)
        uncached = DnspythonResolver(settings.resolver, within)
        watch.follow((*settings.dnswls, *settings.dnsbls), uncached, self.resolver.forget)
        spf = SpfChecker(self.resolver, settings.check_timeout, best_guess=settings.use_spf_guess)
        self.checks = Checks(
            resolver=self.resolver,
            dnswls=[AskedList(dns_list, watch.lists[dns_list.zone]) for dns_list in settings.dnswls],
            dnsbls=[AskedList(dns_list, watch.lists[dns_list.zone]) for dns_list in settings.dnsbls],
            spf=spf if settings.use_spf else None,
            thresholds=settings.thresholds,
            timeout=settings.check_timeout,
            scores=settings.scores,
            us=Us(socket.gethostname(), settings.trusted_networks),
        )

    async def close(self) -> None:
        """Give up what is still being asked."""
        await self.resolver.close()


class Daemon:
    """One running bley. `load` reads the configuration again for a reload; `level` is the log's."""

    def __init__(
        self, configuration: Configuration, load: Callable[[], Configuration], level: int, clock: Clock = utc_now
    ) -> None:
        self._configuration, self._load, self._level, self._clock = configuration, load, level, clock
        self._retiring: set[asyncio.Task[None]] = set()
        self._watch = ListWatch(clock)
        self._forgotten: int | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called when bley listens.

        Raises SettingsError when it cannot listen as it is told to.
        """
        settings = self._configuration.settings
        _raise_descriptor_limit()
        load_suffixes()
        store = BatchedStore(open_own(self._configuration, self._clock()))
        self._dns = Dns(settings, self._watch)
        self._web = Web(self._report_lists, lambda: self._dns.resolver.is_silent)
        self._service = Service(self._configuration, store, self._dns.checks, self._clock, socket.gethostname())
        self._server = Server(self._service, closes_after_answer=settings.exim_workaround)
        stopping = asyncio.Event()
        self._handle_signals(stopping)
        _spare_the_collector()
        try:
            await store.open()
            await self._hear(store)
            await self._listen(settings)
            with _pid_file(settings.pid_file):
                ready()
                await self._serve(store, stopping)
        finally:
            systemd.notify("STOPPING=1")
            await self._server.stop(settings.check_timeout.total_seconds() + 1)
            await self._web.close()
            await self._service.close()
            await store.close()
            await self._watch.close()
            await self._dns.close()
            for task in self._retiring:
                task.cancel()
            await asyncio.gather(*self._retiring, return_exceptions=True)
        _log.info("stopped")

    async def _listen(self, settings: Settings) -> None:
        if sockets := systemd.passed_sockets():
            places = await self._server.listen_at(sockets)
        else:
            places = await self._server.listen(settings.listen_addr, settings.listen_port, settings.listen_mode)
        if settings.web_place:
            _log.info("metrics at http://%s/metrics", await self._web.listen(*settings.web_place))
        _log.info("bley %s listens on %s, store %s", __version__, ", ".join(places), settings.store)
        self._warn_of_notes()

    def _warn_of_notes(self) -> None:
        for note in self._configuration.notes:
            _log.warning("%s", note)

    def _report_lists(self) -> list[ListReport]:
        settings = self._configuration.settings
        return report_lists({"dnsbls": settings.dnsbls, "dnswls": settings.dnswls}, self._watch.lists)

    async def _serve(self, store: BatchedStore, stopping: asyncio.Event) -> None:
        chores = [
            asyncio.create_task(_keep_on(chore))
            for chore in (partial(self._purge, store), partial(self._listen_to, store), systemd.feed_watchdog)
        ]
        systemd.notify(f"READY=1\nMAINPID={os.getpid()}")
        await stopping.wait()
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)

    def _handle_signals(self, stopping: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        """Read settings and lists again; keep the old ones when the new are bad."""
        try:
            new = self._load()
            configure_log(new.settings.log_file, self._level)
        except SettingsError as error:
            for line in str(error).splitlines():
                _log.error("%s", line)
            _log.error("not reloaded: the old settings stay")
            return
        old, old_dns = self._configuration.settings, self._dns
        for key in _NEEDS_RESTART:
            if getattr(old, key) != getattr(new.settings, key):
                _log.warning("%s has changed: takes effect after a restart", key)
        self._configuration, self._dns = new, Dns(new.settings, self._watch)
        self._service.reconfigure(new, self._dns.checks)
        self._server.closes_after_answer = new.settings.exim_workaround
        task = asyncio.get_running_loop().create_task(_close_later(old_dns, 2 * old.check_timeout))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        self._warn_of_notes()
        _log.info("reloaded")

    async def _listen_to(self, store: BatchedStore) -> None:
        """Hear now and then what other nodes and commands have changed."""
        while True:
            await asyncio.sleep(_NEWS_SECONDS)
            self._service.age()
            await self._hear(store)

    async def _hear(self, store: BatchedStore) -> None:
        try:
            news = await store.news()
        except StoreError:
            return  # which has been logged; nothing that is remembered becomes wrong by not knowing
        self._service.finds_any = news.has_any
        if self._forgotten not in (None, news.forgotten):
            self._service.forget()
        self._forgotten = news.forgotten

    async def _purge(self, store: BatchedStore) -> None:
        """Forget old records now and then."""
        while True:
            settings, now = self._configuration.settings, self._clock()
            try:
                purged = await store.purge(now, settings.lifetimes)
            except StoreError as error:
                # That it is away has been said already.
                _log.log(logging.DEBUG if store.is_down else logging.WARNING, "store: purge: %s", error)
            else:
                level = logging.INFO if any(purged) else logging.DEBUG
                _log.log(level, "purged %d records, %d decisions, %d counts", *purged)
            await asyncio.sleep(_NEWS_SECONDS if store.is_down else _PURGE_SECONDS)


async def _keep_on(chore: Callable[[], Awaitable[None]]) -> None:
    """Do the chore, and begin anew where a bug has ended it."""
    while True:
        try:
            return await chore()
        except Exception:  # noqa: BLE001 (a bug must not end a chore for good; logged)
            _log.exception("internal error; please report it")
        await asyncio.sleep(_NEWS_SECONDS)


async def _close_later(dns: Dns, delay: timedelta) -> None:
    """Requests in flight finish with the checks they began with."""
    try:
        await asyncio.sleep(delay.total_seconds())
    finally:
        await dns.close()


def _spare_the_collector() -> None:
    """What is there at the start stays, and little of what comes later goes round in circles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def _raise_descriptor_limit() -> None:
    """Every connection needs a descriptor; the soft limit is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + _SPARE_DESCRIPTORS
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


@contextlib.contextmanager
def _pid_file(name: str) -> Iterator[None]:
    """The process id in a file, while bley runs."""
    if not name:
        yield
        return
    try:
        Path(name).write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise SettingsError([Fault("pid_file", 0, f"{name} cannot be written: {error.strerror}")]) from error
    try:
        yield
    finally:
        Path(name).unlink(missing_ok=True)
