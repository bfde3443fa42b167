"""Where the log goes: what is logged within a tick is written at once, without waiting for anybody who reads it.

    a path     reopened when the file was rotated; of a file, a line is there as a whole or not at all
    -          standard output; a pipe, socket or terminal that nobody reads is not waited for
    syslog     the local one, facility mail
    journald   systemd's journal, with fields

Lines that nobody takes wait, some thousands of them; what is more, or meets an error such as a full disk, is lost and
counted. The error is told once on standard error, the count by the log as soon as it goes on; it stops no mail.
"""

import asyncio
import contextlib
import errno
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from bley.coalescer import Coalescer
from bley.core.errors import Fault, SettingsError
from bley.core.quantity import quantity
from bley.log.files import File, Sink, standard_output
from bley.log.sockets import Journal, Syslog
from bley.metrics import LOG_DROPPED

__all__ = ["LogOutput", "configure_log", "log_output", "open_sink", "use_sink"]

MAX_WAITING = 10_000
"""Lines, some 2 MB."""

_SYSLOG_PRIORITIES = {logging.DEBUG: 23, logging.INFO: 22, logging.WARNING: 20, logging.ERROR: 19, logging.CRITICAL: 18}
"""Facility mail (2), times 8, and the severity: RFC 5424 6.2.1."""

_NAME = "bley"

_SINKS: Mapping[str, Callable[[], Sink]] = {
    "-": standard_output,
    "": standard_output,
    "syslog": Syslog,
    "journald": Journal,
}


class LogOutput(logging.Handler):
    """The owner of the log: it alone holds the sink, for as long as the process lives, and changes it at a reload.

    It writes what is logged within a tick at once; warnings, and what is logged without a loop, now.
    """

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._new: list[logging.LogRecord | str] = []
        self._lines: list[str] = []
        """In the form of the present sink, and not taken yet."""
        self._stamps: list[tuple[float, int]] = []
        """Of each that had to wait: when it was logged, and its level. For another sink's form."""
        self._pacer = Coalescer(self.flush)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: int | None = None
        """The descriptor that the loop watches, since lines wait for room there."""
        self._lost = 0
        self._is_failing = False
        self._take(sink)

    def _take(self, sink: Sink) -> None:
        self._sink = sink
        form = sink.form.replace("NAME", f"{_NAME}[{os.getpid()}]")
        formatter = logging.Formatter(form, "%Y-%m-%dT%H:%M:%SZ")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def switch(self, sink: Sink) -> None:
        """Write to this sink from now on, and close the old one. Cannot fail.

        What the old sink does not take at once goes to the new one.
        """
        new = self._format_new()
        self._watch(waits=False)
        with contextlib.suppress(OSError):  # a full disk, say: the new sink takes the lines
            self._write()
        if self._sink.is_behind:
            self._count_lost(1)
        with contextlib.suppress(OSError):  # the descriptor is closed all the same: close(2)
            self._sink.close()
        self._stamp(new)
        texts = self._texts()
        self._take(sink)
        self._lines = self._formatted([_record(text, *stamp) for text, stamp in zip(texts, self._stamps, strict=True)])
        self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        is_urgent = record.levelno >= logging.WARNING
        if self._loop and self._loop.is_running() and _running_loop() is None:  # in a thread
            self._loop.call_soon_threadsafe(lambda: self._add([record], is_urgent=is_urgent))
        else:
            self._add([record], is_urgent=is_urgent)

    def add(self, lines: Sequence[str]) -> None:
        """Log lines of level INFO, which cost less so."""
        self._add(lines, is_urgent=False)

    def _add(self, what: Sequence[logging.LogRecord | str], *, is_urgent: bool) -> None:
        self._new += what
        self._loop = _running_loop()
        if is_urgent or self._loop is None:
            self.flush()
        else:
            self._pacer.want()

    def flush(self) -> None:
        """Write what waits, as far as that goes at once."""
        new = self._format_new()
        if not self._lines and self._watched is None:
            return
        self._watch(waits=False)  # while the sink writes, it may connect again, by another descriptor
        try:
            self._write()
        except OSError as error:
            self._lose(len(self._lines))
            if not self._is_failing:
                print(f"{_NAME}: the log cannot be written: {error}", file=sys.stderr)
            self._is_failing = True
            return
        self._is_failing = False
        if self._lines or self._sink.is_behind:
            self._stamp(new)
            self._watch(waits=True)
        elif self._lost:
            lost, self._lost = quantity(self._lost, "line of the log is", "lines of the log are"), 0
            self.emit(_record(f"{lost} lost, it could not be written", level=logging.WARNING))

    def _format_new(self) -> list[logging.LogRecord | str]:
        """Put what is new into its form. What there is room for is returned."""
        new, self._new = self._new, []
        self._lines += self._formatted(new)
        if (too_many := len(self._lines) - MAX_WAITING) > 0:
            self._lose(too_many)
            del new[-too_many:]
        return new

    def _stamp(self, new: Sequence[logging.LogRecord | str]) -> None:
        """Give each line its stamp; those that have none yet are the last ones of `new`."""
        now = time.time(), logging.INFO
        bare = new[len(new) - (len(self._lines) - len(self._stamps)) :]
        self._stamps += [now if isinstance(each, str) else (each.created, each.levelno) for each in bare]

    def _texts(self) -> list[str]:
        """The lines without what the sink's form puts around them, which is of one length for all."""
        before, after = len(self.format(_record(""))), len(self._sink.end)
        return [line[before : len(line) - after] for line in self._lines]

    def _formatted(self, what: Sequence[logging.LogRecord | str]) -> list[str]:
        before, end = self.format(_record("")), self._sink.end
        return [f"{before}{each}{end}" if isinstance(each, str) else self.format(each) + end for each in what]

    def _write(self) -> None:
        """Have the sink take lines until it has no room. Raises OSError."""
        while taken := self._sink.write(self._lines):
            del self._lines[:taken], self._stamps[:taken]
            if not self._lines:
                return

    def _watch(self, *, waits: bool) -> None:
        """Go on when the sink has room, if lines wait for that."""
        if not (waits or self._watched is not None) or (loop := _running_loop()) is None:
            return
        if self._watched is not None:
            loop.remove_writer(self._watched)
            self._watched = None
        if waits:
            self._watched = self._sink.fileno()
            loop.add_writer(self._watched, self.flush)

    def _lose(self, count: int) -> None:
        """The newest."""
        if count:
            del self._lines[-count:]
            del self._stamps[len(self._lines) :]
            self._count_lost(count)

    def _count_lost(self, count: int) -> None:
        self._lost += count
        LOG_DROPPED.inc(count)

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Handler."""
        record.priority = _SYSLOG_PRIORITIES.get(record.levelno, _SYSLOG_PRIORITIES[logging.INFO])
        return super().format(record)

    def close(self) -> None:
        """Write what waits, and let go. What is logged later is lost."""
        self.flush()
        self._watch(waits=False)
        with contextlib.suppress(OSError):
            self._sink.close()
        self._sink = _Closed()
        super().close()


class _Closed:
    """No sink any more."""

    form, end, is_behind = "%(message)s", "", False

    def write(self, lines: Sequence[str]) -> int:
        if lines:
            raise OSError(errno.EBADF, "the log is closed")
        return 0

    def fileno(self) -> int:
        return -1

    def close(self) -> None: ...


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _record(message: str, created: float | None = None, level: int = logging.INFO) -> logging.LogRecord:
    record = logging.makeLogRecord({"name": _NAME, "levelno": level, "msg": message})
    if created is not None:
        record.created = created
    return record


def open_sink(log_file: str) -> Sink:
    """Open what `log_file` means: `syslog` (facility mail), `journald`, `-` (stdout) or a path.

    Raises SettingsError when it cannot be opened.
    """
    try:
        return _SINKS[log_file]() if log_file in _SINKS else File(log_file)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingsError([Fault("log_file", 0, f"{log_file} cannot be opened: {why}")]) from error


def use_sink(sink: Sink, level: int) -> None:
    """Send bley's log there from now on. Cannot fail."""
    # No line names thread, task or source, so none is looked up. Source: logging's documentation, Optimization.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None
    root = logging.getLogger(_NAME)
    if output := log_output():
        output.switch(sink)
    else:
        root.addHandler(LogOutput(sink))
    root.setLevel(level)
    root.propagate = False


def configure_log(log_file: str, level: int) -> None:
    """Send bley's log to `log_file`, as `open_sink` has it. Raises SettingsError when it cannot be opened."""
    use_sink(open_sink(log_file), level)


def log_output() -> LogOutput | None:
    """The owner of bley's log; None while nobody has said where it goes."""
    for handler in logging.getLogger(_NAME).handlers:
        if isinstance(handler, LogOutput):
            return handler
    return None
