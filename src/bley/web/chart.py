"""Stacked bars as geometry, which the templates draw as SVG.

Across they are in percent, so that a bar is as wide as there is room; up and down in pixels: text and lines stay crisp.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from bley.core.history.periods import Period

__all__ = ["HEIGHT", "Bar", "BarData", "Chart", "Label", "Segment", "Tick", "chart", "time_labels"]

HEIGHT = 200
"""Pixels from the ground line to the top of the highest tick."""

_GAP = 0.22
"""Of a slot's width, where there are few of them; many touch, or they would flicker."""
_MANY = 120

_MOST_STEPS = 5
_STEPS = [1, 2, 5, *(factor * 10**power for power in range(18) for factor in (10, 20, 25, 50))]


class Segment(NamedTuple):
    """A part of a bar, from its upper edge."""

    series: str
    y: float
    height: float


class Bar(NamedTuple):
    """One slot: `x` and `width` are percent of the whole; `title` says its figures."""

    x: float
    width: float
    title: str
    segments: Sequence[Segment]
    link: str


class Tick(NamedTuple):
    """A line across."""

    y: float
    value: int


class Label(NamedTuple):
    """A word under the ground line; `is_minor`: left out where there is little room."""

    x: float
    text: str
    is_minor: bool


class Chart(NamedTuple):
    """All that is drawn."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    labels: Sequence[Label]


class BarData(NamedTuple):
    """What a bar stands for: the numbers of each series, from the ground up."""

    title: str
    numbers: Sequence[int]
    link: str = ""


def chart(
    series: Sequence[str], slices: Sequence[BarData], labels: Sequence[tuple[float, str]], major_every: int = 2
) -> Chart:
    """Bars side by side. `labels`: words, and where they stand: 1.5 is in the middle of the second slice.

    Where there is little room, only each `major_every` of them is shown.
    """
    ticks = _ticks(max((sum(each.numbers) for each in slices), default=0))
    pixels = HEIGHT / ticks[-1]
    width = 100 / max(len(slices), 1)
    gap = 0 if len(slices) > _MANY else width * _GAP
    return Chart(
        [
            Bar(
                round(number * width + gap / 2, 3),
                round(width - gap, 3),
                each.title,
                _segments(series, each.numbers, pixels),
                each.link,
            )
            for number, each in enumerate(slices)
        ],
        [Tick(round(HEIGHT - value * pixels, 1), value) for value in ticks],
        [Label(round(at * width, 3), text, bool(number % major_every)) for number, (at, text) in enumerate(labels)],
    )


def _segments(series: Sequence[str], numbers: Sequence[int], pixels: float) -> list[Segment]:
    segments, top = [], 0
    for name, number in zip(series, numbers, strict=True):
        if number:
            top += number
            segments.append(Segment(name, round(HEIGHT - top * pixels, 2), round(number * pixels, 2)))
    return segments


def _ticks(most: int) -> list[int]:
    """Whole round numbers from 0 to what is enough, five steps at the most."""
    step = next(step for step in _STEPS if _MOST_STEPS * step >= most)
    return list(range(0, max(-(-most // step), 1) * step + 1, step))


def time_labels(period: Period, starts: Sequence[datetime]) -> list[tuple[float, str]]:
    """Where round hours, days or months begin among the slots, in UTC."""
    return [(number, _word(period, start)) for number, start in enumerate(starts) if _is_round(period, start)]


def _is_round(period: Period, start: datetime) -> bool:
    hours = start.hour + start.minute / 60
    if period.length <= timedelta(hours=1):
        return start.minute % 10 == 0
    if period.length <= timedelta(days=1):
        return hours % (2 if period.length <= timedelta(hours=12) else 4) == 0
    if hours:
        return False
    if period.length <= timedelta(days=7):
        return True
    return start.weekday() == 0 if period.length <= timedelta(days=28) else start.day == 1


def _word(period: Period, start: datetime) -> str:
    if period.length <= timedelta(days=1):
        return f"{start:%H:%M}"
    if period.length <= timedelta(days=7):
        return f"{start:%a} {start.day}"
    return f"{start:%b} {start.day}" if period.length <= timedelta(days=28) else f"{start:%b}"
