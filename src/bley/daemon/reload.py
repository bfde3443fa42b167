"""Parts of a reload that the daemon and the supervisor share: the signal, the new configuration, the log of faults."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

from bley.core.errors import SettingsError
from bley.daemon import systemd
from bley.daemon.transaction import Prepared
from bley.log.output import open_sink, use_sink
from bley.settings.file import Configuration
from bley.settings.settings import Settings

__all__ = [
    "block_sighup",
    "handling_sighup",
    "log_faults",
    "log_reload_errors",
    "log_warnings",
    "prepare_log",
    "reload_configuration",
]

_NEEDS_RESTART = (
    "database",
    "listen_addr",
    "listen_port",
    "listen_mode",
    "listen_group",
    "dbtype",
    "dbhost",
    "dbport",
    "dbname",
    "dbpath",
    "dbuser",
    "dbpass",
    "dbtls",
    "dbtls_ca",
    "privacy",
    "privacy_key_file",
    "pid_file",
    "cache_size",
    "web_listen",
    "web_tls_cert",
    "web_tls_key",
    "workers",
)

_log = logging.getLogger(__name__)


def reload_configuration(load: Callable[[], Configuration], old: Configuration) -> Configuration:
    """Read the configuration again and return it. Raises SettingsError if it is invalid.

    A changed setting that needs a restart keeps its old value and is logged: a worker that is replaced must not open
    another store than the other workers.
    """
    new = load()
    changed = {
        key: value
        for key in Settings.model_fields
        if (value := getattr(new.settings, key)) != getattr(old.settings, key)
    }
    for key in _NEEDS_RESTART:
        if key in changed:
            _log.warning("%s has changed: takes effect after a restart", key)
            del changed[key]
    if new.privacy_key != old.privacy_key and new.settings.privacy == old.settings.privacy == "keyed-hash":
        _log.warning("%s has another key, or is missing: the old key stays until a restart", new.key.file)
    settings = old.settings.model_copy(update=changed)
    return replace(new, settings=settings, privacy_key=old.privacy_key, has_saved_key=old.has_saved_key)


@contextlib.contextmanager
def handling_sighup(work: Callable[[], object]) -> Iterator[None]:
    """Have the loop call `work` at each SIGHUP during the block, and ignore the signal afterwards.

    The default action of SIGHUP ends the process, and it is in force for a moment between `remove_signal_handler` and
    SIG_IGN. So this uses `signal.signal` rather than the loop's handlers.
    """
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(work))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def block_sighup() -> None:
    """Block SIGHUP until `handling_sighup` unblocks it; a pending signal is delivered then.

    Its default action would end the process, which systemd considers a clean exit and does not restart.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])


@contextlib.contextmanager
def log_reload_errors() -> Iterator[None]:
    """Log any error of a reload in the block, and notify systemd; the old settings stay in force."""
    try:
        yield
    except SettingsError as error:
        log_faults(error)
    except Exception:  # noqa: BLE001 (a bug must not end what works; logged)
        _log.exception("internal error; please report it")
    else:
        return
    _log.error("not reloaded: the old settings stay")
    systemd.notify_status("not reloaded, so the old settings stay: see the log")


def prepare_log(configuration: Configuration, level: int) -> Prepared:
    """Open the log of a new configuration. Raises SettingsError if it cannot be opened."""
    sink = open_sink(configuration.settings.log_file)
    return Prepared(lambda: use_sink(sink, level), sink.close)


def log_faults(error: SettingsError) -> None:
    """Log each fault on a line of its own."""
    for line in str(error).splitlines():
        _log.error("%s", line)


def log_warnings(configuration: Configuration) -> None:
    """Log the warnings about the settings."""
    for warning in configuration.warnings:
        _log.warning("%s", warning)
