"""Log sinks: a file and standard output; sockets.py has the others. No sink blocks on a slow reader.

Each sink holds its descriptor in an object that has no number after close. So a late write cannot go to a connection
that reuses the number.
"""

import errno
import io
import os
import select
import socket
import stat
import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Protocol

__all__ = ["File", "RegularFile", "Sink", "StandardOutput", "Stream", "standard_output"]

_MOST_FITTING = 100
"""More lines than this never fit into select.PIPE_BUF bytes."""

_MODE = 0o640
"""The mode of a new log file, whose lines have mail addresses."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""O_NONBLOCK: opening a FIFO would wait for a reader."""


class Sink(Protocol):
    """A destination of log lines, which never blocks."""

    end: str
    """The text after each line."""

    def head(self, second: int, level: int) -> str:
        """Return the text before each line logged in this second since 1970 UTC, with logging's level."""

    @property
    def is_behind(self) -> bool:
        """Whether the sink has accepted a line and not yet written all of it."""

    def write(self, lines: Sequence[str]) -> int:
        """Write lines and return how many were accepted; 0 if there is no room. Raises OSError if none can be."""

    def fileno(self) -> int:
        """Return the descriptor to poll for room; after close, return -1 or raise ValueError."""

    def close(self) -> None:
        """Close the descriptor."""


class _TextLines:
    end = "\n"

    def head(self, second: int, _level: int) -> str:
        """Return time and process."""
        return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(second))} bley[{os.getpid()}]: "


class RegularFile(_TextLines):
    """An open file on a disk. Lines are written completely or not at all, even when the disk is full."""

    is_behind = False

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def write(self, lines: Sequence[str]) -> int:
        """Write all lines, or as many complete ones as fit."""
        data, written = _encoded(lines), 0
        try:
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError:
            ends = [0, *accumulate(len(_encoded([line])) for line in lines)]
            taken = bisect_right(ends, written) - 1
            if part := written - ends[taken]:
                self._take_back(part)
            if not taken:
                raise
            return taken
        return len(lines)

    def _take_back(self, part: int) -> None:
        """Undo the partial write of a line, which has `part` bytes.

        At the end of the file they are truncated. If another worker has appended lines meanwhile, the bytes become a
        line of blanks, which leaves the other lines intact.
        """
        descriptor = self._file.fileno()
        end, size = os.lseek(descriptor, 0, os.SEEK_CUR), os.fstat(descriptor).st_size
        if size <= end:  # less, if the file was truncated meanwhile, as by logrotate's copytruncate
            os.ftruncate(descriptor, min(size, end - part))
            os.lseek(descriptor, end - part, os.SEEK_SET)
            return
        # Needs a descriptor without O_APPEND: with it, Linux appends at any offset: pwrite(2), BUGS.
        with open(f"/proc/self/fd/{descriptor}", "r+b", buffering=0) as file:  # noqa: PTH123 (a descriptor)
            os.pwrite(file.fileno(), b" " * (part - 1) + b"\n", end - part)

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Stream(_TextLines):
    """A pipe, socket, terminal or device. Other processes may write to it: lines of up to PIPE_BUF bytes stay whole."""

    def __init__(self, file: io.FileIO | socket.socket) -> None:
        self._file = file
        self._rest = b""
        """The unwritten part of an accepted line."""
        self._poll = select.poll()
        self._poll.register(file, select.POLLOUT)

    @property
    def is_behind(self) -> bool:
        """Whether a line is partly written."""
        return bool(self._rest)

    def write(self, lines: Sequence[str]) -> int:
        """Write lines until there is no room."""
        taken = 0
        while self._write_rest() and taken < len(lines):
            count = _fitting(lines[taken : taken + _MOST_FITTING])
            data = _encoded(lines[taken : taken + count])
            if not (written := self._write_some(data)):
                break
            self._rest = data[written:]
            taken += count
        return taken

    def _write_rest(self) -> bool:
        """Write the rest of an accepted line; return whether it is complete."""
        while self._rest:
            if not (written := self._write_some(self._rest)):
                return False
            self._rest = self._rest[written:]
        return True

    def _write_some(self, data: bytes) -> int:
        """Write some bytes and return how many; 0 if there is no room."""
        if not self._poll.poll(0):
            return 0
        piece = data[: select.PIPE_BUF]
        try:
            if isinstance(self._file, socket.socket):
                return self._file.send(piece, socket.MSG_DONTWAIT)
            return self._file.write(piece) or 0  # None: another process has filled the pipe since the poll
        except BlockingIOError:
            return 0

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class StandardOutput(Stream):
    """Standard output, if it is a pipe, socket, terminal or device. `close` leaves it open for the process."""

    def __init__(self) -> None:
        given = _standard_output()
        mode = os.fstat(given).st_mode
        unshared = _unshared(given) if stat.S_ISFIFO(mode) else None
        if stat.S_ISSOCK(mode):
            super().__init__(socket.socket(fileno=os.dup(given)))
        else:
            super().__init__(_written(given, closefd=False) if unshared is None else _written(unshared))


def standard_output() -> Sink:
    """Open the sink for standard output. Raises OSError if there is none."""
    given = _standard_output()
    if stat.S_ISREG(os.fstat(given).st_mode):
        return RegularFile(_written(given, closefd=False))
    return StandardOutput()


def _standard_output() -> int:
    if sys.stdout is None:  # closed before bley was started
        raise OSError(errno.EBADF, "there is no standard output")
    return sys.stdout.fileno()


class File(_TextLines):
    """A file, created if missing, and reopened after a rotation; or a FIFO or device."""

    def __init__(self, name: str) -> None:
        self._path = Path(name)
        self._reopen()

    def _reopen(self) -> None:
        descriptor = os.open(self._path, _FLAGS, _MODE)
        file = _written(descriptor)
        self._opened = os.fstat(descriptor)
        self._sink = RegularFile(file) if stat.S_ISREG(self._opened.st_mode) else Stream(file)

    @property
    def is_behind(self) -> bool:
        """Whether a line is partly written."""
        return self._sink.is_behind

    def write(self, lines: Sequence[str]) -> int:
        """Write lines; reopen the file first if it was rotated."""
        try:
            is_there = os.path.samestat(self._path.stat(), self._opened)
        except FileNotFoundError:
            is_there = False
        if not is_there:  # rotated
            old = self._sink
            self._reopen()
            old.close()
        return self._sink.write(lines)

    def fileno(self) -> int:
        """Return the descriptor of the open file."""
        return self._sink.fileno()

    def close(self) -> None:
        """Close the file."""
        self._sink.close()


def _written(descriptor: int, *, closefd: bool = True) -> io.FileIO:
    return io.FileIO(descriptor, "wb", closefd=closefd)


def _unshared(pipe: int) -> int | None:
    """Open the same pipe with O_NONBLOCK, so that a write never blocks if another process fills it after the poll.

    Setting the flag on the given descriptor would affect all processes that share it. Return None if the pipe cannot be
    opened, as in some containers: then such a write may block.
    """
    try:
        return os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def _fitting(lines: Sequence[str]) -> int:
    """Return how many lines, at least one, have at most PIPE_BUF bytes together, which a pipe accepts atomically."""
    sizes = accumulate(len(_encoded([line])) for line in lines)
    return max(1, sum(size <= select.PIPE_BUF for size in sizes))


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(lines).encode(errors="backslashreplace")
