"""The command line."""

import logging
import os
import socket
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click
import uvloop

from bley import __version__
from bley.checks.list_watch import ListWatch
from bley.cli_options import EXIT_FAILED, EXIT_WRONG_SETTINGS, config_option, json_option, load_settings, refuse
from bley.config import Settings, show
from bley.config_file import Configuration, find_file, load
from bley.core.errors import SettingsError
from bley.core.mail import Request
from bley.core.wire import encode_request
from bley.daemon import Daemon
from bley.documents import print_document, print_steps
from bley.explain import Explanation, explain
from bley.graph_cli import graph
from bley.history_cli import stats, top, why
from bley.list_commands import ListsError, show_lists, test_lists
from bley.log_output import configure_log
from bley.ports import utc_now
from bley.serving import Dns
from bley.store_cli import export, forget, import_
from bley.supervisor import Supervisor
from bley.web_cli import web_password

__all__ = ["main"]

_pid_option = click.option("-p", "--pidfile", help="Write the process id to this file.")
_verbose_option = click.option("-v", "--verbose", is_flag=True, help="Log more.")
_debug_option = click.option("-d", "--debug", is_flag=True, help="Stay in the foreground, log everything to stdout.")


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.option("-f", "--foreground", is_flag=True, help="Stay in the foreground.")
@_pid_option
@_verbose_option
@_debug_option
@click.version_option(__version__, prog_name="bley")
@click.pass_context
def main(
    context: click.Context, file: Path | None, foreground: bool, pidfile: str | None, verbose: bool, debug: bool
) -> None:
    """bley, an intelligent greylisting daemon for Postfix and Exim.

    Without a command it serves, as bley 2 did: in the background unless -f or -d is given.
    """
    context.obj = file
    if context.invoked_subcommand is None:
        _serve(file, pidfile, verbose=verbose, debug=debug, detach=not (foreground or debug))


@main.command()
@config_option
@_pid_option
@_verbose_option
@_debug_option
@click.pass_obj
def serve(before: Path | None, file: Path | None, pidfile: str | None, verbose: bool, debug: bool) -> None:
    """Answer Postfix, in the foreground."""
    _serve(file or before, pidfile, verbose=verbose, debug=debug, detach=False)


def _request_options(command: Callable[..., None]) -> Callable[..., None]:
    """One option for each attribute of a policy request, gathered into `request`."""

    @wraps(command)
    def with_request(before: Path | None, **options: Any) -> None:
        request = Request(**{name: options.pop(name) for name in _REQUEST_OPTIONS})
        command(before, request=request, **options)

    for name, help_text in reversed(_REQUEST_OPTIONS.items()):
        default = _REQUEST_DEFAULTS.get(name, "")
        option = click.option(
            f"--{name.replace('_', '-')}", default=default, show_default=bool(default), help=help_text
        )
        with_request = option(with_request)
    return with_request


_REQUEST_OPTIONS = {
    "client_address": "The client's address.",
    "client_name": "Its verified name.",
    "helo_name": "What it said as HELO or EHLO.",
    "sender": "Envelope sender; empty is the null sender.",
    "recipient": "Envelope recipient.",
    "instance": "The message, as Postfix numbers it.",
    "queue_id": "Postfix's queue id.",
    "protocol_state": "The SMTP command.",
    "sasl_username": "Who has logged in.",
}
_REQUEST_DEFAULTS = {"client_name": "unknown", "protocol_state": "RCPT"}


@main.command()
@config_option
@click.pass_obj
@_request_options
def ask(before: Path | None, file: Path | None, request: Request) -> None:
    """Send one policy request to the running bley and show its answer."""
    click.echo(_ask(load_settings(file or before).settings, request))


@main.command("explain")
@config_option
@json_option
@click.pass_obj
@_request_options
def explain_(before: Path | None, file: Path | None, as_json: bool, request: Request) -> None:
    """Show every step of the decision about a request, without storing anything."""
    explanation = uvloop.run(_explain(load_settings(file or before), request))
    if as_json:
        print_document(explanation.document)
    else:
        print_steps(explanation.steps)


@main.command("lists")
@config_option
@click.option("--test", is_flag=True, help="Test the lists now, without the running bley.")
@json_option
@click.argument("zones", nargs=-1)
@click.pass_obj
def lists_(before: Path | None, file: Path | None, test: bool, as_json: bool, zones: tuple[str, ...]) -> None:
    """Show how the DNS lists do: all that are configured, or these ZONES."""
    configuration = load_settings(file or before)
    try:
        if test:
            is_well = test_lists(configuration.settings, zones, as_json=as_json)
        else:
            is_well = show_lists(configuration, zones, as_json=as_json)
    except ListsError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if is_well else EXIT_FAILED)


@main.command("check-config")
@config_option
@click.pass_obj
def check_config(before: Path | None, file: Path | None) -> None:
    """Show the settings in force, or every fault with its file and line."""
    configuration = load_settings(file or before)
    for note in configuration.notes:
        click.echo(note, err=True)
    click.echo(f"# {configuration.file or 'no settings file: the defaults'}")
    click.echo(show(configuration.settings), nl=False)


for _command in (why, stats, top, import_, export, forget, graph, web_password):
    main.add_command(_command)


def _serve(file: Path | None, pidfile: str | None, *, verbose: bool, debug: bool, detach: bool) -> None:
    file = file.absolute() if file else None
    overrides: dict[str, object] = {"pid_file": pidfile} if pidfile else {}
    overrides |= {"log_file": "-"} if debug else {}
    level = logging.DEBUG if debug or verbose else logging.INFO

    def load_overridden() -> Configuration:
        configuration = load(find_file(file), makes_key=True)
        if detach and configuration.settings.log_file in ("-", ""):
            # In the background there is no standard output.
            return configuration.overridden({"log_file": "syslog"} | overrides)
        return configuration.overridden(overrides)

    try:
        configuration = load_overridden()
        ready = _detach() if detach else _nothing
        configure_log(configuration.settings.log_file, level)
        if configuration.settings.workers == 1:
            uvloop.run(Daemon(configuration, load_overridden, level).run(ready))
        else:
            uvloop.run(Supervisor(configuration, load_overridden, level, is_mute=detach).run(ready))
    except SettingsError as error:
        refuse(error)


def _nothing() -> None:
    """In the foreground nobody waits to be told that bley is ready."""


def _detach() -> Callable[[], None]:
    """Go on in the background (daemon(7)); the shell's process ends when the returned function is called.

    It ends with exit status 2 when bley ends before that.
    """
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os._exit(0 if os.read(told, 1) else EXIT_WRONG_SETTINGS)
    os.setsid()
    if os.fork():
        os._exit(0)

    def ready() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.write(tell, b"+")
        os.close(tell)

    return ready


async def _explain(configuration: Configuration, request: Request) -> Explanation:
    logging.getLogger("bley").addHandler(logging.NullHandler())  # the steps say it all
    watch = ListWatch(utc_now)
    dns = Dns(configuration.settings, watch)
    try:
        return await explain(configuration, dns.checks, utc_now, request)
    finally:
        await watch.close()
        await dns.close()


def _ask(settings: Settings, request: Request) -> str:
    place = settings.listen_addr[0]
    timeout = settings.check_timeout.total_seconds() + 5
    try:
        with _connect(place, settings.listen_port, timeout) as peer:
            peer.sendall(encode_request(request))
            peer.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(partial(peer.recv, 4096), b"")).decode()
    except OSError as error:
        shown = place if place.startswith("unix:") else f"{place} port {settings.listen_port}"
        click.echo(f"no answer from {shown}: {error.strerror or error}; is bley running?", err=True)
        sys.exit(EXIT_FAILED)
    if not answer:
        click.echo("bley closed without an answer: its log says why", err=True)
        sys.exit(EXIT_FAILED)
    return answer.strip()


def _connect(place: str, port: int, timeout: float) -> socket.socket:
    if not place.startswith("unix:"):
        return socket.create_connection((place.strip("[]"), port), timeout)
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(timeout)
    peer.connect(place.removeprefix("unix:"))
    return peer
