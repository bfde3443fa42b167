"""Where the log goes: to syslog, and to a standard output that processes share."""

import asyncio
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bley.core.errors import SettingsError
from bley.log import sockets as log_sockets
from bley.log.output import configure_log
from tests.unit.log.test_output import clean_logger


@pytest.fixture(name="logger")
def _logger() -> Iterator[logging.Logger]:
    with clean_logger() as logger:
        yield logger


@pytest.fixture(name="path")
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of syslog's socket."""
    monkeypatch.setattr(log_sockets, "_SYSLOG", str(tmp_path / "log"))
    return str(tmp_path / "log")


def _daemon(path: str) -> socket.socket:
    daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    daemon.bind(path)
    daemon.settimeout(30)
    return daemon


def test_log_to_syslog(logger: logging.Logger, path: str) -> None:
    """As facility mail (2), level info (6), without a time, which syslog knows itself."""
    with _daemon(path) as syslog:
        configure_log("syslog", logging.INFO)
        logger.info("hello")
        assert re.fullmatch(rb"<22>bley\[\d+\]: hello\0", syslog.recv(1000))


@pytest.mark.usefixtures("logger", "path")
def test_syslog_that_is_not_there() -> None:
    """In a container, say: the log must not be lost in silence."""
    with pytest.raises(SettingsError, match="syslog cannot be opened: No such file or directory"):
        configure_log("syslog", logging.INFO)


def test_each_level_is_a_severity(logger: logging.Logger, path: str) -> None:
    with _daemon(path) as syslog:
        configure_log("syslog", logging.DEBUG)
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            logger.log(level, "hello")
        priorities = [syslog.recv(1000).partition(b">")[0] for _ in range(5)]
    assert priorities == [b"<23", b"<22", b"<20", b"<19", b"<18"]


def test_one_that_was_restarted_is_found_again(logger: logging.Logger, path: str) -> None:
    with _daemon(path):
        configure_log("syslog", logging.INFO)
    Path(path).unlink()
    with _daemon(path) as syslog:
        logger.warning("hello")
        assert syslog.recv(1000).endswith(b": hello\0")


async def test_one_that_does_not_read_is_not_waited_for(logger: logging.Logger, path: str) -> None:
    with _daemon(path) as syslog:
        configure_log("syslog", logging.INFO)
        for number in range(500):
            logger.info("n%d", number)
        await asyncio.sleep(0.01)
        syslog.setblocking(False)
        got: list[bytes] = []
        async with asyncio.timeout(30):
            while len(got) < 500:
                with suppress(BlockingIOError):
                    got.append(syslog.recv(1000))
                    continue
                await asyncio.sleep(0.005)
    assert [datagram.rpartition(b": ")[2] for datagram in got] == [b"n%d\0" % number for number in range(500)]


async def test_the_new_sink_has_the_lines_in_its_own_form(logger: logging.Logger, path: str) -> None:
    """What a full disk does not take goes to syslog, with its priority."""
    with _daemon(path) as syslog:
        configure_log("/dev/full", logging.INFO)
        logger.info("hello")
        configure_log("syslog", logging.INFO)
        assert re.fullmatch(rb"<22>bley\[\d+\]: hello\0", syslog.recv(1000))


def test_a_closed_sink_has_no_number(path: str) -> None:
    """And writes nowhere."""
    with _daemon(path):
        sink = log_sockets.Syslog()
        assert sink.write(["one\n"]) == 1
        sink.close()
        assert sink.fileno() == -1
        with pytest.raises(OSError, match="Bad file descriptor"):
            sink.write(["two\n"])


@pytest.mark.parametrize("length", [100, 1500, 4000])
def test_lines_of_different_processes_are_not_torn(length: int) -> None:
    """Several workers write to one standard output."""
    ours, theirs = os.pipe()
    workers = [
        subprocess.Popen([sys.executable, "-c", WRITING, str(number), str(length)], stdout=theirs)
        for number in range(2)
    ]
    os.close(theirs)
    with open(ours, "rb") as reader:  # noqa: PTH123 (a descriptor)
        lines = [reader.readline() for _ in range(2 * 2000)]
    for worker in workers:
        assert worker.wait(60) == 0
    for number in range(2):
        own = [line for line in lines if f": {number} ".encode() in line]
        wrong = [each for each, line in enumerate(own) if line.split()[-2:] != [b"%d" % each, b"x" * length]]
        assert (len(own), wrong[:3]) == (2000, [])


WRITING = """
import asyncio, logging, sys
from bley.log.output import configure_log, log_writer
async def write():
    configure_log("-", logging.INFO)
    for each in range(2000):
        logging.getLogger("bley").info("%s %d %s", sys.argv[1], each, "x" * int(sys.argv[2]))
        if each % 50 == 0:
            await asyncio.sleep(0.001)
    writer = log_writer()
    while writer._queue:
        await asyncio.sleep(0.001)
asyncio.run(write())
"""
