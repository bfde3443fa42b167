"""The log's destination. Lines logged within a tick are written together, and no write blocks.

    a path     reopened after a rotation; a regular file has each line completely or not at all
    -          standard output; a pipe, socket or terminal without a reader does not block bley
    syslog     the local syslog, facility mail
    journald   systemd's journal, with fields

Lines wait in a queue while the destination has no room. Lines beyond the queue's size, and lines that meet an error
such as a full disk, are lost and counted. The first error is printed on standard error. The number of lost lines is
logged as soon as writing works again. Mail is answered meanwhile.
"""

import asyncio
import contextlib
import errno
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bley.coalescer import Coalescer
from bley.core.errors import Fault, SettingsError, StartError
from bley.core.quantity import quantity
from bley.log.files import File, Sink, standard_output
from bley.log.sockets import Journal, Syslog
from bley.metrics import LOG_DROPPED
from bley.operator_files import check_creatable, explain_refusal, may_recover

__all__ = ["LogHandler", "LogWriter", "check_sink", "configure_log", "log_writer", "open_sink", "use_sink"]

MAX_WAITING = 10_000
"""The most lines in the queue, some 2 MB."""

_LINES_PER_WRITE = 1000
"""The most lines formatted for one write: when the queue is full and the sink has little room, a retry costs little."""

_NAME = "bley"

_SINKS: Mapping[str, Callable[[], Sink]] = {
    "-": standard_output,
    "": standard_output,
    "syslog": Syslog,
    "journald": Journal,
}


class _Lines(NamedTuple):
    """Queued lines that were logged in the same second, with the same level."""

    second: int
    """Since 1970 UTC."""
    level: int
    texts: list[str]


class LogWriter:
    """The owner of the log: the queue of lines and the open sink, which a reload replaces.

    Lines of one tick are written together. Warnings, and lines logged without an event loop, are written at once.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._queue: deque[_Lines] = deque()
        self._queued = 0
        """The number of lines in the queue."""
        self._coalescer = Coalescer(self.flush)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: int | None = None
        """The descriptor that the event loop polls for room while lines wait."""
        self._lost = 0
        self._is_failing = False

    def add(self, lines: Sequence[str], level: int = logging.INFO, created: float | None = None) -> None:
        """Queue lines logged at `created`, by default now."""
        if (room := MAX_WAITING - self._queued) < len(lines):
            self._count_lost(len(lines) - room)
            lines = lines[:room]
        if lines:
            second = int(time.time() if created is None else created)
            if not self._queue or self._queue[-1][:2] != (second, level):
                self._queue.append(_Lines(second, level, []))
            self._queue[-1].texts.extend(lines)
            self._queued += len(lines)
        self._loop = _running_loop()
        if level >= logging.WARNING or self._loop is None:
            self.flush()
        else:
            self._coalescer.schedule()

    def add_from_any_thread(self, line: str, level: int, created: float) -> None:
        """Queue a line; the event loop does it if the caller is another thread."""
        if self._loop and self._loop.is_running() and _running_loop() is None:
            self._loop.call_soon_threadsafe(self.add, [line], level, created)
        else:
            self.add([line], level, created)

    def flush(self) -> None:
        """Write queued lines, as far as the sink has room."""
        if not self._queue and self._watched is None:
            return
        self._watch(waits=False)  # the write may reconnect the sink, with another descriptor
        try:
            self._write()
        except OSError as error:
            self._count_lost(self._queued)
            self._queue.clear()
            self._queued = 0
            if not self._is_failing:
                print(f"{_NAME}: the log cannot be written: {error}", file=sys.stderr)
            self._is_failing = True
            return
        self._is_failing = False
        if self._queue or self._sink.is_behind:
            self._watch(waits=True)
        elif self._lost:
            lost, self._lost = quantity(self._lost, "log line was", "log lines were"), 0
            self.add([f"{lost} lost because the log could not be written"], logging.WARNING)

    def switch(self, sink: Sink) -> None:
        """Replace the sink and close the old one. Cannot fail.

        Lines that the old sink does not accept at once go to the new one.
        """
        self._watch(waits=False)
        with contextlib.suppress(OSError):  # such as a full disk: the new sink gets the lines
            self._write()
        if self._sink.is_behind:
            self._count_lost(1)
        with contextlib.suppress(OSError):  # the descriptor is closed even so: close(2)
            self._sink.close()
        self._sink = sink
        self.flush()

    def close(self) -> None:
        """Write queued lines and close the sink. Lines logged later are lost."""
        self.flush()
        self._watch(waits=False)
        with contextlib.suppress(OSError):
            self._sink.close()
        self._sink = _Closed()

    def _write(self) -> None:
        """Write queued lines until the sink has no room. Raises OSError."""
        if not self._queue:
            self._sink.write([])  # the rest of a partly written line
        while self._queue:
            second, level, texts = self._queue[0]
            head, end = self._sink.head(second, level), self._sink.end
            accepted = self._sink.write([f"{head}{text}{end}" for text in texts[:_LINES_PER_WRITE]])
            if not accepted:
                return
            del texts[:accepted]
            self._queued -= accepted
            if not texts:
                self._queue.popleft()

    def _watch(self, *, waits: bool) -> None:
        """Have the event loop call `flush` when the sink has room, if lines wait for it."""
        if not (waits or self._watched is not None) or (loop := _running_loop()) is None:
            return
        if self._watched is not None:
            loop.remove_writer(self._watched)
            self._watched = None
        if waits:
            self._watched = self._sink.fileno()
            loop.add_writer(self._watched, self.flush)

    def _count_lost(self, count: int) -> None:
        self._lost += count
        LOG_DROPPED.inc(count)


class LogHandler(logging.Handler):
    """Sends the records of Python's logging to a LogWriter."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's message, with its traceback if it has one."""
        self.writer.add_from_any_thread(self.format(record), record.levelno, record.created)

    def flush(self) -> None:
        """Write queued lines."""
        self.writer.flush()

    def close(self) -> None:
        """Close the log."""
        self.writer.close()
        super().close()


class _Closed:
    """The sink of a closed log."""

    end, is_behind = "", False

    def head(self, second: int, level: int) -> str:
        return ""

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


def open_sink(log_file: str) -> Sink:
    """Open the destination `log_file`: `syslog` (facility mail), `journald`, `-` (standard output) or a path.

    Raises SettingsError if it cannot be opened.
    """
    with _faults(log_file):
        return _SINKS[log_file]() if log_file in _SINKS else File(log_file)


def check_sink(log_file: str) -> None:
    """Raise the SettingsError of `open_sink`, and write nothing."""
    if _SINKS.get(log_file) is standard_output:
        return
    if log_file in _SINKS or Path(log_file).exists():
        open_sink(log_file).close()
        return
    with _faults(log_file):
        check_creatable(Path(log_file))


@contextlib.contextmanager
def _faults(log_file: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StartError if may_recover(error, Path(log_file)) else SettingsError
        why = explain_refusal(error, Path(log_file))
        raise kind([Fault("log_file", 0, f"{log_file} cannot be opened: {why}")]) from error
    except ValueError as error:  # a NUL in the name
        raise SettingsError([Fault("log_file", 0, f"{log_file} cannot be opened: {error}")]) from error


def use_sink(sink: Sink, level: int) -> None:
    """Send bley's log to this sink from now on. Cannot fail."""
    # No line names thread, task or source, so logging need not look them up. Source: logging's docs, Optimization.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None
    root = logging.getLogger(_NAME)
    if writer := log_writer():
        writer.switch(sink)
    else:
        root.addHandler(LogHandler(LogWriter(sink)))
    root.setLevel(level)
    root.propagate = False


def configure_log(log_file: str, level: int) -> None:
    """Send bley's log to `log_file`, as in `open_sink`. Raises SettingsError if it cannot be opened."""
    use_sink(open_sink(log_file), level)


def log_writer() -> LogWriter | None:
    """Return the owner of bley's log; None before `use_sink`."""
    for handler in logging.getLogger(_NAME).handlers:
        if isinstance(handler, LogHandler):
            return handler.writer
    return None
