"""Formatting of numbers and times on the pages."""

from datetime import UTC, datetime, timedelta

from bley.core.history.outcome import format_duration
from bley.core.history.worth import Spelling
from bley.core.quantity import percent

__all__ = ["SPELLING", "ago", "capitalized", "duration", "instant", "iso", "milliseconds", "number", "parsed", "share"]

_THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
_SPACE = "\N{NO-BREAK SPACE}"


def number(value: int) -> str:
    """Return the number with a thin space between thousands."""
    return f"{value:,}".replace(",", _THIN_SPACE)


def share(value: float | None) -> str:
    """Return the share in percent, or a dash for None."""
    return "\N{EN DASH}" if value is None else percent(value, _THIN_SPACE)


def milliseconds(seconds: float | None) -> str:
    """Return the latency in milliseconds, or a dash for None."""
    return "\N{EN DASH}" if seconds is None else f"{1000 * seconds:.1f}{_SPACE}ms"


def duration(seconds: float) -> str:
    """Return the duration in its two largest units, `1 h 5 min`, without line breaks; 0 if it is negative."""
    return format_duration(timedelta(seconds=max(seconds, 0))).replace(" ", _SPACE)


def ago(at: datetime, now: datetime) -> str:
    """Return the time since then in its largest unit, `5 min ago`."""
    passed = now - at
    if passed < timedelta(seconds=1):
        return "now"
    number, unit, *_ = format_duration(passed - passed % timedelta(seconds=1)).split()
    return f"{number}{_SPACE}{unit} ago"


def instant(at: datetime) -> str:
    """Return the time in UTC, to the second, as the log has it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def iso(at: datetime) -> str:
    """Return the time in UTC in ISO 8601 format, for programs."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parsed(text: str) -> datetime:
    """Return the instant of a stored decision's details, which has ISO 8601 format."""
    return datetime.fromisoformat(text)


def capitalized(text: str) -> str:
    """Return the text with its first letter in upper case; unlike str.capitalize, the rest stays."""
    return text[:1].upper() + text[1:]


SPELLING = Spelling(number, share, duration)
"""The form of numbers in the sentences of a page."""
