"""Where the log goes, and what happens when it cannot go there."""

import asyncio
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bley import log_output
from bley.core.errors import SettingsError
from bley.log_output import configure_log


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


@pytest.fixture(name="logger")
def _logger() -> Iterator[logging.Logger]:
    """bley's logger, which is as before afterwards."""
    logger = logging.getLogger("bley")
    with _restored(logger):
        logger.handlers[:] = []
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
    file.rename(tmp_path / "bley.log.1")
    logger.info("hello")
    assert LINE.fullmatch(file.read_text(encoding="utf-8"))
    assert LINE.fullmatch((tmp_path / "bley.log.1").read_text(encoding="utf-8"))


@pytest.mark.usefixtures("_tokyo")
def test_time_is_utc(logger: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever the time zone of the machine."""
    configure_log("-", logging.INFO)
    logger.handle(logging.makeLogRecord({"msg": "hello", "levelno": logging.INFO, "created": 0.0}))
    assert capfd.readouterr().out.startswith("1970-01-01T00:00:00Z bley[")


def test_log_to_syslog(logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As facility mail (2), level info (6), without a time, which syslog knows itself."""
    path = str(tmp_path / "log")
    monkeypatch.setattr(log_output, "_SYSLOG_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(path)
        syslog.settimeout(2)
        configure_log("syslog", logging.INFO)
        logger.info("hello")
        assert re.fullmatch(rb"<22>bley\[\d+\]: hello\0", syslog.recv(1000))


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


@pytest.mark.usefixtures("logger")
def test_syslog_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, say: the log must not be lost in silence."""
    monkeypatch.setattr(log_output, "_SYSLOG_SOCKET", str(tmp_path / "log"))
    with pytest.raises(SettingsError, match="syslog cannot be opened: No such file or directory"):
        configure_log("syslog", logging.INFO)


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
