"""The file with the process id (`pid_file`), for scripts that send signals to bley."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bley.core.errors import Fault, SettingsError, StartError
from bley.operator_files import check_creatable, explain_refusal, may_recover

__all__ = ["check_pid_file", "pid_file"]

_MODE = 0o644
"""Whatever the umask is: root sends signals to the process that the file names, so other users must not write to it."""


@contextlib.contextmanager
def pid_file(name: str) -> Iterator[None]:
    """Keep the process id in this file during the block. Raises SettingsError if the file cannot be written."""
    if not name:
        yield
        return
    with _faults(name), os.fdopen(_open(name, os.O_CREAT), "w") as opened:
        opened.truncate(0)
        opened.write(f"{os.getpid()}\n")
    try:
        yield
    finally:
        Path(name).unlink(missing_ok=True)


def check_pid_file(name: str) -> None:
    """Raise the SettingsError of `pid_file`, and write nothing."""
    with _faults(name):
        try:
            os.close(_open(name))
        except FileNotFoundError:
            check_creatable(Path(name))


def _open(name: str, flags: int = 0) -> int:
    """Open the file. Raises OSError, also if the path is not a regular file.

    A FIFO would block until it has a reader, and the path is removed at the end.
    """
    descriptor = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags, _MODE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor


@contextlib.contextmanager
def _faults(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = explain_refusal(error, Path(name))
        kind = StartError if may_recover(error, Path(name)) else SettingsError
        raise kind([Fault("pid_file", 0, f"{name} cannot be written: {why}")]) from error
