"""The file with the process id (`pid_file`), for scripts that send signals to bley."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bley.core.errors import Fault, SettingsError

__all__ = ["pid_file"]


@contextlib.contextmanager
def pid_file(name: str) -> Iterator[None]:
    """Keep the process id in this file during the block. Raises SettingsError if the file cannot be written."""
    if not name:
        yield
        return
    try:
        _write_pid(name)
    except OSError as error:
        raise SettingsError([Fault("pid_file", 0, f"{name} cannot be written: {error.strerror}")]) from error
    try:
        yield
    finally:
        Path(name).unlink(missing_ok=True)


def _write_pid(name: str) -> None:
    """Write the process id. Raises OSError, also if the path is not a regular file.

    A FIFO would block until it has a reader, and the path is removed at the end.
    """
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "w") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        opened.truncate(0)
        opened.write(f"{os.getpid()}\n")
