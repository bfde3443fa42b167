"""Warnings about files in a /tmp that systemd gives to the unit alone: no other program sees them, and a stop deletes
them. Source: systemd.exec(5), PrivateTmp=.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from bley.settings.settings import Settings

__all__ = ["find_private_files", "log_private_files"]

_MOUNTS = Path("/proc/self/mountinfo")
_MARK = "/systemd-private-"
"""A part of the name of the folder that systemd mounts as /tmp."""

_log = logging.getLogger(__name__)


def find_private_files(settings: Settings, mounts: str) -> Iterator[str]:
    """Yield a warning for each such file; `mounts` is the text of mountinfo (proc_pid_mountinfo(5))."""
    lines = (line.split() for line in mounts.splitlines())
    private = [Path(fields[4]) for fields in lines if _MARK in fields[3]]
    for key, file in _files(settings):
        if folder := next((each for each in private if file.is_relative_to(each)), None):
            yield (
                f"{key}: {file}: systemd gives bley a {folder} of its own (PrivateTmp), which no other program "
                "sees and which a stop deletes: use /var/lib/bley, /var/log/bley or /run/bley"
            )


def _files(settings: Settings) -> Iterator[tuple[str, Path]]:
    for address in settings.listen_addr:
        if address.startswith("unix:"):
            yield "listen_addr", Path(address.removeprefix("unix:"))
    if settings.store.dbtype == "sqlite3":
        yield "database", settings.store.file
    if "/" in settings.log_file:
        yield "log_file", Path(settings.log_file)


def log_private_files(settings: Settings) -> None:
    """Log these warnings."""
    try:
        mounts = _MOUNTS.read_text(errors="surrogateescape")
    except OSError:  # not Linux
        return
    for warning in find_private_files(settings, mounts):
        _log.warning("%s", warning)
