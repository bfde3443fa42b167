"""The time at the start of a line of a log: of syslog, without a year, or in ISO 8601, or of Exim."""

import re
from datetime import datetime, timedelta

__all__ = ["LineDates"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SYSLOG = re.compile(r"(?:<\d{1,3}>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) ")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d{1,9})? ?(Z|[+-]\d\d:?\d\d)? ")
_A_DAY = timedelta(days=1)


class LineDates:
    """The times of one log. A time without a zone is of this machine's zone.

    A time without a year is of the last one that does not end after `latest`, when the file was written last.
    """

    def __init__(self, latest: datetime) -> None:
        self._latest = latest.astimezone().replace(tzinfo=None) + _A_DAY
        self._days: dict[tuple[str, str], datetime | None] = {}

    def split(self, line: str) -> tuple[int, str] | None:
        """Return the seconds since 1970 UTC, and the rest of the line; None if it starts with no time."""
        try:
            if match := _SYSLOG.match(line):
                month, day, hour, minute, second = match.groups()
                start = self._day(month, day)
                if start is None:
                    return None
                instant = start.replace(hour=int(hour), minute=int(minute), second=min(int(second), 59))
            elif match := _ISO.match(line):
                instant = datetime.fromisoformat(match[1] + (match[2] or ""))
            else:
                return None
            return int(instant.timestamp()), line[match.end() :]
        except (ValueError, OverflowError):
            return None

    def _day(self, month: str, day: str) -> datetime | None:
        """Return the start of the day, which is the same for many lines."""
        if (month, day) not in self._days:
            self._days[month, day] = self._find_day(month, day)
        return self._days[month, day]

    def _find_day(self, month: str, day: str) -> datetime | None:
        if month not in _MONTHS:
            return None
        for year in range(self._latest.year, self._latest.year - 5, -1):
            try:
                found = datetime(year, _MONTHS.index(month) + 1, int(day))  # noqa: DTZ001 (of this machine's zone)
            except ValueError:
                continue  # 29 February
            if found <= self._latest:
                return found
        return None
