"""Where the log goes: what is logged within a tick is written at once, without waiting for anybody who reads it.

    a path     reopened when the file was rotated
    -          standard output; a pipe, socket or terminal that nobody reads is not waited for
    syslog     the local one, facility mail

Lines that nobody takes wait, some thousands of them; what is more, or meets an error such as a full disk, is lost and
counted. The error is told once on standard error, the count by the log as soon as it goes on; it stops no mail.
"""

import asyncio
import logging
import os
import select
import socket
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bley.core.errors import Fault, SettingsError
from bley.metrics import LOG_DROPPED
from bley.pacing import Pacer

__all__ = ["LogOutput", "configure_log", "log_output"]

MAX_WAITING = 10_000
"""Lines, some 2 MB."""

_PORTION = 20
"""Lines that mostly go into a pipe without waiting, which takes select.PIPE_BUF bytes if any."""

_SYSLOG_SOCKET = "/dev/log"
_SYSLOG_PRIORITIES = {logging.DEBUG: 23, logging.INFO: 22, logging.WARNING: 20, logging.ERROR: 19, logging.CRITICAL: 18}
"""Facility mail (2), times 8, and the severity: RFC 5424 6.2.1."""

_NAME = "bley"


class LogOutput(logging.Handler):
    """Writes what is logged within a tick at once; warnings, and what is logged without a loop, now."""

    def __init__(self, sink: "_Sink") -> None:
        super().__init__()
        self._sink = sink
        form = sink.form.replace("NAME", f"{_NAME}[{os.getpid()}]")
        formatter = logging.Formatter(form, "%Y-%m-%dT%H:%M:%SZ")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)
        self._new: list[logging.LogRecord | str] = []
        self._lines: list[str] = []
        """In their final form, and not taken yet."""
        self._pacer = Pacer(self.flush)
        self._lost = 0
        self._is_failing = False

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        self._add([record], is_urgent=record.levelno >= logging.WARNING)

    def add(self, lines: Sequence[str]) -> None:
        """Log lines of level INFO, which cost less so."""
        self._add(lines, is_urgent=False)

    def _add(self, what: Sequence[logging.LogRecord | str], *, is_urgent: bool) -> None:
        self._new += what
        if is_urgent or not _has_loop():
            self.flush()
        else:
            self._pacer.want()

    def flush(self) -> None:
        """Write what waits, as far as that goes at once."""
        self._lines += self._formatted()
        self._lose(len(self._lines) - MAX_WAITING)
        if not self._lines:
            return
        try:
            taken = self._sink.write(self._lines)
        except OSError as error:
            self._lose(len(self._lines))
            if not self._is_failing:
                print(f"{_NAME}: the log cannot be written: {error}", file=sys.stderr)
            self._is_failing = True
            return
        self._is_failing = False
        del self._lines[:taken]
        if self._lines and _has_loop():
            asyncio.get_running_loop().add_writer(self._sink.fileno(), self._go_on)
        elif self._lost:
            lost, self._lost = self._lost, 0
            self.emit(_record(f"{lost} lines of the log are lost, it could not be written", logging.WARNING))

    def _go_on(self) -> None:
        """Somebody has read."""
        asyncio.get_running_loop().remove_writer(self._sink.fileno())
        self.flush()

    def _lose(self, count: int) -> None:
        """The newest."""
        if count > 0:
            del self._lines[-count:]
            self._lost += count
            LOG_DROPPED.inc(count)

    def _formatted(self) -> list[str]:
        new, self._new = self._new, []
        before, end = self.format(_record("")), self._sink.end
        return [f"{before}{each}{end}" if isinstance(each, str) else self.format(each) + end for each in new]

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Handler."""
        record.priority = _SYSLOG_PRIORITIES.get(record.levelno, _SYSLOG_PRIORITIES[logging.INFO])
        return super().format(record)

    def close(self) -> None:
        """Write what waits, and let go."""
        self.flush()
        if self._lines and _has_loop():
            asyncio.get_running_loop().remove_writer(self._sink.fileno())
        self._sink.close()
        super().close()


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _record(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.makeLogRecord({"name": _NAME, "levelno": level, "msg": message})


class _Sink(Protocol):
    """Takes lines and never waits."""

    form: str
    """Of a line, in logging's words; NAME stands for bley's, with its process."""
    end: str

    def write(self, lines: Sequence[str]) -> int:
        """How many lines were taken. Raises OSError when none can be."""

    def fileno(self) -> int:
        """The descriptor that can be written to when it takes more."""

    def close(self) -> None:
        """Let go."""


class _File:
    form = "%(asctime)s NAME: %(message)s"
    end = "\n"

    def __init__(self, name: str) -> None:
        self._name = name
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self._name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._file = _identity(os.fstat(self._descriptor))

    def write(self, lines: Sequence[str]) -> int:
        """See _Sink."""
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
        """See _Sink."""
        return self._descriptor

    def close(self) -> None:
        """See _Sink."""
        os.close(self._descriptor)


class _StandardOutput:
    form, end = _File.form, _File.end

    def __init__(self) -> None:
        self._descriptor = sys.stdout.fileno()
        self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._rest = b""
        """Of lines that were taken."""
        if not self._is_file:
            self._poll = select.poll()
            self._poll.register(self._descriptor, select.POLLOUT)

    def write(self, lines: Sequence[str]) -> int:
        """See _Sink."""
        taken = 0
        while taken < len(lines) and self._write_rest():
            portion = lines[taken:] if self._is_file else lines[taken : taken + _PORTION]
            self._rest = _encoded(portion)
            taken += len(portion)
        self._write_rest()
        return taken

    def _write_rest(self) -> bool:
        """Whether nothing is left."""
        while self._rest:
            if self._is_file:
                size = len(self._rest)
            elif self._poll.poll(0):
                size = select.PIPE_BUF
            else:
                return False
            self._rest = self._rest[os.write(self._descriptor, self._rest[:size]) :]
        return True

    def fileno(self) -> int:
        """See _Sink."""
        return self._descriptor

    def close(self) -> None:
        """See _Sink. It stays open for others."""


class _Syslog:
    form = "<%(priority)d>NAME: %(message)s"
    end = "\0"

    def __init__(self) -> None:
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect(_SYSLOG_SOCKET)
        except OSError:
            self._socket.close()
            raise

    def write(self, lines: Sequence[str]) -> int:
        """See _Sink. A line is a datagram."""
        for taken, line in enumerate(lines):
            try:
                self._send(_encoded([line]))
            except BlockingIOError:
                return taken
        return len(lines)

    def _send(self, datagram: bytes) -> None:
        try:
            self._socket.send(datagram)
        except BlockingIOError:
            raise
        except OSError:
            self._socket.close()
            self._connect()  # it was restarted
            self._socket.send(datagram)

    def fileno(self) -> int:
        """See _Sink."""
        return self._socket.fileno()

    def close(self) -> None:
        """See _Sink."""
        self._socket.close()


def _identity(file: os.stat_result) -> tuple[int, int]:
    return file.st_dev, file.st_ino


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(lines).encode(errors="backslashreplace")


def configure_log(log_file: str, level: int) -> None:
    """Send bley's log to `log_file`: `syslog` (facility mail), `-` (stdout) or a path, reopened when it was rotated.

    Raises SettingsError when it cannot be opened.
    """
    try:
        sink = _Syslog() if log_file == "syslog" else _StandardOutput() if log_file in ("-", "") else _File(log_file)
    except OSError as error:
        raise SettingsError([Fault("log_file", 0, f"{log_file} cannot be opened: {error.strerror}")]) from error
    # No line names thread, task or source, so none is looked up. Source: logging's documentation, Optimization.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None
    root = logging.getLogger(_NAME)
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(LogOutput(sink))
    root.setLevel(level)
    root.propagate = False


def log_output() -> LogOutput | None:
    """Where bley's log goes; None while nobody has said so."""
    handlers = logging.getLogger(_NAME).handlers
    return next((handler for handler in handlers if isinstance(handler, LogOutput)), None)
