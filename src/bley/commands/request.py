"""The options that make a policy request, for `bley ask` and `bley explain`."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bley.commands.options import WIRE_TEXT
from bley.core.mail import Request

__all__ = ["request_options"]

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
