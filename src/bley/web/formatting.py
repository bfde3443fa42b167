"""Numbers, times and reasons as the pages write them."""

from datetime import UTC, datetime, timedelta

from bley.core.history.outcome import format_duration

__all__ = ["ago", "capitalized", "duration", "instant", "iso", "milliseconds", "number", "share"]

_THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
_SPACE = "\N{NO-BREAK SPACE}"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def number(value: int) -> str:
    """With thin spaces between thousands."""
    return f"{value:,}".replace(",", _THIN_SPACE)


def share(value: float | None) -> str:
    """In percent; a dash where there is none."""
    return "\N{EN DASH}" if value is None else f"{value:.1%}".replace("%", f"{_THIN_SPACE}%")


def milliseconds(seconds: float | None) -> str:
    """A latency; a dash where there is none."""
    return "\N{EN DASH}" if seconds is None else f"{1000 * seconds:.1f}{_SPACE}ms"


def duration(seconds: float) -> str:
    """In its two largest units, `1 h 5 min`."""
    return format_duration(timedelta(seconds=max(seconds, 0))).replace(" ", _SPACE)


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in its largest unit."""
    passed = now - at
    if passed < timedelta(seconds=1):
        return "now"
    size, unit = next(each for each in _UNITS if passed.total_seconds() >= each[0])
    return f"{int(passed.total_seconds() // size)}{_SPACE}{unit} ago"


def instant(at: datetime) -> str:
    """To the second, in UTC, as in the log."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def iso(at: datetime) -> str:
    """For programs."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def capitalized(text: str) -> str:
    """As it begins a sentence."""
    return text[:1].upper() + text[1:]
