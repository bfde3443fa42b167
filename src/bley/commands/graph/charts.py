"""What the charts show, in words and numbers: nothing here draws."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from bley.commands.graph.style import AT_ONCE, DEFERRED, EARLY, WAITED, Style, look_of
from bley.core.history.periods import PERIODS, Period, Slot
from bley.core.history.statistics import Figures
from bley.core.quantity import percent, quantity

__all__ = ["SHOWN", "Band", "Chart", "Kind", "Tick", "charts", "in_words", "numbered", "ticks"]

Kind = Literal["mail", "deferred", "found"]

SHOWN = tuple(PERIODS[name] for name in ("12h", "24h", "7d", "28d", "365d"))
"""The periods that are drawn."""

_HOUR = 3600
_DAY = 24 * _HOUR
_A_MONDAY = datetime(1970, 1, 5, tzinfo=UTC).timestamp()

Tick = tuple[float, str]
"""Seconds since 1970 UTC, and what is written there."""


@dataclass(frozen=True, slots=True)
class Band:
    """One word of a chart, and how often it was so in each slot."""

    name: str
    look: Style
    numbers: Sequence[int]

    @property
    def total(self) -> int:
        """In all slots."""
        return sum(self.numbers)


@dataclass(frozen=True, slots=True)
class Chart:
    """Bands that are stacked, the first one at the bottom, over the slots of a period."""

    kind: Kind
    period: Period
    until: datetime
    edges: Sequence[float]
    """Where slots begin, and where the last one ends: seconds since 1970 UTC."""
    bands: Sequence[Band]
    subject: str
    counted_as: str
    """One of what is counted."""
    nothing: str
    """What stands in place of bands where there are none."""

    @property
    def name(self) -> str:
        """Of its file, without an ending."""
        return f"{self.kind}-{self.period.name}"

    @property
    def total(self) -> int:
        """Of all bands."""
        return sum(band.total for band in self.bands)

    @property
    def step(self) -> str:
        """How long a slot is, in words."""
        return "a day" if self.period.slot == timedelta(days=1) else in_words(self.period.slot)

    @property
    def title(self) -> str:
        """What is shown, of what time, and how much."""
        return f"{self.subject} in the last {in_words(self.period.length)}: {numbered(self.total, self.counted_as)}"

    def share(self, band: Band) -> str:
        """Of the total, where the bands are parts of it: a request may have several findings."""
        return "" if self.kind == "found" else percent(band.total / self.total, " ")

    def label(self, band: Band) -> str:
        """The band in the legend."""
        share = self.share(band)
        return f"{band.name}: {band.total:,}{f' ({share})' if share else ''}"

    @property
    def description(self) -> str:
        """The chart's figures in a sentence, for who does not see it."""
        bands = ", ".join(map(self.label, self.bands)) or self.nothing
        return f"{self.title}; {bands}."


def charts(period: Period, now: datetime, slots: Sequence[Slot]) -> list[Chart]:
    """What became of mail, why it was deferred, what the checks found."""
    edges = [*(slot.start.timestamp() for slot in slots), (slots[-1].start + period.slot).timestamp()]
    figures = [slot.figures for slot in slots]
    has_mail = any(each.requests for each in figures)

    def chart(kind: Kind, bands: Iterable[Band], subject: str, counted_as: str, nothing: str) -> Chart:
        nothing = f"{nothing if has_mail else 'no mail'} in this time"
        return Chart(kind, period, now, edges, tuple(bands), subject, counted_as, nothing)

    deferred, found = _by_word([each.deferred for each in figures]), _by_word([each.found for each in figures])
    return [
        chart("mail", _mail(figures), "What became of mail", "request", "no mail"),
        chart("deferred", deferred, "Why mail was deferred", "deferral", "nothing was deferred"),
        chart("found", found, "What the checks found", "finding", "nothing was found"),
    ]


def _mail(figures: Sequence[Figures]) -> list[Band]:
    """All four, also those that are 0: unless there is nothing at all."""
    parts: list[tuple[str, Style, Callable[[Figures], int]]] = [
        ("passed at once", AT_ONCE, lambda each: each.undelayed),
        ("passed after its wait", WAITED, lambda each: each.came_back),
        ("deferred", DEFERRED, lambda each: each.first_deferrals),
        ("early retries", EARLY, lambda each: each.early_retries),
    ]
    bands = [Band(name, look, [number(each) for each in figures]) for name, look, number in parts]
    return bands if any(band.total for band in bands) else []


def _by_word(numbers: Sequence[Mapping[str, int]]) -> list[Band]:
    """The most frequent first."""
    words = {word for each in numbers for word in each}
    bands = [Band(word, look_of(word), [each.get(word, 0) for each in numbers]) for word in sorted(words)]
    return sorted(bands, key=lambda band: -band.total)


def in_words(duration: timedelta) -> str:
    """A whole number of minutes, hours or days: "10 minutes", "24 hours", "7 days"."""
    seconds = int(duration.total_seconds())
    if seconds > _DAY and seconds % _DAY == 0:
        return quantity(seconds // _DAY, "day")
    return quantity(seconds // _HOUR, "hour") if seconds % _HOUR == 0 else quantity(seconds // 60, "minute")


def numbered(number: int, what: str) -> str:
    """So many of what is counted."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def ticks(period: Period, edges: Sequence[float]) -> tuple[list[Tick], list[float]]:
    """Where time is written below the chart, in UTC, and where smaller marks are."""
    first, last = edges[0], edges[-1]

    def multiples(step: int, offset: float = 0) -> list[float]:
        begin = first + (offset - first) % step
        return [begin + step * number for number in range(int((last - begin) // step) + 1)]

    match period.name:
        case "12h" | "24h":
            instants = multiples(2 * _HOUR if period.name == "12h" else 3 * _HOUR)
            return [(at, _clock(at, is_first=at == instants[0])) for at in instants], multiples(_HOUR)
        case "7d":
            return [(at, f"{_utc(at):%a} {_day(at)}") for at in multiples(_DAY)], multiples(6 * _HOUR)
        case "28d":
            return [(at, f"{_utc(at):%a} {_day(at)}") for at in multiples(7 * _DAY, _A_MONDAY)], multiples(_DAY)
    months = [at for at in multiples(_DAY) if _utc(at).day == 1]
    return [(at, _month(at, is_first=at == months[0])) for at in months], []


def _clock(at: float, *, is_first: bool) -> str:
    """With the day where it begins. All have two lines, or they would not stand at one height."""
    return f"{_utc(at):%H:%M}\n{_day(at) if is_first or at % _DAY == 0 else ''}"


def _month(at: float, *, is_first: bool) -> str:
    """With the year where it begins; in two lines as well."""
    return f"{_utc(at):%b}\n{_utc(at).year if is_first or _utc(at).month == 1 else ''}"


def _day(at: float) -> str:
    return f"{_utc(at).day} {_utc(at):%b}"


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
