"""`bley serve`, and `bley` without a command: answer policy requests, in the foreground or as a daemon."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import uvloop

from bley.commands.documented import DocumentedCommand
from bley.commands.ending import EXIT_WRONG_SETTINGS
from bley.commands.options import config_option, serving_options
from bley.commands.policy_client import fetch_running
from bley.core.errors import Fault, StartError
from bley.daemon.daemon import Daemon
from bley.daemon.reload import block_sighup
from bley.daemon.supervisor import Supervisor
from bley.log.output import configure_log
from bley.settings.file import Configuration, find_file, load

__all__ = ["run_bley", "serve"]


@click.command(
    cls=DocumentedCommand,
    examples=["bley serve -c /etc/bley/bley.conf"],
    statuses={
        0: "A signal stopped bley.",
        1: "bley cannot start now, but may later: an address is in use, for example.",
        2: "The settings are invalid.",
    },
)
@config_option
@serving_options
def serve(file: Path | None, pidfile: str | None, verbose: bool, debug: bool) -> None:
    """Answer policy requests in the foreground.

    SIGTERM or SIGINT stops bley, SIGHUP reloads settings and list files. bley listens as soon as its SQLite file is
    open, and after 5 seconds at the latest. It does not wait for a database server.
    """
    run_bley(file, pidfile, verbose=verbose, debug=debug, detach=False)


def run_bley(file: Path | None, pidfile: str | None, *, verbose: bool, debug: bool, detach: bool) -> None:
    """Run bley until a signal stops it, with `detach` in the background. Raises SettingsError, and StartError."""
    block_sighup()
    file = file.absolute() if file else None
    overrides: dict[str, object] = {"pid_file": pidfile} if pidfile else {}
    overrides |= {"log_file": "-"} if debug else {}
    level = logging.DEBUG if debug or verbose else logging.INFO

    def load_overridden() -> Configuration:
        configuration = load(find_file(file))
        if detach and configuration.settings.log_file in ("-", ""):
            # A background process has no standard output.
            return configuration.overridden({"log_file": "syslog"} | overrides)
        return configuration.overridden(overrides)

    configuration = load_overridden()
    ready = _detach() if detach else _report_nothing
    configure_log(configuration.settings.log_file, level)
    try:
        if configuration.settings.workers == 1:
            uvloop.run(Daemon(configuration, load_overridden, level).run(ready))
        else:
            uvloop.run(Supervisor(configuration, load_overridden, level, is_silent=detach).run(ready))
    except StartError as error:
        raise StartError([*error.faults, *_running_bley(configuration)]) from error


def _running_bley(configuration: Configuration) -> Iterator[Fault]:
    """Yield that another bley runs: only root can see it by its socket (server/occupants.py)."""
    if running := fetch_running(configuration):
        places = ", ".join(running.places)
        text = f"another bley runs, with {running.file or 'no settings file'}, and listens on {places}"
        yield Fault(configuration.settings.web_listen, 0, text)


def _report_nothing() -> None:
    """Do nothing: in the foreground no process waits until bley is ready."""


def _detach() -> Callable[[], None]:
    """Continue in the background (daemon(7)). The shell's process exits when the returned function is called.

    If bley exits before that, the exit status of the shell's process is 2.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os._exit(0 if os.read(reader, 1) else EXIT_WRONG_SETTINGS)
    os.setsid()
    if os.fork():
        os._exit(0)

    def ready() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.write(writer, b"+")
        os.close(writer)

    return ready
