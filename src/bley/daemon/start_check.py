"""A check of all that `bley serve` needs at its start, for `bley check-config`: by the same code, and without a trace.

A fault would end `serve`; with a warning it goes on. Each part has a deadline, and all of them run at the same time.
The bley that already runs with these settings is no other program: its addresses are no fault.
"""

import asyncio
import contextlib
import os
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bley.checks.followed_names import find_unresolved
from bley.checks.lists.watch import ListWatch
from bley.core.errors import MOST_FAULTS, Fault, PrivacyKeyError, SettingsError, StoreError
from bley.daemon.dns_checks import DnsChecks
from bley.daemon.pid_file import check_pid_file
from bley.daemon.web_listener import check_web_address
from bley.dns.resolv_conf import read_system_servers
from bley.dns.uncached import DnspythonResolver
from bley.log.output import check_sink
from bley.ports import utc_now
from bley.server.occupants import Process, find_occupants, find_processes
from bley.server.postfix_access import find_barrier
from bley.server.sockets import check_address, socket_name
from bley.server.unix_socket import UnixAccess
from bley.settings.file import DEFAULT_FILES, Configuration
from bley.store.availability import outage
from bley.store.trial import try_store
from bley.web.tls import configured_certificate

__all__ = ["PartReport", "RunningBley", "StartReport", "check_parts", "check_start"]

_SECONDS = 10.0
"""The deadline of a part: more than the store's and the resolver's own limits."""

_DNS_TIME = timedelta(seconds=5)
"""The longest `check_timeout` of the queries."""

_NAMES_TIME = timedelta(seconds=9)
"""The time for the names that bley follows, less than the deadline, so that those that do not resolve are named."""


class RunningBley(NamedTuple):
    """The bley that answers at `web_listen`: its settings file, and the names of its sockets."""

    file: str
    places: tuple[str, ...]


class StartReport(NamedTuple):
    """The faults and warnings that `serve` would report at its start."""

    faults: list[Fault]
    warnings: list[str]


class PartReport(NamedTuple):
    """The faults and warnings of one part of the start."""

    name: str
    faults: list[Fault]
    warnings: list[str]


async def check_start(configuration: Configuration, running: RunningBley | None) -> StartReport:
    """Try all that `serve` opens at its start, at most for _SECONDS, and change nothing."""
    report = StartReport([], list(configuration.warnings))
    for part in await check_parts(configuration, running):
        report.faults.extend(part.faults)
        report.warnings.extend(part.warnings)
    return report


async def check_parts(configuration: Configuration, running: RunningBley | None) -> list[PartReport]:
    """Do the same, by parts, without the warnings about settings."""
    return await asyncio.gather(*(_limited(name, part) for name, part in _parts(configuration, running)))


def _parts(
    configuration: Configuration, running: RunningBley | None
) -> Iterator[tuple[str, Callable[[], Awaitable[list[str]]]]]:
    """Yield each part with its name: a coroutine that returns warnings, and raises the error that ends `serve`."""
    settings = configuration.settings
    is_own = partial(_is_own, configuration, running)
    yield "log_file", _in_thread(lambda: check_sink(settings.log_file))
    access = UnixAccess(settings.listen_mode, settings.listen_group)
    for address in settings.listen_addr:
        yield "listen_addr", _in_thread(partial(check_address, address, settings.listen_port, access, is_own))
        if address.startswith("unix:"):
            yield "listen_addr", _in_thread(partial(_check_barrier, address, access))
    yield "web_tls_cert", _in_thread(lambda: configured_certificate(configuration))
    if settings.web_place:
        yield "web_listen", _in_thread(partial(check_web_address, settings.web_place, is_own))
    if settings.pid_file:
        yield "pid_file", _in_thread(lambda: check_pid_file(settings.pid_file))
    yield "database", partial(_check_store, configuration)
    if any(settings.dns_lists.values()) or settings.use_spf or settings.check_names:
        yield "resolver", partial(_check_dns, configuration)
    if configuration.clients.followed:
        yield "names", partial(_check_followed, configuration)
    yield "files", _in_thread(lambda: _check_owners(configuration))


async def _limited(name: str, part: Callable[[], Awaitable[list[str]]]) -> PartReport:
    try:
        async with asyncio.timeout(_SECONDS):
            return PartReport(name, [], await part())
    except SettingsError as error:
        return PartReport(name, list(error.faults), [])
    except TimeoutError:
        return PartReport(name, [], [f"{name}: not checked, since that took more than {_SECONDS:g} s"])


def _in_thread(work: Callable[[], object]) -> Callable[[], Awaitable[list[str]]]:
    """Return a part that does blocking work in a daemon thread, for whose end no exit of Python waits.

    Looking up a host name, for example, may block for longer than the deadline.
    """

    async def run() -> list[str]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()

        def end(outcome: object) -> None:
            if not done.done():
                done.set_result(outcome)

        def target() -> None:
            try:
                outcome = work()
            except Exception as error:  # noqa: BLE001 (raised below)
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(end, outcome)

        threading.Thread(target=target, daemon=True).start()
        outcome = await done
        if isinstance(outcome, Exception):
            raise outcome
        return outcome if isinstance(outcome, list) else []

    return run


def _check_barrier(address: str, access: UnixAccess) -> list[str]:
    return list(filter(None, [find_barrier(address, access)]))


async def _check_store(configuration: Configuration) -> list[str]:
    try:
        await try_store(configuration.settings.store, configuration.key)
    except PrivacyKeyError as error:
        raise SettingsError([Fault("privacy_key_file", 0, str(error))]) from error
    except StoreError as error:
        return [outage(error)]
    return []


async def _check_followed(configuration: Configuration) -> list[str]:
    settings = configuration.settings
    resolver = DnspythonResolver(settings.resolver, min(settings.check_timeout, _DNS_TIME))
    found = list(await find_unresolved(configuration.clients, resolver, _NAMES_TIME))
    others = [f"{len(found) - MOST_FAULTS} more names dyn: do not resolve"] if len(found) > MOST_FAULTS + 1 else []
    return found[:MOST_FAULTS] + others if others else found


async def _check_dns(configuration: Configuration) -> list[str]:
    settings = configuration.settings
    ignored = "" if settings.resolver else read_system_servers().warning
    limited = settings.model_copy(update={"check_timeout": min(settings.check_timeout, _DNS_TIME)})
    dns = DnsChecks(limited, ListWatch(utc_now))
    try:
        faults = await asyncio.gather(dns.resolver.find_silence(), dns.resolver.find_rewriting())
    finally:
        await dns.close()
    return [warning for warning in (ignored and f"DNS: {ignored}", *faults) if warning]


def _check_owners(configuration: Configuration) -> list[str]:
    """Warn of files that root created, where the folder belongs to the user as whom bley runs.

    Root, as whom this check may run, can open them all the same.
    """
    settings = configuration.settings
    store = settings.store
    files = [store.file.with_name(store.file.name + end) for end in ("", "-wal", "-shm")]
    files = files if store.dbtype == "sqlite3" else []
    files += [configuration.key.file] if settings.privacy != "off" else []
    files += [Path(settings.log_file)] if "/" in settings.log_file else []
    return [warning for file in files if (warning := _foreign(file))]


def _foreign(file: Path) -> str:
    try:
        found, folder = file.stat(), file.absolute().parent.stat()
        if found.st_uid or not folder.st_uid or os.geteuid():
            return ""
        owner = file.absolute().parent.owner()
    except KeyError:  # a number without a name, such as that of a user of systemd that does not run
        owner = str(folder.st_uid)
    except OSError:
        return ""
    return f"{file} belongs to root, and its folder to {owner}: bley as {owner} cannot use it: chown {owner} {file}"


def _is_own(configuration: Configuration, running: RunningBley | None, place: object) -> bool:
    """Return whether the bley that runs with these settings listens at this socket."""
    file = configuration.resolved_file
    if (
        running
        and running.file == file
        and (place == configuration.settings.web_place or socket_name(place) in running.places)
    ):
        return True
    # Without root's rights, the processes of other users can be seen, but not their sockets.
    return any(_runs(process, file) for process in find_occupants(place) or find_processes())


def _runs(process: Process, file: str) -> bool:
    """Return whether this process is a bley with this settings file."""
    is_other = "bley.daemon.worker" in process.arguments or process.number == os.getpid()
    if not process.is_bley or is_other:
        return False
    if any(argument.startswith(("-c", "--config")) for argument in process.arguments):
        names = (re.sub("^(?:-c|--config=)", "", argument) for argument in process.arguments[1:])
        return any(str((process.folder / name).resolve()) == file for name in names if name)
    defaults = (process.folder / default for default in DEFAULT_FILES)
    return file == next((str(default.resolve()) for default in defaults if os.access(default, os.F_OK)), "")
