"""The command `bley graph`, also installed as `bleygraph`, its name in bley 2."""

import asyncio
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.graph.charts import SHOWN, Chart, charts
from bley.commands.graph.page import page
from bley.commands.options import complete_folders, config_option, load_settings
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
_DEBIAN_VERSION = Path("/etc/debian_version")
_DEBIAN_PACKAGES = "/usr/lib/python3/dist-packages"


@click.command(
    cls=DocumentedCommand,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=["bley graph -d /var/www/html/bley", "bley graph --format svg --quiet"],
)
@config_option
@click.option(
    "-d",
    "--destdir",
    "folder",
    metavar="FOLDER",
    shell_complete=complete_folders,
    type=click.Path(path_type=Path),
    help=f"Folder for the files, created if missing. Default: destdir of the settings, else {_DEFAULT_FOLDER}.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show only errors.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(_FORMATS),
    default="png",
    show_default=True,
    help="File format of the charts.",
)
def graph(file: Path | None, folder: Path | None, quiet: bool, file_format: str) -> None:
    """Draw charts of outcomes, reasons and findings.

    The charts show the last 12 and 24 hours, 7, 28 and 365 days, in UTC, and index.html shows the charts. Each file is
    replaced as a whole. The command needs matplotlib: pip install 'bley[graph]'. Its name in bley 2 is bleygraph, which
    works too.
    """
    settings = load_settings(file).settings
    folder = folder or Path(settings.destdir or _DEFAULT_FOLDER)
    _require_matplotlib()
    try:
        # A period has four steps: to read it, and to draw three charts.
        with progress("drawing", total=4 * len(SHOWN), is_quiet=quiet) as advance:
            _draw_all(settings, folder, file_format, utc_now(), advance)
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror}") from error
    if not quiet:
        click.echo(escape_controls(str(folder / "index.html")))


def _require_matplotlib() -> None:
    # A virtual environment of Debian's Python, as Debian's package has one, does not contain Debian's matplotlib
    is_debian = sys.base_prefix == "/usr" and _DEBIAN_VERSION.exists()
    if is_debian:
        sys.path.append(_DEBIAN_PACKAGES)
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        remedy = "apt install python3-matplotlib" if is_debian else "pip install 'bley[graph]'"
        text = f"bley graph needs matplotlib, which is not installed: {remedy}"
        raise click.ClickException(text) from error


def _draw_all(
    settings: Settings, folder: Path, file_format: str, now: datetime, advance: Callable[[int], None]
) -> None:
    """Write the charts, then the page, so that the page never refers to a missing file."""
    from bley.commands.graph.drawing import draw

    all_slots = asyncio.run(_read_slots(settings, now, advance))
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Chart] = []
    for period in SHOWN:
        for chart in charts(period, now, all_slots[period.name]):
            replace_file(folder / f"{chart.name}.{file_format}", draw(chart, file_format))
            drawn.append(chart)
            advance(1)
    text = page(drawn, file_format, now, observes=settings.mode == "observe")
    replace_file(folder / "index.html", text.encode())


async def _read_slots(
    settings: Settings, now: datetime, advance: Callable[[int], None]
) -> Mapping[str, Sequence[Slot]]:
    """Return the slots of each period by its name."""
    history = open_history(settings.store)
    found = {}
    try:
        for period in SHOWN:
            found[period.name] = slots(period, now, await history.counts(period, now))
            advance(1)
    finally:
        await history.close()
    return found
