"""Plots of `make bench`: throughput by connections, and cost by records in the store.

    .venv/bin/python -m bench.plots [FILE] [FOLDER]

FILE (var/bench/performance.json) is the output of `bench.performance`; FOLDER (docs) gets performance-connections.svg
and performance-records.svg. The same file gives the same bytes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from bench.curves import BARE, IN_MEMORY, IN_STORE, STRANGERS, Point
from bench.machine import described

__all__ = ["Panel", "draw", "main", "series"]

LOOKS: dict[str, dict[str, Any]] = {
    BARE: {"color": "#666666", "marker": "s", "linestyle": "--"},
    IN_MEMORY: {"color": "#0072b2", "marker": "o"},
    IN_STORE: {"color": "#009e73", "marker": "D"},
    STRANGERS: {"color": "#d55e00", "marker": "^"},
}
"""Colors for the color-blind (Okabe and Ito), and marks for readers who see no color."""
PLAIN = StrMethodFormatter("{x:,.12g}")
INCHES = 10.0, 4.5


@dataclass(frozen=True)
class Panel:
    """The two axes, and their values for a point."""

    x_label: str
    x: Callable[[Point], float]
    y_label: str
    y: Callable[[Point], float]


RECORDS = "records", attrgetter("records")
PLOTS = {
    "connections": (
        "How throughput grows with connections",
        [Panel("connections", attrgetter("connections"), "requests a second", attrgetter("rate"))],
    ),
    "records": (
        "How the cost grows with the records in the store (SQLite, 50 connections)",
        [
            Panel(*RECORDS, "microseconds a request", lambda point: 1e6 / point.rate),
            Panel(*RECORDS, "99th percentile, milliseconds", lambda point: point.p99 / 1e3),
        ],
    ),
}
"""Title and panels of each list of points."""


def series(points: Iterable[Point], panel: Panel) -> dict[str, tuple[list[float], list[float]]]:
    """Return the curve of each work: its x, ascending, and its y."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for point in sorted(points, key=panel.x):
        xs, ys = curves.setdefault(point.work, ([], []))
        xs.append(panel.x(point))
        ys.append(panel.y(point))
    return curves


def draw(measured: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """Draw each list of points that was measured; yield the files as they are written."""
    for name, (title, panels) in PLOTS.items():
        if points := [Point(**each) for each in measured.get(name, [])]:
            file = folder / f"performance-{name}.svg"
            with mpl.rc_context({"svg.hashsalt": "bley", "svg.fonttype": "none"}):
                _figure(title, panels, points, described(measured)).savefig(file, metadata={"Date": None})
            yield file


def _figure(title: str, panels: list[Panel], points: list[Point], caption: str) -> Figure:
    figure = Figure(figsize=INCHES, layout="constrained")
    figure.suptitle(title)
    figure.supxlabel(caption, fontsize="x-small", color="#444444")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _fill(axes, panel, points)
    return figure


def _fill(axes: Axes, panel: Panel, points: list[Point]) -> None:
    """Set two logarithmic axes with plain numbers: each measured x, and 1, 2, 5, 10 … on y."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for work, (xs, ys) in series(points, panel).items():
        axes.plot(xs, ys, label=work, **LOOKS[work])
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.set_xticks(sorted({panel.x(point) for point in points}))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(PLAIN)
    axes.yaxis.set_major_formatter(PLAIN)
    axes.grid(color="#dddddd")
    axes.legend(fontsize="small")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("var/bench/performance.json"))
@click.argument("folder", type=click.Path(path_type=Path), default=Path("docs"))
def main(file: Path, folder: Path) -> None:
    """Draw the plots without measuring."""
    for plot in draw(json.loads(file.read_text()), folder):
        click.echo(plot)


if __name__ == "__main__":
    main()
