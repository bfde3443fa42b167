"""What takes the log's lines: a file, standard output; log_sockets.py has the others. None waits for who reads."""

import os
import select
import socket
import stat
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Protocol

__all__ = ["File", "Sink", "StandardOutput"]

_MOST_FITTING = 100
"""Lines of which more would never fit into select.PIPE_BUF bytes."""


class Sink(Protocol):
    """Takes lines and never waits."""

    form: str
    """Of a line, in logging's words; NAME stands for bley's, with its process."""
    end: str

    @property
    def is_behind(self) -> bool:
        """Whether it has taken lines that it must still write."""

    def write(self, lines: Sequence[str]) -> int:
        """How many lines were taken. Raises OSError when none can be."""

    def fileno(self) -> int:
        """The descriptor that can be written to when it takes more."""

    def close(self) -> None:
        """Let go."""


class File:
    """A file, made where there is none, and opened anew when it was rotated."""

    form = "%(asctime)s NAME: %(message)s"
    end = "\n"
    is_behind = False

    def __init__(self, name: str) -> None:
        self._name = name
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self._name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._file = _identity(os.fstat(self._descriptor))

    def write(self, lines: Sequence[str]) -> int:
        """See Sink."""
        try:
            is_there = _identity(Path(self._name).stat()) == self._file
        except FileNotFoundError:
            is_there = False
        if not is_there:  # it was rotated
            old = self._descriptor
            self._open()
            os.close(old)
        data = _encoded(lines)
        while data:
            data = data[os.write(self._descriptor, data) :]
        return len(lines)

    def fileno(self) -> int:
        """See Sink."""
        return self._descriptor

    def close(self) -> None:
        """See Sink."""
        os.close(self._descriptor)


class StandardOutput:
    """Whatever it is. Others may write there too, workers say: lines of up to select.PIPE_BUF bytes stay whole."""

    form, end = File.form, File.end

    def __init__(self) -> None:
        given = sys.stdout.fileno()
        mode = os.fstat(given).st_mode
        self._is_file = stat.S_ISREG(mode)
        self._socket = socket.socket(fileno=os.dup(given)) if stat.S_ISSOCK(mode) else None
        self._pipe = _unshared(given) if stat.S_ISFIFO(mode) else None
        self._descriptor = given if self._pipe is None else self._pipe
        self._rest = b""
        """Of lines that were taken."""
        if not self._is_file:
            self._poll = select.poll()
            self._poll.register(self._descriptor, select.POLLOUT)

    @property
    def is_behind(self) -> bool:
        """See Sink."""
        return bool(self._rest)

    def write(self, lines: Sequence[str]) -> int:
        """See Sink."""
        taken = 0
        while taken < len(lines) and self._write_rest():
            count = len(lines) if self._is_file else _fitting(lines[taken : taken + _MOST_FITTING])
            self._rest = _encoded(lines[taken : taken + count])
            taken += count
        self._write_rest()
        return taken

    def _write_rest(self) -> bool:
        """Whether nothing is left."""
        while self._rest:
            try:
                self._rest = self._rest[self._write_some() :]
            except BlockingIOError:
                return False
        return True

    def _write_some(self) -> int:
        """How many bytes of the rest were written. Raises BlockingIOError when none can be without waiting."""
        if self._is_file:
            return os.write(self._descriptor, self._rest)
        if not self._poll.poll(0):
            raise BlockingIOError
        if self._socket:
            return self._socket.send(self._rest[: select.PIPE_BUF], socket.MSG_DONTWAIT)
        return os.write(self._descriptor, self._rest[: select.PIPE_BUF])

    def fileno(self) -> int:
        """See Sink."""
        return self._descriptor

    def close(self) -> None:
        """See Sink. It stays open for others."""
        if self._socket:
            self._socket.close()
        if self._pipe is not None:
            os.close(self._pipe)


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


def _identity(file: os.stat_result) -> tuple[int, int]:
    return file.st_dev, file.st_ino


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(lines).encode(errors="backslashreplace")
