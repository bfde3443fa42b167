"""One process that answers requests: its server and service, the store, the DNS and the periodic tasks."""

import asyncio
import gc
import logging
import resource
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bley.checks.followed_names import FollowedNames
from bley.checks.lists.report import report_lists
from bley.checks.lists.watch import ListWatch
from bley.checks.spf import running_evaluations
from bley.core.errors import Fault, PrivacyKeyError, SettingsError, StoreError
from bley.core.exemptions.lookup import Origin
from bley.core.expressions import SEARCH_SECONDS
from bley.core.names.domains import load_suffixes
from bley.core.quantity import quantity
from bley.daemon.dns_checks import DnsChecks
from bley.daemon.transaction import Prepared
from bley.dns.resolv_conf import read_system_servers
from bley.log.decision_line import printable
from bley.ports import Clock
from bley.predecessors.record_converter import open_configured_engine
from bley.server.listeners import MAX_DESCRIPTORS, Server
from bley.service.hidden_clients import HiddenClients
from bley.service.service import Service
from bley.settings.file import Configuration
from bley.status import StateReport
from bley.store.batched import BatchedStore

__all__ = ["Instance"]

_STORE_TIME = timedelta(seconds=1)
"""The store's share of a request's time, between the checks and the lookup of the lists' TXT records."""

_CANCEL_SECONDS = 1.0
"""How long `close` waits for a cancelled periodic task."""

_COUNT_SECONDS = 1.0
"""How long events about DNS lists are summed up before the store gets them."""

_PURGE_SECONDS = 1800
_POLL_SECONDS = 20
"""The interval at which changes by other nodes and commands are polled; the documentation promises a minute at most."""

_log = logging.getLogger(__name__)


class Instance:
    """Everything that answers requests in one process; `purges`: this process also purges old records from the store.

    It serves the sockets of `server` between `open` and `close`, and needs a running loop.
    Raises SettingsError if the store cannot be used as configured.
    """

    def __init__(
        self, configuration: Configuration, clock: Clock, hidden_clients: HiddenClients | None = None, *, purges: bool
    ) -> None:
        load_suffixes()
        self._configuration, self._clock, self._purges = configuration, clock, purges
        settings = configuration.settings
        self._store = BatchedStore(open_configured_engine(configuration, clock()), configuration.key)
        self._list_counts = Counter[tuple[str, str]]()
        self._watch = ListWatch(clock, names_resolver=purges, count=self._count_list)
        self._dns = DnsChecks(settings, self._watch)
        self._dns.activate()
        self._followed = FollowedNames(logs=purges)
        self._followed.switch(configuration.clients, self._dns.uncached)
        self._service = Service(
            configuration, self._store, self._dns.checks, clock, socket.gethostname(), hidden_clients=hidden_clients
        )
        self.server = Server(self._service, closes_after_answer=settings.exim_workaround)
        self.server.limit_descriptors(_raise_descriptor_limit())
        self._periodic_tasks: list[asyncio.Task[None]] = []
        self._retiring: set[asyncio.Task[None]] = set()
        self._forgotten: int | None = None
        self._warned_entries: set[Origin] = set()
        _tune_garbage_collector()

    async def open(self) -> None:
        """Open the store; if it is down, keep retrying. Raises SettingsError if the store has another privacy key."""
        self._log_ignored_servers()
        try:
            await self._store.open()
        except PrivacyKeyError as error:
            raise SettingsError([Fault("privacy_key_file", 0, str(error))]) from error
        self._service.steps.has_wildcards = True  # a store that is down may have some
        await self._refresh_remote_changes()

    def _count_list(self, kind: str, name: str) -> None:
        """Count an event about a DNS list. A stranger causes two for each, so the store gets them once a second."""
        if not self._list_counts:
            asyncio.get_running_loop().call_later(_COUNT_SECONDS, self._store_list_counts)
        self._list_counts[kind, name] += 1

    def _store_list_counts(self) -> None:
        counts, self._list_counts = self._list_counts, Counter()
        for (kind, name), number in counts.items():
            self._store.add_list_count(self._clock(), kind, name, number)

    def start_periodic_tasks(self) -> None:
        """Start the periodic tasks."""
        tasks = [self._poll_remote_changes, self._purge] if self._purges else [self._poll_remote_changes]
        self._periodic_tasks = [asyncio.create_task(restart_on_error(task)) for task in tasks]

    async def close(self) -> None:
        """Stop accepting, finish the requests in flight and flush the queued writes."""
        for task in self._periodic_tasks:
            task.cancel()
        if self._periodic_tasks:  # a task that waits for the disk continues in its thread
            await asyncio.wait(self._periodic_tasks, timeout=_CANCEL_SECONDS)
        await self.server.stop(self._configuration.settings.check_timeout.total_seconds() + 1)
        await self._service.close()
        self._store_list_counts()
        await self._store.close()
        await self._followed.close()
        await self._watch.close()
        await self._dns.close()
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    def prepare(self, new: Configuration) -> Prepared:
        """Build the checks and rules of a new configuration. Requests in flight finish by the old ones.

        Raises SettingsError if they cannot be built.
        """
        dns = DnsChecks(new.settings, self._watch)
        rules = self._service.make_rules(new, dns.checks)

        def commit() -> None:
            old, old_dns = self._configuration.settings, self._dns
            self._configuration, self._dns = new, dns
            self._warned_entries.clear()
            dns.activate()
            self._followed.switch(new.clients, dns.uncached)
            self._service.switch(rules)
            self.server.closes_after_answer = new.settings.exim_workaround
            self._retire(old_dns, 2 * old.check_timeout + _STORE_TIME)
            self._log_ignored_servers()

        return Prepared(commit, lambda: self._retire(dns, timedelta(0)))

    def _retire(self, dns: DnsChecks, delay: timedelta) -> None:
        task = asyncio.get_running_loop().create_task(_close_later(dns, delay))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _log_ignored_servers(self) -> None:
        """Log the lines of resolv.conf that are ignored; only the worker that purges does so."""
        warns = self._purges and not self._configuration.settings.resolver
        if warns and (warning := read_system_servers().warning):
            _log.warning("DNS: %s", warning)

    def report_state(self) -> StateReport:
        """Return the current gauges of this process."""
        settings = self._configuration.settings
        lists = report_lists(settings.dns_lists, self._watch.lists)
        return StateReport(
            lists,
            self._dns.resolver.is_silent,
            self._store.is_down,
            self.server.open_connections,
            self._store.waiting,
            {**self._service.cache_entries, "spf": self._dns.spf.cached_results},
            {"tasks": len(asyncio.all_tasks()), "spf": running_evaluations()},
            fault.what if (fault := self._watch.news.resolver_fault) else "",
            self._service.helo_names,
        )

    async def _poll_remote_changes(self) -> None:
        """Poll for changes by other nodes and commands, forever."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            self._service.expire()
            self._log_disabled_entries()
            await self._refresh_remote_changes()

    def _log_disabled_entries(self) -> None:
        """Log each list file entry whose regular expression took too long, once until the next reload."""
        for entry in set(self._configuration.disabled_entries) - self._warned_entries:
            self._warned_entries.add(entry)
            _log.warning(
                "%s took more than %g ms: disabled until a reload; avoid repeated groups that contain repetitions",
                printable(entry),
                SEARCH_SECONDS * 1000,
            )

    async def _refresh_remote_changes(self) -> None:
        try:
            remote_changes = await self._store.remote_changes()
        except StoreError:
            return  # logged by the store; the caches stay valid
        self._service.steps.has_wildcards = remote_changes.has_any
        if remote_changes.forgotten != self._forgotten:  # changed, or unknown because the store was down at the start
            self._service.clear_caches()
        self._forgotten = remote_changes.forgotten

    async def _purge(self) -> None:
        """Purge old records from the store periodically, forever."""
        while True:
            settings, now = self._configuration.settings, self._clock()
            try:
                purged = await self._store.purge(now, settings.lifetimes)
            except StoreError as error:
                # While the store is down, its own warning is enough.
                _log.log(logging.DEBUG if self._store.is_down else logging.WARNING, "store: purge: %s", error)
            else:
                level = logging.INFO if any(purged) else logging.DEBUG
                _log.log(level, "purged %s, %s, %s", *map(quantity, purged, ("record", "decision", "count")))
            await asyncio.sleep(_POLL_SECONDS if self._store.is_down else _PURGE_SECONDS)


async def restart_on_error(task: Callable[[], Awaitable[None]]) -> None:
    """Run a periodic task; if a bug ends it, log the traceback and restart it after 20 s."""
    while True:
        try:
            return await task()
        except Exception:  # noqa: BLE001 (a bug must not end a periodic task for good; logged)
            _log.exception("internal error; please report it")
        await asyncio.sleep(_POLL_SECONDS)


async def _close_later(dns: DnsChecks, delay: timedelta) -> None:
    """Close the old resolver once the requests that use it have finished."""
    try:
        await asyncio.sleep(delay.total_seconds())
    finally:
        await dns.close()


def _tune_garbage_collector() -> None:
    """Make garbage collections rare: requests leave no cycles, and a tenth of a stranger's cost was the collector."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def _raise_descriptor_limit() -> int:
    """Raise the soft limit of file descriptors, often 1024, to MAX_DESCRIPTORS. Return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not 0 <= soft < MAX_DESCRIPTORS:  # -1 means no limit
        return MAX_DESCRIPTORS
    number = min(MAX_DESCRIPTORS, hard) if hard >= 0 else MAX_DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    return number
