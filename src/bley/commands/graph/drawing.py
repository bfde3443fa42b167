"""From a chart to a picture. It needs matplotlib, which is imported with this module."""

from io import BytesIO
from itertools import accumulate
from operator import add
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from bley.commands.graph.charts import Chart, ticks
from bley.commands.graph.style import Style

__all__ = ["draw"]

_INCHES = 11.0, 4.4
_DPI = 200
"""The page shows an inch on 100 of its pixels, of which a fine screen has two to each side."""
_PLACE = (0.098, 0.18, 0.59, 0.71)
"""Of the axes, in shares of the picture: the same in all, so that they stand under each other, the legends beside."""

_PAPER, _INK, _FAINT = "#fcfcfa", "#222222", "#dddddd"
_RC: dict[Any, object] = {
    "svg.hashsalt": "bley",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "hatch.linewidth": 1.2,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""The same chart gives the same bytes; text of an SVG is text; a dollar sign is one."""


def draw(chart: Chart, form: str) -> bytes:
    """The whole picture, png or svg, whatever the user's own settings of matplotlib are."""
    file = BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        _figure(chart).savefig(file, format=form, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()


def _figure(chart: Chart) -> Figure:
    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor=_PAPER)
    axes = figure.add_axes(_PLACE, facecolor=_PAPER)
    axes.set_title(chart.title, loc="left", fontsize=12, fontweight="bold", color=_INK, pad=10)
    _stack(axes, chart)
    _mark_time(axes, chart)
    _mark_numbers(axes, chart)
    if chart.bands:
        _add_legend(axes, chart)
    else:
        axes.text(0.5, 0.5, chart.nothing, transform=axes.transAxes, ha="center", va="center", fontsize=12, color=_INK)
    return figure


def _stack(axes: Axes, chart: Chart) -> None:
    """Each band to its top, and those below over it: side by side they would leave seams."""
    tops = list(accumulate((band.numbers for band in chart.bands), lambda below, own: list(map(add, below, own))))
    for band, top in zip(chart.bands[::-1], tops[::-1], strict=True):
        axes.stairs(top, chart.edges, fill=True, **_filling(band.look))


def _filling(look: Style) -> dict[str, Any]:
    return {"facecolor": look.colour, "edgecolor": _PAPER, "linewidth": 0, "hatch": look.hatch or None}


def _mark_time(axes: Axes, chart: Chart) -> None:
    written, marked = ticks(chart.period, chart.edges)
    axes.set_xlim(chart.edges[0], chart.edges[-1])
    axes.set_xticks([at for at, _ in written], [text for _, text in written])
    axes.set_xticks(marked, minor=True)
    axes.tick_params(which="both", colors=_INK)
    end = f"UTC, until {chart.until:%Y-%m-%d %H:%M}"
    axes.set_xlabel(f"{end}; a step is {chart.step}, the last one is not over", color=_INK, labelpad=6)


def _mark_numbers(axes: Axes, chart: Chart) -> None:
    """From 0, in whole numbers."""
    highest = max((sum(slot) for slot in zip(*(band.numbers for band in chart.bands), strict=True)), default=0)
    axes.set_ylim(0, 1.05 * highest or 1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylabel(f"{chart.counted_as}s in {chart.step}", color=_INK)
    axes.grid(axis="y", color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _add_legend(axes: Axes, chart: Chart) -> None:
    """Beside the axes, in the order of the bands from the top down."""
    bands = chart.bands[::-1]
    axes.legend(
        [Patch(**_filling(band.look)) for band in bands],
        [chart.label(band) for band in bands],
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0,
        frameon=False,
        labelcolor=_INK,
        handlelength=1.4,
        handleheight=1.1,
    )
