"""The machine of a measurement."""

import os
import platform
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.builds import build_name
from bley import __version__

__all__ = ["described", "machine"]

LIBRARIES = ("uvloop", "sqlalchemy", "pycares")


def machine() -> dict[str, str]:
    """Return the machine, the versions, and the time."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "bley": __version__,
        "build": build_name(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": f"{platform.machine()}, {cpu.partition(':')[2].strip() or 'unknown processor'}",
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in LIBRARIES},
    }


def described(measured: Mapping[str, object]) -> str:
    """Return two lines to print: the machine; versions, builds, number of rounds, and date."""
    versions = ", ".join(f"{name} {measured[name]}" for name in ("bley", "python", "sqlite", *LIBRARIES))
    length = f"medians of {measured['rounds']}{' short' if measured['quick'] else ''} rounds"
    place = f"{measured['machine']}, {measured['cores']} cores, {measured['system']}"
    return f"{place}\n{versions}; {measured['build']}; {length}, {str(measured['date'])[:10]}"
