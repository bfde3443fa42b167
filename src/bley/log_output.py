"""Where the log goes: what is logged within a tick is written at once, without waiting for anybody who reads it.

    a path     reopened when the file was rotated
    -          standard output; a pipe, socket or terminal that nobody reads is not waited for
    syslog     the local one, facility mail
    journald   systemd's journal, with fields

Lines that nobody takes wait, some thousands of them; what is more, or meets an error such as a full disk, is lost and
counted. The error is told once on standard error, the count by the log as soon as it goes on; it stops no mail.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from bley.core.errors import Fault, SettingsError
from bley.log_sinks import File, Sink, StandardOutput
from bley.log_sockets import Journal, Syslog
from bley.metrics import LOG_DROPPED
from bley.pacing import Pacer

__all__ = ["LogOutput", "configure_log", "log_output"]

MAX_WAITING = 10_000
"""Lines, some 2 MB."""

_SYSLOG_PRIORITIES = {logging.DEBUG: 23, logging.INFO: 22, logging.WARNING: 20, logging.ERROR: 19, logging.CRITICAL: 18}
"""Facility mail (2), times 8, and the severity: RFC 5424 6.2.1."""

_NAME = "bley"

_SINKS: Mapping[str, Callable[[], Sink]] = {
    "-": StandardOutput,
    "": StandardOutput,
    "syslog": Syslog,
    "journald": Journal,
}


class LogOutput(logging.Handler):
    """Writes what is logged within a tick at once; warnings, and what is logged without a loop, now."""

    def __init__(self, sink: Sink) -> None:
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
        self._is_failing = self._is_watching = False

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
        if not (self._lines or self._is_watching):
            return
        try:
            taken = self._sink.write(self._lines)
        except OSError as error:
            self._lose(len(self._lines))
            if not self._is_failing:
                print(f"{_NAME}: the log cannot be written: {error}", file=sys.stderr)
            self._is_failing = True
            self._watch(waits=False)
            return
        self._is_failing = False
        del self._lines[:taken]
        self._watch(waits=bool(self._lines) or self._sink.is_behind)
        if self._lost and not self._lines:
            lost, self._lost = self._lost, 0
            self.emit(_record(f"{lost} lines of the log are lost, it could not be written", logging.WARNING))

    def _watch(self, *, waits: bool) -> None:
        """Go on when the sink can be written to again, if lines wait for that."""
        if not (waits or self._is_watching) or not _has_loop():
            return
        loop, was_watching, self._is_watching = asyncio.get_running_loop(), self._is_watching, waits
        if was_watching:  # each time anew: who takes the lines may be another now
            loop.remove_writer(self._sink.fileno())
        if waits:
            loop.add_writer(self._sink.fileno(), self.flush)

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
        self._watch(waits=False)
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


def configure_log(log_file: str, level: int) -> None:
    """Send bley's log to `log_file`: `syslog` (facility mail), `journald`, `-` (stdout) or a path.

    Raises SettingsError when it cannot be opened.
    """
    try:
        sink = _SINKS[log_file]() if log_file in _SINKS else File(log_file)
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
