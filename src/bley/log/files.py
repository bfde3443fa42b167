"""What takes the log's lines: a file, standard output; log_sockets.py has the others. None waits for a reader.

Each sink holds its descriptor in an object that has no number once it is closed. So nothing can be written to a number
that the system has given to somebody else since.
"""

import errno
import io
import os
import select
import socket
import stat
import sys
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Protocol

__all__ = ["File", "RegularFile", "Sink", "StandardOutput", "Stream", "standard_output"]

_MOST_FITTING = 100
"""Lines of which more would never fit into select.PIPE_BUF bytes."""

_MODE = 0o640
"""Of a log file that is created: its lines have addresses of people."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""O_NONBLOCK for a FIFO that nobody reads: to open it would wait for a reader."""


class Sink(Protocol):
    """Takes lines and never waits."""

    form: str
    """Of a line, in logging's words; NAME stands for bley's, with its process."""
    end: str

    @property
    def is_behind(self) -> bool:
        """Whether it has taken a line of which it must still write a part."""

    def write(self, lines: Sequence[str]) -> int:
        """How many lines were taken: 0 when there is no room. Raises OSError when none can be."""

    def fileno(self) -> int:
        """The descriptor that can be written to when there is room; raises ValueError, or is -1, when it is closed."""

    def close(self) -> None:
        """Let go."""


class _Lines:
    form = "%(asctime)s NAME: %(message)s"
    end = "\n"


class RegularFile(_Lines):
    """An open file on a disk. A line is in it as a whole or not at all, be the disk full."""

    is_behind = False

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def write(self, lines: Sequence[str]) -> int:
        """See Sink."""
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
        """Undo the last write: so many bytes of a line that did not fit.

        They are cut off where they are the end of the file. Where another worker has written behind them already, they
        become a line of blanks: nobody else's line is touched, and none is glued to them.
        """
        descriptor = self._file.fileno()
        end, size = os.lseek(descriptor, 0, os.SEEK_CUR), os.fstat(descriptor).st_size
        if size <= end:  # less: it was emptied meanwhile, by logrotate's copytruncate say
            os.ftruncate(descriptor, min(size, end - part))
            os.lseek(descriptor, end - part, os.SEEK_SET)
            return
        # By a descriptor without O_APPEND, with which Linux writes to the end whatever the place: pwrite(2), BUGS.
        with open(f"/proc/self/fd/{descriptor}", "r+b", buffering=0) as file:  # noqa: PTH123 (a descriptor)
            os.pwrite(file.fileno(), b" " * (part - 1) + b"\n", end - part)

    def fileno(self) -> int:
        """See Sink."""
        return self._file.fileno()

    def close(self) -> None:
        """See Sink."""
        self._file.close()


class Stream(_Lines):
    """A pipe, socket, terminal or device. Others may write there too: lines of up to PIPE_BUF bytes stay whole."""

    def __init__(self, file: io.FileIO | socket.socket) -> None:
        self._file = file
        self._rest = b""
        """Of a line that was taken."""
        self._poll = select.poll()
        self._poll.register(file, select.POLLOUT)

    @property
    def is_behind(self) -> bool:
        """See Sink."""
        return bool(self._rest)

    def write(self, lines: Sequence[str]) -> int:
        """See Sink."""
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
        """Whether nothing is left."""
        while self._rest:
            if not (written := self._write_some(self._rest)):
                return False
            self._rest = self._rest[written:]
        return True

    def _write_some(self, data: bytes) -> int:
        """How many bytes were written, 0 where there is no room."""
        if not self._poll.poll(0):
            return 0
        piece = data[: select.PIPE_BUF]
        try:
            if isinstance(self._file, socket.socket):
                return self._file.send(piece, socket.MSG_DONTWAIT)
            return self._file.write(piece) or 0  # None: another process has just taken the room
        except BlockingIOError:
            return 0

    def fileno(self) -> int:
        """See Sink."""
        return self._file.fileno()

    def close(self) -> None:
        """See Sink."""
        self._file.close()


class StandardOutput(Stream):
    """The pipe, socket, terminal or device that standard output is. It stays open for others."""

    def __init__(self) -> None:
        given = _standard_output()
        mode = os.fstat(given).st_mode
        unshared = _unshared(given) if stat.S_ISFIFO(mode) else None
        if stat.S_ISSOCK(mode):
            super().__init__(socket.socket(fileno=os.dup(given)))
        else:
            super().__init__(_written(given, closefd=False) if unshared is None else _written(unshared))


def standard_output() -> Sink:
    """Whatever it is. Raises OSError when there is none."""
    given = _standard_output()
    if stat.S_ISREG(os.fstat(given).st_mode):
        return RegularFile(_written(given, closefd=False))
    return StandardOutput()


def _standard_output() -> int:
    if sys.stdout is None:  # it was closed before bley was started
        raise OSError(errno.EBADF, "there is no standard output")
    return sys.stdout.fileno()


class File(_Lines):
    """A file, created where there is none, and opened again when it was rotated; or a FIFO or device."""

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
        """See Sink."""
        return self._sink.is_behind

    def write(self, lines: Sequence[str]) -> int:
        """See Sink."""
        try:
            is_there = os.path.samestat(self._path.stat(), self._opened)
        except FileNotFoundError:
            is_there = False
        if not is_there:  # it was rotated
            old = self._sink
            self._reopen()
            old.close()
        return self._sink.write(lines)

    def fileno(self) -> int:
        """See Sink."""
        return self._sink.fileno()

    def close(self) -> None:
        """See Sink."""
        self._sink.close()


def _written(descriptor: int, *, closefd: bool = True) -> io.FileIO:
    return io.FileIO(descriptor, "wb", closefd=closefd)


def _unshared(pipe: int) -> int | None:
    """The same pipe, but never waited for when another process has just taken the room that was seen.

    As a mode of the descriptor given it would be so for all who share that. None where it may not be opened, in a
    container say: then such a writing may wait.
    """
    try:
        return os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def _fitting(lines: Sequence[str]) -> int:
    """How many of the lines, at least one, together have at most PIPE_BUF bytes: a pipe takes these in one piece."""
    sizes = accumulate(len(_encoded([line])) for line in lines)
    return max(1, sum(size <= select.PIPE_BUF for size in sizes))


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(lines).encode(errors="backslashreplace")
