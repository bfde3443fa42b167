"""The command `bley top` and its options."""

import sys
from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.options import config_option, load_settings, run
from bley.settings.file import Configuration
from bley.store.opening import open_history

__all__ = ["top"]


@click.command(cls=DocumentedCommand, examples=["bley top", "bley top --once"])
@config_option
@click.option("-n", "count", metavar="COUNT", type=click.IntRange(1), help="Number of frames; without it until q.")
@click.option(
    "-s",
    "seconds",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Time between two frames, in seconds.",
)
@click.option("--once", is_flag=True, help="Print one frame and exit, as without a terminal.")
def top(file: Path | None, count: int | None, seconds: float, once: bool) -> None:
    """Show the running bley live.

    Each frame has the rates, the counts of the last 15 minutes, the reasons, the DNS lists, the store and the latest
    decisions. The key q exits. The data come from web_listen and from the store; a part that is unavailable shows its
    error. Without a terminal one frame is printed.
    """
    configuration = load_settings(file)
    run(_top(configuration, seconds, count, is_live=sys.stdout.isatty() and not once))


async def _top(configuration: Configuration, seconds: float, count: int | None, *, is_live: bool) -> None:
    from bley.commands.top.display import Display

    history = open_history(configuration.settings.store)
    try:
        display = Display(history, configuration, seconds)
        await (display.show(count) if is_live else display.print_once())
    finally:
        await history.close()
