"""The words and numbers of the charts, without drawing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from bley.commands.graph.style import AT_ONCE, DEFERRED, EARLY, WAITED, Style, style_of
from bley.core.history.periods import PERIODS, Period, Slot
from bley.core.history.statistics import Figures
from bley.core.quantity import percent, quantity

__all__ = ["SHOWN", "Band", "Chart", "Kind", "Tick", "charts", "in_words", "numbered", "ticks"]

Kind = Literal["mail", "deferred", "found"]

SHOWN = tuple(PERIODS[name] for name in ("12h", "24h", "7d", "28d", "365d"))
"""The periods of the charts."""

_HOUR = 3600
_DAY = 24 * _HOUR
_A_MONDAY = datetime(1970, 1, 5, tzinfo=UTC).timestamp()

Tick = tuple[float, str]
"""Seconds since 1970 UTC, and the label."""


@dataclass(frozen=True, slots=True)
class Band:
    """One word of a chart, with its number in each slot."""

    name: str
    style: Style
    numbers: Sequence[int]

    @property
    def total(self) -> int:
        """The number in all slots."""
        return sum(self.numbers)


@dataclass(frozen=True, slots=True)
class Chart:
    """Stacked bands over the slots of a period; the first band is at the bottom."""

    kind: Kind
    period: Period
    until: datetime
    edges: Sequence[float]
    """The starts of all slots and the end of the last one, in seconds since 1970 UTC."""
    bands: Sequence[Band]
    subject: str
    counted_as: str
    """The noun for one counted thing."""
    empty_text: str
    """The text of a chart without bands."""

    @property
    def name(self) -> str:
        """The name of its file, without the extension."""
        return f"{self.kind}-{self.period.name}"

    @property
    def total(self) -> int:
        """The number in all bands."""
        return sum(band.total for band in self.bands)

    @property
    def step(self) -> str:
        """The length of a slot in words."""
        return "a day" if self.period.slot == timedelta(days=1) else in_words(self.period.slot)

    @property
    def title(self) -> str:
        """The subject, the period and the total."""
        return f"{self.subject} in the last {in_words(self.period.length)}: {numbered(self.total, self.counted_as)}"

    def share(self, band: Band) -> str:
        """Return the share of the total; empty for findings, since a request can have several."""
        return "" if self.kind == "found" else percent(band.total / self.total)

    def label(self, band: Band) -> str:
        """Return the text of the band in the legend."""
        share = self.share(band)
        return f"{band.name}: {band.total:,}{f' ({share})' if share else ''}"

    @property
    def description(self) -> str:
        """The figures in a sentence, as the alternative text of the image."""
        bands = ", ".join(map(self.label, self.bands)) or self.empty_text
        return f"{self.title}; {bands}."


def charts(period: Period, now: datetime, slots: Sequence[Slot]) -> list[Chart]:
    """Return the three charts of a period: outcomes of mail, reasons of deferrals, findings."""
    edges = [*(slot.start.timestamp() for slot in slots), (slots[-1].start + period.slot).timestamp()]
    figures = [slot.figures for slot in slots]
    has_mail = any(each.requests for each in figures)

    def chart(kind: Kind, bands: Iterable[Band], subject: str, counted_as: str, empty: str) -> Chart:
        empty_text = f"{empty if has_mail else 'no mail'} in this period"
        return Chart(kind, period, now, edges, tuple(bands), subject, counted_as, empty_text)

    deferred, found = _by_word([each.deferred for each in figures]), _by_word([each.found for each in figures])
    return [
        chart("mail", _mail(figures), "Outcomes of mail", "request", "no mail"),
        chart("deferred", deferred, "Reasons of deferrals", "deferral", "no deferrals"),
        chart("found", found, "Findings of the checks", "finding", "no findings"),
    ]


def _mail(figures: Sequence[Figures]) -> list[Band]:
    """Return all four bands, or none if all of them are 0."""
    parts: list[tuple[str, Style, Callable[[Figures], int]]] = [
        ("passed at once", AT_ONCE, lambda each: each.undelayed),
        ("passed after its wait", WAITED, lambda each: each.came_back),
        ("deferred", DEFERRED, lambda each: each.first_deferrals),
        ("early retries", EARLY, lambda each: each.early_retries),
    ]
    bands = [Band(name, look, [number(each) for each in figures]) for name, look, number in parts]
    return bands if any(band.total for band in bands) else []


def _by_word(numbers: Sequence[Mapping[str, int]]) -> list[Band]:
    """Return a band for each word, the most frequent first."""
    words = {word for each in numbers for word in each}
    bands = [Band(word, style_of(word), [each.get(word, 0) for each in numbers]) for word in sorted(words)]
    return sorted(bands, key=lambda band: -band.total)


def in_words(duration: timedelta) -> str:
    """Return a whole number of minutes, hours or days: "10 minutes", "24 hours", "7 days"."""
    seconds = int(duration.total_seconds())
    if seconds > _DAY and seconds % _DAY == 0:
        return quantity(seconds // _DAY, "day")
    return quantity(seconds // _HOUR, "hour") if seconds % _HOUR == 0 else quantity(seconds // 60, "minute")


def numbered(number: int, what: str) -> str:
    """Return the number, with separators of thousands, and the noun."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def ticks(period: Period, edges: Sequence[float]) -> tuple[list[Tick], list[float]]:
    """Return the labeled ticks of the time axis, in UTC, and the places of the smaller ones."""
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
    """Return the time, with the date at the start of a day. Each label has two lines, so that all align."""
    return f"{_utc(at):%H:%M}\n{_day(at) if is_first or at % _DAY == 0 else ''}"


def _month(at: float, *, is_first: bool) -> str:
    """Return the month, with the year at its start, also in two lines."""
    return f"{_utc(at):%b}\n{_utc(at).year if is_first or _utc(at).month == 1 else ''}"


def _day(at: float) -> str:
    return f"{_utc(at).day} {_utc(at):%b}"


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
