"""Geometry of stacked bar charts, which the templates draw as SVG.

Horizontal values are in percent, so that the bars fill the available width without a script. Vertical values are in
pixels, so that text and lines stay sharp. No chart library works under a policy that forbids inline styles.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from bley.core.history.periods import Period

__all__ = [
    "HEIGHT",
    "Bar",
    "BarData",
    "Chart",
    "Label",
    "LabelData",
    "Mark",
    "MarkData",
    "Segment",
    "Tick",
    "stacked_bars",
    "time_labels",
]

HEIGHT = 200
"""Pixels from the base line to the top of the highest tick."""

_GAP = 0.22
"""Share of a slot's width that stays empty. More than _MAX_BARS_WITH_GAPS bars touch: gaps would flicker."""
_MAX_BARS_WITH_GAPS = 120

_BY_DAY = timedelta(days=8)
_BY_WEEK = timedelta(days=91)
"""The longest periods whose days, or Mondays, have labels; those of longer ones are months."""

_MAX_STEPS = 5
_STEPS = [1, 2, 5, *(factor * 10**power for power in range(18) for factor in (10, 20, 25, 50))]


class Segment(NamedTuple):
    """One series' part of a bar; `y` is its upper edge."""

    series: str
    y: int
    height: int


class Bar(NamedTuple):
    """One bar: `x` and `width` in percent of the chart; `title` is its tooltip."""

    x: float
    width: float
    title: str
    segments: Sequence[Segment]
    link: str


class Tick(NamedTuple):
    """A horizontal grid line and its value."""

    y: float
    value: int


class Label(NamedTuple):
    """A text under the base line. Narrow windows hide minor labels."""

    x: float
    text: str
    is_minor: bool
    at: datetime | None = None
    """The instant of a time of day."""


class LabelData(NamedTuple):
    """The data of a label; position 1.5 is the middle of the second bar. `at`: the instant of a time of day."""

    position: float
    text: str
    at: datetime | None = None


class Mark(NamedTuple):
    """A vertical line with a sign at its top, which links to the text about this instant."""

    x: float
    title: str
    link: str


class MarkData(NamedTuple):
    """The data of a mark; position 1.5 is the middle of the second bar."""

    position: float
    title: str
    link: str


class Chart(NamedTuple):
    """All shapes of a chart."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    labels: Sequence[Label]
    marks: Sequence[Mark] = ()


class BarData(NamedTuple):
    """The data of one bar: a number for each series, from bottom to top."""

    title: str
    numbers: Sequence[int]
    link: str = ""


def stacked_bars(
    series: Sequence[str],
    data: Sequence[BarData],
    labels: Sequence[LabelData],
    major_every: int = 2,
    marks: Sequence[MarkData] = (),
) -> Chart:
    """Lay out the bars side by side. Of the labels, every `major_every`th is major."""
    ticks = _ticks(max((sum(each.numbers) for each in data), default=0))
    pixels = HEIGHT / ticks[-1]
    width = 100 / max(len(data), 1)
    gap = 0 if len(data) > _MAX_BARS_WITH_GAPS else width * _GAP
    return Chart(
        [
            Bar(
                round(number * width + gap / 2, 3),
                round(width - gap, 3),
                each.title,
                _segments(series, each.numbers, pixels),
                each.link,
            )
            for number, each in enumerate(data)
        ],
        [Tick(round(HEIGHT - value * pixels, 1), value) for value in ticks],
        [
            Label(round(label.position * width, 3), label.text, bool(number % major_every), label.at)
            for number, label in enumerate(labels)
        ],
        [Mark(round(mark.position * width, 3), mark.title, mark.link) for mark in marks],
    )


def _segments(series: Sequence[str], numbers: Sequence[int], pixels: float) -> list[Segment]:
    """Return the segments, whose edges are whole pixels: sharp, and a fifth less to send."""
    segments, total, y = list[Segment](), 0, HEIGHT
    for name, number in zip(series, numbers, strict=True):
        total += number
        top = min(round(HEIGHT - total * pixels), y - 1)  # no number is invisible
        if number:
            segments.append(Segment(name, top, y - top))
            y = top
    return segments


def _ticks(highest: int) -> list[int]:
    """Return round numbers from 0 to at least `highest`, in at most five steps."""
    step = next(step for step in _STEPS if _MAX_STEPS * step >= highest)
    return list(range(0, max(-(-highest // step), 1) * step + 1, step))


def time_labels(period: Period, starts: Sequence[datetime]) -> list[LabelData]:
    """Return labels of the slots that start at a round hour, day or month, in UTC."""
    is_time = period.length <= timedelta(days=1)
    return [
        LabelData(number, _time_label(period, start), start if is_time else None)
        for number, start in enumerate(starts)
        if _is_round(period, start)
    ]


def _is_round(period: Period, start: datetime) -> bool:
    hours = start.hour + start.minute / 60
    if period.length <= timedelta(hours=1):
        return start.minute % 10 == 0
    if period.length <= timedelta(days=1):
        return hours % (2 if period.length <= timedelta(hours=12) else 4) == 0
    if hours:
        return False
    if period.length <= _BY_DAY:
        return True
    return start.weekday() == 0 if period.length <= _BY_WEEK else start.day == 1


def _time_label(period: Period, start: datetime) -> str:
    if period.length <= timedelta(days=1):
        return f"{start:%H:%M}"
    if period.length <= _BY_DAY:
        return f"{start:%a} {start.day}"
    return f"{start:%b} {start.day}" if period.length <= _BY_WEEK else f"{start:%b}"
