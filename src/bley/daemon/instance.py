"""What answers requests in one process: service and server, with the store, the DNS and the chores that they need."""

import asyncio
import gc
import logging
import resource
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bley.checks.dnsl import ConfiguredList
from bley.checks.gather import Checks
from bley.checks.helo import OwnIdentity
from bley.checks.lists.report import report_lists
from bley.checks.lists.watch import ListWatch
from bley.checks.spf import SpfChecker, running_evaluations
from bley.core.errors import Fault, PrivacyKeyError, SettingsError, StoreError
from bley.core.exemptions import Origin
from bley.core.expressions import SEARCH_SECONDS
from bley.core.names.domains import load_suffixes
from bley.core.quantity import quantity
from bley.daemon.transaction import Prepared
from bley.dns.resolv_conf import read_system_servers
from bley.dns.resolver import CaresResolver
from bley.dns.uncached import DnspythonResolver
from bley.log.decision_line import printable
from bley.ports import Clock
from bley.predecessors.record_converter import open_own
from bley.server.listeners import MAX_DESCRIPTORS, Server
from bley.service.service import Service
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.status import StateReport
from bley.store.batched import BatchedStore

__all__ = ["Dns", "Instance"]

_STORE_TIME = timedelta(seconds=1)
"""What the store may take of a request, between its checks and the lists' own words."""

_CHORE_SECONDS = 1.0
"""For a chore to end that was cancelled."""

_PURGE_SECONDS = 1800
_NEWS_SECONDS = 20
"""How long another node, or a command, waits until it is heard here; less than a minute was promised."""

_log = logging.getLogger(__name__)


class Dns:
    """The checks of one configuration with the resolver that they need; `watch` knows the lists.

    Until `follow` nothing is changed by it. Raises SettingsError when the resolver cannot be.
    """

    def __init__(self, settings: Settings, watch: ListWatch) -> None:
        # Less than the checks' own deadline, so that it is the resolver that says which question was not answered.
        within = settings.check_timeout * 0.9
        self.resolver = CaresResolver(settings.resolver, within)
        self._uncached = DnspythonResolver(settings.resolver, within)
        self._watch, self._lists = watch, watch.prepare((*settings.dnswls, *settings.dnsbls))
        self.spf = SpfChecker(self.resolver, settings.check_timeout, best_guess=settings.use_spf_guess)
        self.checks = Checks(
            resolver=self.resolver,
            dnswls=[ConfiguredList(dns_list, self._lists[dns_list.zone]) for dns_list in settings.dnswls],
            dnsbls=[ConfiguredList(dns_list, self._lists[dns_list.zone]) for dns_list in settings.dnsbls],
            spf=self.spf if settings.use_spf else None,
            thresholds=settings.thresholds,
            timeout=settings.check_timeout,
            scores=settings.scores,
            us=OwnIdentity(socket.gethostname(), settings.trusted_networks),
        )

    def follow(self) -> None:
        """Watch the lists of this configuration from now on, and no others."""
        self._watch.switch(self._lists, self._uncached, self.resolver.forget, self.resolver.suspect)

    async def close(self) -> None:
        """Give up what is still being asked."""
        await self.resolver.close()


class Instance:
    """Answers at the sockets of `server` from `open` to `close`; `purges`: it also forgets old records in the store.

    Needs a running loop. Raises SettingsError when there can be no such store.
    """

    def __init__(self, configuration: Configuration, clock: Clock, *, purges: bool) -> None:
        load_suffixes()
        self._configuration, self._clock, self._purges = configuration, clock, purges
        settings = configuration.settings
        self._store = BatchedStore(open_own(configuration, clock()), configuration.key)
        self._watch = ListWatch(clock)
        self._dns = Dns(settings, self._watch)
        self._dns.follow()
        self._service = Service(configuration, self._store, self._dns.checks, clock, socket.gethostname())
        self.server = Server(self._service, closes_after_answer=settings.exim_workaround)
        self.server.limit_descriptors(_raise_descriptor_limit())
        self._chores: list[asyncio.Task[None]] = []
        self._retiring: set[asyncio.Task[None]] = set()
        self._forgotten: int | None = None
        self._warned_entries: set[Origin] = set()
        _spare_the_collector()

    async def open(self) -> None:
        """Open the store, or begin to try. Raises SettingsError when it has another privacy key."""
        self._warn_of_system_servers()
        try:
            await self._store.open()
        except PrivacyKeyError as error:
            raise SettingsError([Fault("privacy_key_file", 0, str(error))]) from error
        await self._refresh_remote_changes()

    def begin_chores(self) -> None:
        """Do from now on what is to be done now and then."""
        chores = [self._listen_to_others, self._purge] if self._purges else [self._listen_to_others]
        self._chores = [asyncio.create_task(keep_on(chore)) for chore in chores]

    async def close(self) -> None:
        """Stop accepting, finish what is in flight, write what is to be written."""
        for chore in self._chores:
            chore.cancel()
        if self._chores:  # one that waits for the disk goes on in its thread
            await asyncio.wait(self._chores, timeout=_CHORE_SECONDS)
        await self.server.stop(self._configuration.settings.check_timeout.total_seconds() + 1)
        await self._service.close()
        await self._store.close()
        await self._watch.close()
        await self._dns.close()
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    def prepare(self, new: Configuration) -> Prepared:
        """Build what answers by these settings and lists; what is in flight then finishes by those it began with.

        Raises SettingsError when it cannot be built.
        """
        dns = Dns(new.settings, self._watch)
        rules = self._service.rules_of(new, dns.checks)

        def commit() -> None:
            old, old_dns = self._configuration.settings, self._dns
            self._configuration, self._dns = new, dns
            self._warned_entries.clear()
            dns.follow()
            self._service.switch(rules)
            self.server.closes_after_answer = new.settings.exim_workaround
            self._retire(old_dns, 2 * old.check_timeout + _STORE_TIME)
            self._warn_of_system_servers()

        return Prepared(commit, lambda: self._retire(dns, timedelta(0)))

    def _retire(self, dns: Dns, delay: timedelta) -> None:
        task = asyncio.get_running_loop().create_task(_close_later(dns, delay))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _warn_of_system_servers(self) -> None:
        """Name the lines of resolv.conf that are ignored; of several workers, one does so."""
        warns = self._purges and not self._configuration.settings.resolver
        if warns and (warning := read_system_servers().warning):
            _log.warning("DNS: %s", warning)

    def report_state(self) -> StateReport:
        """How all does now."""
        settings = self._configuration.settings
        lists = report_lists({"dnsbls": settings.dnsbls, "dnswls": settings.dnswls}, self._watch.lists)
        return StateReport(
            lists,
            self._dns.resolver.is_silent,
            self._store.is_down,
            self.server.open_connections,
            self._store.waiting,
            {**self._service.cache_entries, "spf": self._dns.spf.kept},
            {"tasks": len(asyncio.all_tasks()), "spf": running_evaluations()},
        )

    async def _listen_to_others(self) -> None:
        """Hear now and then what other nodes and commands have changed."""
        while True:
            await asyncio.sleep(_NEWS_SECONDS)
            self._service.age()
            self._warn_of_entries_put_aside()
            await self._refresh_remote_changes()

    def _warn_of_entries_put_aside(self) -> None:
        """Name each entry of a list file whose expression took too long, once."""
        for entry in set(self._configuration.entries_put_aside) - self._warned_entries:
            self._warned_entries.add(entry)
            _log.warning(
                "%s took more than %g ms: it matches nothing until a reload; repeat no group that has repetitions",
                printable(entry),
                SEARCH_SECONDS * 1000,
            )

    async def _refresh_remote_changes(self) -> None:
        try:
            remote_changes = await self._store.remote_changes()
        except StoreError:
            return  # which has been logged; nothing that is remembered becomes wrong by not knowing
        self._service.finds_any = remote_changes.has_any
        if remote_changes.forgotten != self._forgotten:  # or what it was is not known: the store was away at the start
            self._service.forget()
        self._forgotten = remote_changes.forgotten

    async def _purge(self) -> None:
        """Forget old records now and then."""
        while True:
            settings, now = self._configuration.settings, self._clock()
            try:
                purged = await self._store.purge(now, settings.lifetimes)
            except StoreError as error:
                # That it is away has been said already.
                _log.log(logging.DEBUG if self._store.is_down else logging.WARNING, "store: purge: %s", error)
            else:
                level = logging.INFO if any(purged) else logging.DEBUG
                _log.log(level, "purged %s, %s, %s", *map(quantity, purged, ("record", "decision", "count")))
            await asyncio.sleep(_NEWS_SECONDS if self._store.is_down else _PURGE_SECONDS)


async def keep_on(chore: Callable[[], Awaitable[None]]) -> None:
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


def _raise_descriptor_limit() -> int:
    """Every connection needs a descriptor; the soft limit is often 1024. How many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not 0 <= soft < MAX_DESCRIPTORS:  # -1 is without a limit
        return MAX_DESCRIPTORS
    number = min(MAX_DESCRIPTORS, hard) if hard >= 0 else MAX_DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    return number
