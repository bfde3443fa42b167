"""Options that several commands have, and the functions that load their settings and run their coroutines."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from bley.core.mail import Request
from bley.settings.file import Configuration, find_file, load
from bley.settings.values import parse_duration

__all__ = [
    "DURATION",
    "WIRE_TEXT",
    "complete_files",
    "complete_folders",
    "config_option",
    "dry_run_option",
    "json_option",
    "load_settings",
    "request_options",
    "run",
    "serving_options",
]

_T = TypeVar("_T")


def _only_file(context: click.Context, _option: click.Parameter, files: tuple[Path, ...]) -> Path | None:
    """Return the file of `-c`, also of one before the command. Raises UsageError for several, which bley 2 merged."""
    given = [*([context.obj] if context.obj else []), *files]
    if len(given) > 1:
        others = ", ".join(map(str, given[1:]))
        raise click.UsageError(f"-c is given more than once: write the settings of {others} into {given[0]}")
    return given[0] if given else None


config_option = click.option(
    "-c",
    "--config",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),  # that check has no remedy
    multiple=True,
    callback=_only_file,
    help="Settings file. Default: /etc/bley/bley.conf, else ./bley.conf, else the built-in defaults.",
)


class _WireText(click.types.StringParamType):
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text; a byte that is not UTF-8 becomes `\\xNN`."""
        return os.fsencode(value).decode("utf-8", "backslashreplace")


WIRE_TEXT = _WireText()
"""The type of an argument that is encoded as in a policy request (core.wire), and so as in the store."""


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse a duration as in the settings."""
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(f"{value} {error}", param, ctx)


DURATION = _Duration()
"""The type of a duration, such as `12h`."""


def complete_files(_context: click.Context, _parameter: click.Parameter, text: str) -> list[CompletionItem]:
    """Let the shell complete the names of files, for a parameter whose value is examined later."""
    return [CompletionItem(text, type="file")]


def complete_folders(_context: click.Context, _parameter: click.Parameter, text: str) -> list[CompletionItem]:
    """Let the shell complete the names of folders, for a parameter whose value is examined later."""
    return [CompletionItem(text, type="dir")]


def serving_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `-p`, `-v` and `-d`, for `bley serve` and for `bley` without a command."""
    for option in (
        click.option(
            "-d", "--debug", is_flag=True, help="Run in the foreground, and log everything to standard output."
        ),
        click.option("-v", "--verbose", is_flag=True, help="Log debug messages."),
        click.option("-p", "--pidfile", metavar="FILE", shell_complete=complete_files, help="File for the process ID."),
    ):
        command = option(command)
    return command


dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/json.md).")


def load_settings(file: Path | None) -> Configuration:
    """Return the configuration. Raises SettingsError with every fault."""
    return load(find_file(file))


def run(work: Coroutine[Any, Any, _T], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> _T:
    """Run the coroutine and return its result; Ctrl-C ends the command with a message."""
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(work)
    except KeyboardInterrupt as error:
        raise click.ClickException("interrupted") from error


_REQUEST_OPTIONS = {
    "client_address": ("ADDRESS", "IP address of the client."),
    "client_name": ("NAME", "Host name of the client, as verified by Postfix."),
    "helo_name": ("NAME", "Argument of HELO or EHLO."),
    "sender": ("ADDRESS", "Envelope sender. Default: the null sender."),
    "recipient": ("ADDRESS", "Envelope recipient."),
    "instance": ("TEXT", "Postfix's number of the message."),
    "queue_id": ("TEXT", "Postfix's queue ID."),
    "protocol_state": ("STATE", "SMTP command."),
    "sasl_username": ("NAME", "Name of the authenticated user."),
}
_REQUEST_DEFAULTS = {"client_name": "unknown", "protocol_state": "RCPT"}


def request_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add one option for each attribute of a policy request; the command gets them as one `request`."""

    @wraps(command)
    def with_request(**options: Any) -> None:
        request = Request(**{name: options.pop(name) for name in _REQUEST_OPTIONS})
        command(request=request, **options)

    for name, (metavar, help_text) in reversed(_REQUEST_OPTIONS.items()):
        default = _REQUEST_DEFAULTS.get(name, "")
        option = click.option(
            f"--{name.replace('_', '-')}",
            type=WIRE_TEXT,
            metavar=metavar,
            default=default,
            show_default=bool(default),
            help=help_text,
        )
        with_request = option(with_request)
    return with_request
