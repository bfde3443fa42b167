"""The periods that the dashboard and the commands show, and their slots. All in UTC, like the log."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from bley.core.history.statistics import Count, Figures, figures

__all__ = ["PERIODS", "ComparedCounts", "Period", "Slot", "slots"]


class Period(NamedTuple):
    """A time of this length that ends now, in slots that start at multiples of their length since 1970 UTC.

    `now` may be any other instant.
    """

    name: str
    length: timedelta
    slot: timedelta

    def since(self, now: datetime) -> datetime:
        """Return the start of the first slot; the last slot contains `now`."""
        slot, length = int(self.slot.total_seconds()), int(self.length.total_seconds())
        end = int(now.timestamp()) // slot * slot + slot
        return datetime.fromtimestamp(end - length, UTC)

    def before(self, now: datetime) -> datetime:
        """Return the end of the period before: as much of its last slot has passed, so that both can be compared."""
        return now - self.length


class ComparedCounts(NamedTuple):
    """The counts of a period."""

    counts: Mapping[Count, int]
    before: Mapping[Count, int] | None = None
    """The counts of the period before; None if its beginning was not counted."""
    of_lists: Mapping[Count, int] = MappingProxyType({})
    """The counts of DNS lists (list_counts): one for each kind and name, with the start of the first one."""


_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

PERIODS = {
    period.name: period
    for period in (
        Period("1h", _HOUR, _MINUTE),
        Period("12h", 12 * _HOUR, 10 * _MINUTE),
        Period("24h", _DAY, 20 * _MINUTE),
        Period("7d", 7 * _DAY, 2 * _HOUR),
        Period("28d", 28 * _DAY, 8 * _HOUR),
        Period("365d", 365 * _DAY, _DAY),
    )
}


class Slot(NamedTuple):
    """The figures of one slot, which starts at `start`."""

    start: datetime
    figures: Figures


def slots(period: Period, now: datetime, counts: Mapping[Count, int]) -> list[Slot]:
    """Return all slots of the period, empty ones included; `counts` must start where slots start."""
    by_start: dict[int, dict[Count, int]] = {}
    for count, number in counts.items():
        by_start.setdefault(count.start, {})[count] = number
    first, step = int(period.since(now).timestamp()), int(period.slot.total_seconds())
    return [
        Slot(datetime.fromtimestamp(start, UTC), figures(by_start.get(start, {})))
        for start in range(first, first + int(period.length.total_seconds()), step)
    ]
