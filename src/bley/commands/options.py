"""What commands share: the options `-c` and `--json`, and how their work is run; ending.py says how they end."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from bley.core.mail import Request
from bley.settings.file import Configuration, find_file, load

__all__ = [
    "WIRE_TEXT",
    "config_option",
    "dry_run_option",
    "json_option",
    "load_settings",
    "request_options",
    "run",
    "serving_options",
]

_T = TypeVar("_T")

config_option = click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="Settings file; else /etc/bley/bley.conf, ./bley.conf, or the defaults.",
)


class _WireText(click.types.StringParamType):
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click; a byte that is not UTF-8 becomes `\\xNN`."""
        return os.fsencode(value).decode("utf-8", "backslashreplace")


WIRE_TEXT = _WireText()
"""An argument as it would be in a request (core.wire), and so in the store."""


def serving_options(command: Callable[..., None]) -> Callable[..., None]:
    """`-p`, `-v` and `-d`, of `bley serve` and of `bley` alone."""
    for option in (
        click.option("-d", "--debug", is_flag=True, help="Stay in the foreground, log everything to stdout."),
        click.option("-v", "--verbose", is_flag=True, help="Log more."),
        click.option("-p", "--pidfile", help="Write the process id to this file."),
    ):
        command = option(command)
    return command


dry_run_option = click.option("--dry-run", is_flag=True, help="Change nothing, only say what would be done.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, see docs/json.md.")


def load_settings(file: Path | None) -> Configuration:
    """The configuration. Raises SettingsError with every fault."""
    return load(find_file(file))


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Its result; Ctrl-C ends the command in words."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt as error:
        raise click.ClickException("interrupted") from error


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


def request_options(command: Callable[..., None]) -> Callable[..., None]:
    """One option for each attribute of a policy request, gathered into `request`."""

    @wraps(command)
    def with_request(before: Path | None, **options: Any) -> None:
        request = Request(**{name: options.pop(name) for name in _REQUEST_OPTIONS})
        command(before, request=request, **options)

    for name, help_text in reversed(_REQUEST_OPTIONS.items()):
        default = _REQUEST_DEFAULTS.get(name, "")
        option = click.option(
            f"--{name.replace('_', '-')}", type=WIRE_TEXT, default=default, show_default=bool(default), help=help_text
        )
        with_request = option(with_request)
    return with_request
