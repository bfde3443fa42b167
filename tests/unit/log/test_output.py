"""Where the log goes, and what happens when it cannot go there."""

import asyncio
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from bley.core.decision import Decision
from bley.core.errors import SettingsError
from bley.core.mail import Request
from bley.core.reasons import Reason
from bley.log import output as log_output
from bley.log.decision_line import DecisionLog
from bley.log.output import configure_log
from bley.metrics import REGISTRY
from tests.unit.log.test_files import file_limit

pytestmark = pytest.mark.leaps


@contextmanager
def _restored(logger: logging.Logger) -> Iterator[None]:
    before = (logger.handlers[:], logger.level, logger.propagate)
    try:
        yield
    finally:
        for handler in logger.handlers:
            if handler not in before[0]:
                handler.close()
        logger.handlers[:], logger.propagate = before[0], before[2]
        logger.setLevel(before[1])


@contextmanager
def clean_logger() -> Iterator[logging.Logger]:
    """bley's logger, which is as before afterwards."""
    logger = logging.getLogger("bley")
    with _restored(logger):
        logger.handlers[:] = []
        yield logger


@pytest.fixture(name="logger")
def _logger() -> Iterator[logging.Logger]:
    with clean_logger() as logger:
        yield logger


@pytest.fixture(name="_tokyo")
def _far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local time that is not UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ bley\[\d+\]: hello\n")


@pytest.mark.parametrize("log_file", ["-", ""])
def test_log_to_stdout(log_file: str, logger: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    configure_log(log_file, logging.INFO)
    logger.info("hello")
    assert LINE.fullmatch(capfd.readouterr().out)


def test_log_to_a_file_that_is_rotated(logger: logging.Logger, tmp_path: Path) -> None:
    """After the file was moved away, the next line is in a new one."""
    file = tmp_path / "bley.log"
    configure_log(str(file), logging.INFO)
    logger.info("hello")
    file.rename(tmp_path / "bley.log.decision_line.1")
    logger.info("hello")
    assert LINE.fullmatch(file.read_text(encoding="utf-8"))
    assert LINE.fullmatch((tmp_path / "bley.log.decision_line.1").read_text(encoding="utf-8"))


@pytest.mark.usefixtures("_tokyo")
def test_time_is_utc(logger: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever the time zone of the machine."""
    configure_log("-", logging.INFO)
    logger.handle(logging.makeLogRecord({"msg": "hello", "levelno": logging.INFO, "created": 0.0}))
    assert capfd.readouterr().out.startswith("1970-01-01T00:00:00Z bley[")


def test_level(logger: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    configure_log("-", logging.WARNING)
    logger.info("not this")
    logging.getLogger("bley.server").warning("hello")
    assert LINE.fullmatch(capfd.readouterr().out)


def test_reload_replaces_the_log(logger: logging.Logger, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is written twice, and the old file is let go."""
    configure_log("-", logging.INFO)
    configure_log(str(tmp_path / "first"), logging.INFO)
    configure_log(str(tmp_path / "second"), logging.INFO)
    logger.info("hello")
    assert capfd.readouterr().out == ""
    assert (tmp_path / "first").read_text(encoding="utf-8") == ""
    assert LINE.fullmatch((tmp_path / "second").read_text(encoding="utf-8"))
    assert len(logger.handlers) == 1


def test_file_that_cannot_be_opened(logger: logging.Logger, tmp_path: Path) -> None:
    """The old log goes on."""
    configure_log("-", logging.INFO)
    before = logger.handlers[:]
    with pytest.raises(SettingsError) as caught:
        configure_log(str(tmp_path / "no" / "bley.log"), logging.INFO)
    assert str(caught.value) == f"log_file: {tmp_path}/no/bley.log cannot be opened: No such file or directory"
    assert logger.handlers == before


def said(file: Path) -> list[str]:
    """The messages in a log file."""
    return [line.rpartition(": ")[2] for line in file.read_text().splitlines()]


async def test_what_is_logged_in_one_turn_is_written_together(logger: logging.Logger, tmp_path: Path) -> None:
    """The answer goes out first; order is kept."""
    configure_log(str(tmp_path / "log"), logging.INFO)
    logger.info("one")
    logger.info("two")
    assert said(tmp_path / "log") == []
    await asyncio.sleep(0)
    assert said(tmp_path / "log") == ["one", "two"]


async def test_a_warning_waits_for_nothing(logger: logging.Logger, tmp_path: Path) -> None:
    configure_log(str(tmp_path / "log"), logging.INFO)
    logger.info("one")
    logger.warning("two")
    assert said(tmp_path / "log") == ["one", "two"]
    await asyncio.sleep(0)
    assert said(tmp_path / "log") == ["one", "two"]


async def test_what_waits_is_written_when_the_log_is_replaced(logger: logging.Logger, tmp_path: Path) -> None:
    configure_log(str(tmp_path / "log"), logging.INFO)
    logger.info("one")
    configure_log(str(tmp_path / "other"), logging.INFO)
    assert said(tmp_path / "log") == ["one"]


async def test_a_full_disk_stops_nothing(logger: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """The lines are lost, and standard error says why."""
    configure_log("/dev/full", logging.INFO)
    logger.info("one")
    await asyncio.sleep(0)
    assert "No space left on device" in capfd.readouterr().err


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not is_so():  # noqa: ASYNC110 (no event to await)
            await asyncio.sleep(0.005)


async def test_what_comes_within_a_tick_is_written_together(logger: logging.Logger, tmp_path: Path) -> None:
    configure_log(str(tmp_path / "log"), logging.INFO)
    logger.info("one")
    await asyncio.sleep(0)
    logger.info("two")
    await asyncio.sleep(0)
    logger.info("three")
    assert said(tmp_path / "log") == ["one"]
    await _until(lambda: said(tmp_path / "log") == ["one", "two", "three"])


async def test_lines_of_decisions_stand_in_order_with_all_else(logger: logging.Logger, tmp_path: Path) -> None:
    configure_log(str(tmp_path / "log"), logging.INFO)
    output = log_output.log_writer()
    assert output
    output.add(["hello"])
    logger.info("world")
    output.add(["hello"])
    output.flush()
    lines = (tmp_path / "log").read_text()
    assert said(tmp_path / "log") == ["hello", "world", "hello"]
    assert all(LINE.fullmatch(f"{line}\n") for line in lines.splitlines() if "world" not in line)


class TestNobodyReads:
    """Standard output is a pipe, say, whose reader hangs: bley does not wait for him."""

    @pytest.fixture
    def reader(self, monkeypatch: pytest.MonkeyPatch, logger: logging.Logger) -> Iterator[BinaryIO]:
        """The other end of standard output."""
        ours, theirs = os.pipe()
        with open(ours, "rb", buffering=0) as reader, open(theirs, "w") as stdout:  # noqa: PTH123 (descriptors)
            monkeypatch.setattr(sys, "stdout", stdout)
            configure_log("-", logging.INFO)
            yield reader
            os.set_blocking(ours, False)
            while reader.read(65536):
                pass
            logger.handlers[0].close()
            logger.handlers.clear()

    def _read_all(self, reader: BinaryIO) -> str:
        os.set_blocking(reader.fileno(), False)
        return b"".join(iter(lambda: reader.read(65536) or b"", b"")).decode()

    async def test_lines_wait_and_none_is_lost(self, logger: logging.Logger, reader: BinaryIO) -> None:
        numbers = range(3000)
        for number in numbers:
            logger.info("%d %s", number, "x" * 100)
        await asyncio.sleep(0.01)
        text = ""

        def is_all_there() -> bool:
            nonlocal text
            text += self._read_all(reader)
            return f" {numbers[-1]} " in text

        await _until(is_all_there)
        assert re.findall(r": (\d+) x{100}$", text, re.MULTILINE) == list(map(str, numbers))

    async def test_what_is_too_much_is_lost_counted_and_told(
        self, logger: logging.Logger, reader: BinaryIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log_output, "MAX_WAITING", 100)
        before = REGISTRY.get_sample_value("bley_log_dropped_total") or 0
        for number in range(3000):
            logger.info("%d %s", number, "x" * 100)
            if number % 50 == 0:
                await asyncio.sleep(0.006)
        text = ""

        def is_told() -> bool:
            nonlocal text
            text += self._read_all(reader)
            return "log lines were lost" in text

        await _until(is_told)
        kept = re.findall(r": (\d+) x{100}$", text, re.MULTILINE)
        assert kept[:100] == list(map(str, range(100)))
        assert re.search(rf"{3000 - len(kept)} log lines were lost because the log could not be written", text)
        assert REGISTRY.get_sample_value("bley_log_dropped_total") == before + 3000 - len(kept)

    async def test_the_end_of_what_was_taken_comes_too(self, logger: logging.Logger, reader: BinaryIO) -> None:
        """Although nothing more is logged that would carry it along."""
        for number in range(20):
            logger.info("%d %s", number, "x" * 20_000)
        await asyncio.sleep(0.01)
        text = ""

        def is_all_there() -> bool:
            nonlocal text
            text += self._read_all(reader)
            return text.count("\n") == 20

        await _until(is_all_there)
        assert re.findall(r": (\d+) x{20000}$", text, re.MULTILINE) == list(map(str, range(20)))

    async def test_one_that_has_gone_is_not_watched_any_more(
        self, logger: logging.Logger, reader: BinaryIO, capfd: pytest.CaptureFixture[str]
    ) -> None:
        for _ in range(3000):
            logger.info("x" * 100)
        await asyncio.sleep(0.01)
        output = log_output.log_writer()
        assert output
        assert output._watched is not None
        with open(os.devnull, "rb") as null:  # noqa: ASYNC230, PTH123 (a descriptor)
            os.dup2(null.fileno(), reader.fileno())
        await _until(lambda: output._watched is None)
        assert "Broken pipe" in capfd.readouterr().err

    async def test_after_a_reload_the_new_log_has_what_it_did_not_take(
        self, logger: logging.Logger, reader: BinaryIO, tmp_path: Path
    ) -> None:
        """No line is lost, none is written twice, and the pipe is not watched any more."""
        for number in range(3000):
            logger.info("%d %s", number, "x" * 100)
        await asyncio.sleep(0.01)
        configure_log(str(tmp_path / "log"), logging.INFO)
        logger.info("hello")
        await _until(lambda: said(tmp_path / "log")[-1:] == ["hello"])
        output = log_output.log_writer()
        assert output
        assert output._watched is None
        text = self._read_all(reader) + (tmp_path / "log").read_text()
        assert re.findall(r": (\d+) x{100}$", text, re.MULTILINE) == list(map(str, range(3000)))


class _Kept:
    """A sink in memory, with room for some lines."""

    end, is_behind = "", False

    def __init__(self, form: str) -> None:
        self._form, self.lines, self.room = form, list[str](), 1000

    def head(self, second: int, level: int) -> str:
        return self._form.format(second=second, level=level)

    def write(self, lines: Sequence[str]) -> int:
        taken, self.room = min(self.room, len(lines)), max(self.room - len(lines), 0)
        self.lines += lines[:taken]
        return taken

    def fileno(self) -> int:
        return -1

    def close(self) -> None: ...


class TestOwner:
    """The one that holds the log's sink stays the same; the sink changes."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        return [tmp_path / name for name in ("first", "second")]

    @pytest.mark.usefixtures("logger")
    async def test_a_line_after_a_reload_is_in_the_new_file(self, files: list[Path]) -> None:
        """Also one of those that were told to write to the log before."""
        configure_log(str(files[0]), logging.INFO)
        before = log_output.log_writer()
        decisions = DecisionLog(is_json=False, observes=False)
        configure_log(str(files[1]), logging.INFO)
        assert before is log_output.log_writer()
        decisions.write(Decision(Request(recipient="b@example.org"), Reason.NOT_RCPT))
        await asyncio.sleep(0)
        assert files[0].read_text() == ""
        assert "reason=not-rcpt" in files[1].read_text()

    async def test_nothing_is_written_to_a_number_that_is_somebody_else_s_now(
        self, logger: logging.Logger, files: list[Path]
    ) -> None:
        """The kernel gives the number of a closed descriptor to the next one that is opened."""
        configure_log(str(files[0]), logging.INFO)
        output = log_output.log_writer()
        assert output
        for file in files * 10:
            logger.info("hello")
            configure_log(str(file), logging.INFO)
            ours, theirs = socket.socketpair()
            with ours, theirs:
                output.add(["hello"])
                output.flush()
                ours.setblocking(False)
                theirs.setblocking(False)
                for end in (ours, theirs):
                    with pytest.raises(BlockingIOError):
                        end.recv(1)
        assert len(said(files[0])) + len(said(files[1])) == 2 * 20

    async def test_lines_of_a_thread_are_written_by_the_loop(self, logger: logging.Logger, files: list[Path]) -> None:
        configure_log(str(files[0]), logging.INFO)
        logger.info("one")
        await asyncio.to_thread(logger.warning, "two")
        await asyncio.sleep(0)
        assert said(files[0]) == ["one", "two"]

    def test_lines_that_waited_keep_their_time_and_level(self) -> None:
        """And those for which there was no room are not among them."""
        old, new = _Kept("old: "), _Kept("{second} {level}: ")
        writer = log_output.LogWriter(old)
        handler = log_output.LogHandler(writer)
        old.room = 1
        handler.handle(logging.makeLogRecord({"msg": "taken", "levelno": logging.INFO}))
        handler.handle(logging.makeLogRecord({"msg": "%s", "args": ("one",), "levelno": logging.ERROR, "created": 0.5}))
        writer.add(["two", "three"], created=7.0)
        handler.handle(logging.makeLogRecord({"msg": "four\nfive", "levelno": logging.DEBUG, "created": 86400.0}))
        writer.switch(new)
        assert new.lines == ["0 40: one", "7 20: two", "7 20: three", "86400 10: four\nfive"]
        assert old.lines == ["old: taken"]

    async def test_what_is_logged_after_the_end_is_lost_and_not_somewhere_else(
        self, logger: logging.Logger, files: list[Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        configure_log(str(files[0]), logging.INFO)
        output = log_output.log_writer()
        assert output
        output.close()
        output.add(["hello"])
        output.flush()
        assert "the log is closed" in capfd.readouterr().err
        assert files[0].read_text() == ""
        logger.handlers.clear()


@pytest.mark.usefixtures("logger")
def test_a_fifo_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SettingsError, match="cannot be opened: No such device or address"):
        configure_log(str(tmp_path / "fifo"), logging.INFO)


@pytest.mark.usefixtures("logger")
def test_where_there_is_no_standard_output_that_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was closed when bley was started."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SettingsError, match="there is no standard output"):
        configure_log("-", logging.INFO)


@pytest.mark.usefixtures("logger")
def test_a_name_that_cannot_be_one_is_a_fault() -> None:
    with pytest.raises(SettingsError, match=r"cannot be opened: .*embedded null "):
        configure_log("a\0b", logging.INFO)


async def test_a_full_disk_is_told_once_and_what_is_lost_by_the_log(
    logger: logging.Logger, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log"
    file.symlink_to("/dev/full")
    configure_log(str(file), logging.INFO)
    for _ in range(3):
        logger.warning("one")
    assert capfd.readouterr().err.count("the log cannot be written") == 1
    file.unlink()
    logger.warning("two")
    assert said(file) == ["two", "3 log lines were lost because the log could not be written"]


async def test_what_does_not_fit_is_counted(logger: logging.Logger, tmp_path: Path) -> None:
    file = tmp_path / "log"
    configure_log(str(file), logging.INFO)
    with file_limit(1000):
        for number in range(100):
            logger.info("hello %d", number)
        await asyncio.sleep(0)
    logger.warning("the end")
    assert all(re.fullmatch(r"\S+ bley\[\d+\]: .+", line) for line in file.read_text().splitlines())
    told = said(file)
    count = len(told) - 2
    assert told[:count] == [f"hello {number}" for number in range(count)]
    assert told[count:] == ["the end", f"{100 - count} log lines were lost because the log could not be written"]
