"""Charts drawn with matplotlib, an optional package that is imported with this module."""

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
"""The page shows an inch on 100 CSS pixels; a high-resolution screen has two device pixels for each."""
_AXES = (0.098, 0.18, 0.59, 0.71)
"""Left, bottom, width and height of the axes, as shares of the figure. They are equal, so that all charts align."""

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
"""With these, the same chart gives the same bytes, text in SVG stays text, and a dollar sign is no markup."""


def draw(chart: Chart, file_format: str) -> bytes:
    """Return the chart as png or svg, independent of the user's settings of matplotlib."""
    file = BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        _figure(chart).savefig(file, format=file_format, metadata={"Date": None} if file_format == "svg" else None)
    return file.getvalue()


def _figure(chart: Chart) -> Figure:
    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor=_PAPER)
    axes = figure.add_axes(_AXES, facecolor=_PAPER)
    axes.set_title(chart.title, loc="left", fontsize=12, fontweight="bold", color=_INK, pad=10)
    _stack(axes, chart)
    _mark_time(axes, chart)
    _mark_numbers(axes, chart)
    if chart.bands:
        _add_legend(axes, chart)
    else:
        axes.text(
            0.5, 0.5, chart.empty_text, transform=axes.transAxes, ha="center", va="center", fontsize=12, color=_INK
        )
    return figure


def _stack(axes: Axes, chart: Chart) -> None:
    """Draw each band from 0 to its top, the highest first: bands drawn edge to edge would leave seams."""
    tops = list(accumulate((band.numbers for band in chart.bands), lambda below, own: list(map(add, below, own))))
    for band, top in zip(chart.bands[::-1], tops[::-1], strict=True):
        axes.stairs(top, chart.edges, fill=True, **_filling(band.style))


def _filling(style: Style) -> dict[str, Any]:
    return {"facecolor": style.color, "edgecolor": _PAPER, "linewidth": 0, "hatch": style.hatch or None}


def _mark_time(axes: Axes, chart: Chart) -> None:
    major, minor = ticks(chart.period, chart.edges)
    axes.set_xlim(chart.edges[0], chart.edges[-1])
    axes.set_xticks([at for at, _ in major], [text for _, text in major])
    axes.set_xticks(minor, minor=True)
    axes.tick_params(which="both", colors=_INK)
    end = f"UTC, until {chart.until:%Y-%m-%d %H:%M}"
    axes.set_xlabel(f"{end}; each step is {chart.step}, and the last step is incomplete", color=_INK, labelpad=6)


def _mark_numbers(axes: Axes, chart: Chart) -> None:
    """Draw the number axis from 0, in whole numbers."""
    highest = max((sum(slot) for slot in zip(*(band.numbers for band in chart.bands), strict=True)), default=0)
    axes.set_ylim(0, 1.05 * highest or 1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylabel(f"{chart.counted_as}s in {chart.step}", color=_INK)
    axes.grid(axis="y", color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _add_legend(axes: Axes, chart: Chart) -> None:
    """Draw the legend to the right of the axes, in the order of the bands from top to bottom."""
    bands = chart.bands[::-1]
    axes.legend(
        [Patch(**_filling(band.style)) for band in bands],
        [chart.label(band) for band in bands],
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0,
        frameon=False,
        labelcolor=_INK,
        handlelength=1.4,
        handleheight=1.1,
    )
