"""The command `bley top`."""

import sys
from pathlib import Path

import click

from bley.commands.options import config_option, load_settings, run
from bley.settings.file import Configuration
from bley.store.opening import open_history

__all__ = ["top"]


@click.command()
@config_option
@click.option("-n", "count", type=click.IntRange(1), help="End after so many pictures.")
@click.option(
    "-s", "seconds", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, help="So long each is shown."
)
@click.option("--once", is_flag=True, help="Print one picture and end, as where there is no terminal.")
@click.pass_obj
def top(before: Path | None, file: Path | None, count: int | None, seconds: float, once: bool) -> None:
    """Show what the running bley does, live: rates, reasons, lists, the latest decisions; q ends it."""
    configuration = load_settings(file or before)
    run(_top(configuration, seconds, count, is_live=sys.stdout.isatty() and not once))


async def _top(configuration: Configuration, seconds: float, count: int | None, *, is_live: bool) -> None:
    from bley.commands.top.display import Top

    history = open_history(configuration.settings.store)
    try:
        view = Top(history, configuration, seconds)
        await (view.show(count) if is_live else view.print_once())
    finally:
        await history.close()
