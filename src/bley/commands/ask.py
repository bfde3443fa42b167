"""`bley ask`: send one policy request to the running bley."""

import socket
import sys
from functools import partial
from pathlib import Path

import click

from bley.commands.ending import EXIT_FAILED
from bley.commands.options import config_option, load_settings, request_options
from bley.core.endpoint import without_brackets
from bley.core.mail import Request
from bley.core.wire import encode_request
from bley.log.decision_line import printable
from bley.settings.settings import Settings

__all__ = ["ask"]


@click.command()
@config_option
@request_options
def ask(file: Path | None, request: Request) -> None:
    """Send one policy request to the running bley, and show its answer."""
    click.echo(_ask(load_settings(file).settings, request))


def _ask(settings: Settings, request: Request) -> str:
    place = settings.listen_addr[0]
    timeout = settings.check_timeout.total_seconds() + 5
    try:
        with _connect(place, settings.listen_port, timeout) as peer:
            peer.sendall(encode_request(request))
            peer.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(partial(peer.recv, 4096), b"")).decode(errors="backslashreplace")
    except OSError as error:
        shown = place if place.startswith("unix:") else f"{place} port {settings.listen_port}"
        click.echo(f"no answer from {shown}: {error.strerror or error}; is bley running?", err=True)
        sys.exit(EXIT_FAILED)
    if not answer:
        click.echo("bley closed the connection without an answer: its log has the reason", err=True)
        sys.exit(EXIT_FAILED)
    return printable(answer.strip())


def _connect(place: str, port: int, timeout: float) -> socket.socket:
    if not place.startswith("unix:"):
        return socket.create_connection((without_brackets(place), port), timeout)
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(timeout)
    peer.connect(place.removeprefix("unix:"))
    return peer
