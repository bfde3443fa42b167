"""The clock: whether it is plausible, and whether NTP keeps it right."""

import ctypes
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bley
from bley.commands.doctor.finding import Finding, fault, note, warning, well
from bley.settings.settings import Settings

__all__ = ["examine_clock", "judge_clock"]

_TOLERANCE = timedelta(minutes=5)
"""Clocks of machines that share a file system differ a little."""

_TIME_ERROR = 5
"""The state of adjtimex(2) if no program disciplines the clock."""

_TIMEX_BYTES = 1024
"""More than sizeof(struct timex), 208 on 64-bit Linux. With zeros, `modes` too, the call only reads."""


def examine_clock(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Compare the clock with the times of files, and ask the kernel whether it is synchronized."""
    files = [Path(bley.__file__)]
    if settings.store.dbtype == "sqlite3":
        files += [settings.store.file, settings.store.file.with_name(settings.store.file.name + "-wal")]
    is_synchronized = _is_synchronized()
    yield from judge_clock(now, dict(_times(files)), is_synchronized=is_synchronized)
    if not is_synchronized and settings.store.dbtype != "sqlite3":
        yield warning(
            "clock",
            "no program synchronizes the clock",
            "nodes of one store compare the times of their records",
            "timedatectl set-ntp true",
        )


def judge_clock(now: datetime, times: dict[Path, datetime], *, is_synchronized: bool) -> Iterator[Finding]:
    """Yield what the clock's time means, compared with those of files."""
    later = {file: time for file, time in times.items() if time > now + _TOLERANCE}
    for file, time in later.items():
        yield fault(
            "clock",
            f"the clock shows {now:%Y-%m-%d %H:%M} UTC, but {file} is of {time:%Y-%m-%d %H:%M}",
            "records from the future wait too long, and correct ones expire too early",
            "timedatectl set-ntp true",
        )
    if not later:
        shown = f"{now:%Y-%m-%d %H:%M:%S} UTC"
        yield (
            well("clock", f"{shown}, synchronized")
            if is_synchronized
            else note("clock", f"{shown}, not synchronized by NTP, as far as the kernel knows")
        )


def _times(files: Iterable[Path]) -> Iterator[tuple[Path, datetime]]:
    for file in files:
        try:
            yield file, datetime.fromtimestamp(file.stat().st_mtime, UTC)
        except OSError:
            continue


def _is_synchronized() -> bool:
    """Return whether the kernel's clock is disciplined; also if it cannot be known."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    return adjtimex is None or adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) != _TIME_ERROR
