"""`bley ask`: send one policy request to the running bley."""

from pathlib import Path

import click

from bley.commands.options import config_option, load_settings, request_options
from bley.commands.policy_client import ask_at, connect, find_running
from bley.core.mail import Request
from bley.log.decision_line import printable

__all__ = ["ask"]


@click.command()
@config_option
@click.option("--at", "place", help="Where bley listens, unix:PATH or HOST:PORT. Default: found by the settings.")
@request_options
def ask(file: Path | None, place: str | None, request: Request) -> None:
    """Send one policy request to the running bley, and show its answer."""
    configuration = load_settings(file)
    peer = connect(place, configuration) if place else find_running(configuration)
    click.echo(printable(ask_at(peer, request)))
