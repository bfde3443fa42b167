"""The command `bley graph`, which is `bleygraph` too, as in bley 2."""

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import click

from bley.commands.ending import BleyCommand
from bley.commands.graph.charts import SHOWN, Chart, charts
from bley.commands.graph.page import page
from bley.commands.options import config_option, load_settings
from bley.commands.progress import progress
from bley.core.escapes import escape_controls
from bley.core.history.periods import Slot, slots
from bley.durable_files import replace_file
from bley.ports import utc_now
from bley.settings.settings import Settings
from bley.store.opening import open_history

__all__ = ["graph"]

_DEFAULT_FOLDER = "bley-graphs"
_FORMATS = ("png", "svg")


@click.command(cls=BleyCommand, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.option(
    "-d",
    "--destdir",
    "folder",
    type=click.Path(path_type=Path),
    help=f"The folder to write to; else destdir of the settings, or {_DEFAULT_FOLDER}. It is made if need be.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors.")
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), default="png", show_default=True, help="Of the pictures."
)
@click.pass_obj
def graph(before: Path | None, file: Path | None, folder: Path | None, quiet: bool, form: str) -> None:
    """Draw what became of mail, why it was deferred and what the checks found, and a page that shows it.

    Of the last 12 and 24 hours, 7, 28 and 365 days.
    """
    settings = load_settings(file or before).settings
    folder = folder or Path(settings.destdir or _DEFAULT_FOLDER)
    _require_matplotlib()
    try:
        # Each period is read, and has three charts.
        with progress("drawing", total=4 * len(SHOWN), is_quiet=quiet) as advance:
            _draw_all(settings, folder, form, utc_now(), advance)
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror}") from error
    if not quiet:
        click.echo(escape_controls(str(folder / "index.html")))


def _require_matplotlib() -> None:
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        what = "bley graph needs matplotlib, which is not installed: pip install 'bley[graph]'"
        raise click.ClickException(what) from error


def _draw_all(settings: Settings, folder: Path, form: str, now: datetime, advance: Callable[[int], None]) -> None:
    """The page last: it names no picture that is not there."""
    from bley.commands.graph.drawing import draw

    seen = asyncio.run(_read(settings, now, advance))
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Chart] = []
    for period in SHOWN:
        for chart in charts(period, now, seen[period.name]):
            replace_file(folder / f"{chart.name}.{form}", draw(chart, form))
            drawn.append(chart)
            advance(1)
    text = page(drawn, form, now, observes=settings.mode == "observe")
    replace_file(folder / "index.html", text.encode())


async def _read(settings: Settings, now: datetime, advance: Callable[[int], None]) -> Mapping[str, Sequence[Slot]]:
    """The slots of each period, by its name."""
    history = open_history(settings.store)
    seen = {}
    try:
        for period in SHOWN:
            seen[period.name] = slots(period, now, await history.counts(period, now))
            advance(1)
    finally:
        await history.close()
    return seen
