"""The time that `bley stats` shows: its options, and the period of whole slots that covers it."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bley.core.history.periods import Period
from bley.settings.values import parse_duration
from bley.store.engine import SPANS

__all__ = ["StatsPeriod", "parse_instant", "parse_period"]

_LONGEST = SPANS[3600]
"""The time after which counts by the hour are deleted."""

_SLOTS = (
    (timedelta(days=2), timedelta(minutes=1)),
    (timedelta(days=28), timedelta(hours=1)),
    (_LONGEST, timedelta(days=1)),
)
"""The slot for periods that begin at most so long ago. Counts by the minute are deleted after 8 days."""


_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


class StatsPeriod(NamedTuple):
    """A period of whole slots that ends at `until`."""

    period: Period
    until: datetime

    @property
    def since(self) -> datetime:
        """The start of the first slot."""
        return self.period.since(self.until)


def parse_period(since: str, until: str, now: datetime) -> StatsPeriod:
    """Return the period between two instants, each an age such as 7d, or a time; an empty `until` is now.

    Raises ValueError.
    """
    start = parse_instant("--since", since, now)
    end = parse_instant("--until", until, now) if until else now
    if start >= end:
        hint = ": both are ages, so --since 14d --until 7d is the week before the last one" if until else ""
        raise ValueError(f"--since {since} must be before {f'--until {until}' if until else 'now'}{hint}")
    if now - start > _LONGEST:
        raise ValueError(f"--since {since} must be at most {_LONGEST.days}d ago, the time for which counts are stored")
    slot = next(slot for longest, slot in _SLOTS if now - start <= longest)
    if end < now:
        end = min(_end_of_span(end, slot), now)
    first, last = (int(at.timestamp()) // int(slot.total_seconds()) for at in (start, end))
    return StatsPeriod(Period("", min((last - first + 1) * slot, _LONGEST), slot), end)


def _end_of_span(end: datetime, slot: timedelta) -> datetime:
    """Return the last microsecond of the last span that is counted: a minute, or an hour."""
    span = min(slot, timedelta(hours=1))
    return end + (_ZERO - end) % span - timedelta(microseconds=1)


def parse_instant(option: str, text: str, now: datetime) -> datetime:
    """Return the instant that the value of this option names. Raises ValueError."""
    try:
        return now - parse_duration(text)
    except (ValueError, OverflowError):
        pass
    try:
        instant = datetime.fromisoformat(text)
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{option} {text} is neither a duration nor a time: write it as 90s, 5m, 12h or 40d, or 2026-11-26T14:00Z"
        ) from None
    if instant > now:
        raise ValueError(f"{option} {text} is in the future")
    return instant
