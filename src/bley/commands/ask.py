"""`bley ask`: send one policy request to the running bley."""

from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.options import config_option, load_settings, request_options
from bley.commands.policy_client import ask_at, connect, find_running
from bley.core.mail import Request
from bley.log.decision_line import printable

__all__ = ["ask"]


@click.command(
    cls=DocumentedCommand,
    examples=[
        "bley ask --client-address 192.0.2.1 --helo-name friend \\",
        "    --sender a@example.com --recipient b@example.org",
        "bley ask --at unix:/run/bley/socket --recipient b@example.org",
    ],
    statuses={1: "bley does not answer."},
)
@config_option
@click.option(
    "--at", "place", metavar="PLACE", help="Socket of bley, unix:PATH or HOST:PORT. Default: found by the settings."
)
@request_options
def ask(file: Path | None, place: str | None, request: Request) -> None:
    """Send one policy request to the running bley.

    The request goes to the first place in listen_addr that accepts it. If none does, the running bley is queried at
    web_listen for its places, for example a socket of systemd.
    """
    configuration = load_settings(file)
    peer = connect(place, configuration) if place else find_running(configuration)
    click.echo(printable(ask_at(peer, request)))
