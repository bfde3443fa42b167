"""What the journal is given: datagrams of systemd's native protocol, with the line's fields."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bley.core.decision import Decision, KnownRequest
from bley.core.errors import SettingsError
from bley.core.evidence import Finding
from bley.core.findings import FindingKind
from bley.core.mail import Request
from bley.core.reasons import Reason
from bley.log import sockets as log_sockets
from bley.log.decision_line import DecisionLog
from bley.log.output import configure_log
from bley.metrics import REGISTRY
from tests.fakes import raw
from tests.log_datagrams import INFO, parsed
from tests.unit.log.test_decision_line import DEFERRAL, listed
from tests.unit.log.test_output import clean_logger

WHO = {
    "BLEY_CLIENT_NAME": "unknown",
    "BLEY_CLIENT_ADDRESS": "192.0.2.1",
    "BLEY_SENDER": "a@example.com",
    "BLEY_RECIPIENT": "b@example.org",
}


class Journald:
    """Takes entries at a socket of the test's own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.settimeout(30)

    def entry(self) -> dict[str, str]:
        """The next one, whether it is in the datagram or in the file that comes with it."""
        datagram, files, _, _ = socket.recv_fds(self._socket, 1_000_000, 1)
        if files:
            assert datagram == b""
            with open(files[0], "rb") as file:  # noqa: PTH123 (a descriptor)
                datagram = os.pread(file.fileno(), 100_000_000, 0)
                with pytest.raises(PermissionError):
                    os.pwrite(files[0], b"x", 0)
        return parsed(datagram)

    def close(self) -> None:
        self._socket.close()
        Path(self._path).unlink(missing_ok=True)


@pytest.fixture(name="logger")
def _logger() -> Iterator[logging.Logger]:
    with clean_logger() as logger:
        yield logger


@pytest.fixture(name="path")
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(log_sockets, "_JOURNAL", str(tmp_path / "socket"))
    return str(tmp_path / "socket")


@pytest.fixture(name="journald")
def _journald(path: str, logger: logging.Logger) -> Iterator[Journald]:
    """One that bley's log goes to."""
    journald = Journald(path)
    configure_log("journald", logging.DEBUG)
    assert logger.handlers
    yield journald
    journald.close()


def _entry(journald: Journald, tell: Callable[[DecisionLog], None]) -> dict[str, str]:
    tell(DecisionLog(is_json=False, observes=False))
    return journald.entry()


def test_a_decision_has_a_field_for_each_of_its_line_s(journald: Journald) -> None:
    """Findings too, each by its name."""
    evidence = {**DEFERRAL.evidence, FindingKind.HELO_NOT_FQDN: Finding(1, "")}
    decision = DEFERRAL._replace(evidence=evidence)
    assert _entry(journald, lambda log: log.write(decision)) == INFO | WHO | {
        "MESSAGE": "action=greylist, reason=new, client_name=unknown, client_address=192.0.2.1, sender=a@example.com,"
        " recipient=b@example.org, why=helo, helo=2 dyn=0 dnsbl=? helo-not-fqdn=1, wait=300",
        "BLEY_ACTION": "greylist",
        "BLEY_REASON": "new",
        "BLEY_WHY": "helo",
        "BLEY_HELO": "2",
        "BLEY_DYN": "0",
        "BLEY_DNSBL": "?",
        "BLEY_HELO_NOT_FQDN": "1",
        "BLEY_WAIT": "300",
    }


def test_known_mail_is_told_by_fields_too(journald: Journald) -> None:
    request = DEFERRAL.request._replace(instance="1f.2", queue_id="8045F2AB23")
    entry = _entry(journald, lambda log: log.write_known([(KnownRequest(log.known_line(request), ""), raw(request))]))
    assert entry.pop("MESSAGE").startswith("action=pass, reason=known, ")
    told = {"BLEY_ACTION": "pass", "BLEY_REASON": "known", "BLEY_INSTANCE": "1f.2", "BLEY_QUEUE_ID": "8045F2AB23"}
    assert entry == INFO | WHO | told


def test_values_are_written_as_in_the_text(journald: Journald) -> None:
    """No sender forges a field, in the line or beside it, nor commands the terminal of who asks for its field."""
    sender = "a\nBLEY_ACTION=pass, why=known entry=x\x1b[31m\\"
    entry = _entry(journald, lambda log: log.write(Decision(Request(sender=sender), Reason.CLEAN)))
    assert entry["BLEY_SENDER"] == r"a\x0aBLEY_ACTION=pass\x2c\x20why=known\x20entry=x\x1b[31m\x5c"
    assert set(entry) == {"MESSAGE", "BLEY_ACTION", "BLEY_REASON"} | set(INFO) | set(WHO)


def test_a_list_s_own_words_are_one_field(journald: Journald) -> None:
    words = "bad, action=pass, list_says=x why=known\nBLEY_ACTION=pass"
    entry = _entry(journald, lambda log: log.write_listings(listed(bl=words)))
    shown = words.replace("\n", r"\x0a")
    assert entry == INFO | {
        "MESSAGE": f"listed_by=bl.example, client_address=192.0.2.1, list_says={shown}",
        "BLEY_LISTED_BY": "bl.example",
        "BLEY_CLIENT_ADDRESS": "192.0.2.1",
        "BLEY_LIST_SAYS": shown,
    }


def test_other_lines_have_no_fields(journald: Journald, logger: logging.Logger) -> None:
    logger.warning("sender=a, action=pass")
    assert journald.entry() == INFO | {"PRIORITY": "4", "MESSAGE": "sender=a, action=pass"}


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "7"), (logging.INFO, "6"), (logging.WARNING, "4"), (logging.ERROR, "3"), (logging.CRITICAL, "2")],
)
def test_each_level_is_a_priority(journald: Journald, logger: logging.Logger, level: int, priority: str) -> None:
    logger.log(level, "hello")
    assert journald.entry() == INFO | {"PRIORITY": priority, "MESSAGE": "hello"}


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 70_000])
def test_a_traceback_stays_one_entry(journald: Journald, logger: logging.Logger, length: int) -> None:
    """Its lines, which may hold what strangers sent, are no fields; whatever the length, which is in binary."""
    try:
        raise ValueError("x" * length + "\nBLEY_ACTION=pass\n")
    except ValueError:
        logger.exception("internal error")
    entry = journald.entry()
    assert entry.pop("MESSAGE").startswith("internal error\nTraceback (most recent call last):\n")
    assert entry == INFO | {"PRIORITY": "3"}


def test_what_no_utf_8_can_say_is_written_as_its_code(journald: Journald, logger: logging.Logger) -> None:
    logger.info("a\udc80b")
    assert journald.entry()["MESSAGE"] == r"a\udc80b"


@pytest.mark.parametrize("text", ["x" * 3_000_000, "x\n" * 1_500_000], ids=["a line", "many lines"])
def test_what_is_too_large_for_a_datagram_comes_in_a_file(
    journald: Journald, logger: logging.Logger, text: str
) -> None:
    """It is sealed, else journald would not take it of every user."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (its number only)
    logger.info("%s", text)
    assert len(os.listdir("/proc/self/fd")) == before, "a descriptor is left"  # noqa: PTH208
    logger.info("after it")
    assert journald.entry()["MESSAGE"] == text
    assert journald.entry()["MESSAGE"] == "after it"


def test_one_that_was_restarted_is_found_again(journald: Journald, logger: logging.Logger, path: str) -> None:
    journald.close()
    again = Journald(path)
    logger.warning("hello")
    assert again.entry()["MESSAGE"] == "hello"
    again.close()


def test_while_there_is_none_lines_are_lost_and_counted(
    journald: Journald, logger: logging.Logger, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    journald.close()
    before = REGISTRY.get_sample_value("bley_log_dropped_total") or 0
    for _ in range(3):
        logger.warning("one")
    assert REGISTRY.get_sample_value("bley_log_dropped_total") == before + 3
    assert capfd.readouterr().err.count("the log cannot be written") == 1
    again = Journald(path)
    logger.warning("two")
    assert again.entry()["MESSAGE"] == "two"
    assert again.entry()["MESSAGE"] == "3 log lines were lost because the log could not be written"
    again.close()


async def test_one_that_does_not_read_is_not_waited_for(journald: Journald, logger: logging.Logger) -> None:
    for number in range(500):
        logger.info("n%d", number)
    await asyncio.sleep(0.01)
    got = [(await asyncio.to_thread(journald.entry))["MESSAGE"] for _ in range(500)]
    assert got == [f"n{number}" for number in range(500)]


async def test_one_that_goes_while_it_is_waited_for_is_found_again(
    journald: Journald, logger: logging.Logger, path: str
) -> None:
    """What waited is lost, and counted; the event loop goes on."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    for number in range(500):
        logger.info("n%d", number)
    await asyncio.sleep(0.01)
    journald.close()
    await asyncio.sleep(0.01)
    logger.info("lost")
    await asyncio.sleep(0.01)
    again = Journald(path)
    logger.info("hello")
    await asyncio.sleep(0.01)
    assert (await asyncio.to_thread(again.entry))["MESSAGE"] == "hello"
    assert " log lines were lost" in (await asyncio.to_thread(again.entry))["MESSAGE"]
    again.close()
    assert failures == []


async def test_one_that_is_restarted_while_lines_wait_gets_them(
    journald: Journald, logger: logging.Logger, path: str
) -> None:
    """Without another line that would make bley look; what the old one had not read is lost with it."""
    for number in range(500):
        logger.info("n%d", number)
    await asyncio.sleep(0.01)
    journald.close()
    again = Journald(path)
    message = ""
    while message != "n499":
        message = (await asyncio.to_thread(again.entry))["MESSAGE"]
    again.close()


@pytest.mark.usefixtures("logger")
def test_one_that_is_not_there(path: str) -> None:
    """Where systemd is not: the log must not be lost in silence."""
    assert not Path(path).exists()
    with pytest.raises(SettingsError, match="journald cannot be opened: No such file or directory"):
        configure_log("journald", logging.INFO)
