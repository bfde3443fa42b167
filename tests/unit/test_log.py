"""The log: one line a decision, in the form that postgrey's tools read, and where it goes."""

import asyncio
import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from bley import log
from bley.core.decision import Decision
from bley.core.dnslists import Answer, ListAnswer, Meaning, parse_dns_lists
from bley.core.errors import SettingsError
from bley.core.evidence import Check, Finding
from bley.core.greylist import Standing
from bley.core.mail import Request
from bley.core.policy import Reason
from bley.log import DecisionLog, configure_log, printable

REQUEST = Request(client_address="192.0.2.1", client_name="unknown", sender="a@example.com", recipient="b@example.org")
DEFERRAL = Decision(
    REQUEST,
    Reason.HELO,
    defers=True,
    standing=Standing.NEW,
    evidence={Check.HELO: Finding(2, "why"), Check.DYNAMIC: Finding(0, "why"), Check.DNSBL: Finding(None, "why")},
    wait=timedelta(minutes=5),
)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _collected(level: int) -> Iterator[list[str]]:
    """What is written of decisions at this level."""
    logger, handler = logging.getLogger("bley.decisions"), _Collector()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _lines(decision: Decision, level: int, *, is_json: bool = False, observes: bool = False) -> list[str]:
    with _collected(level) as lines:
        DecisionLog(is_json=is_json, observes=observes).write(decision)
    return lines


def listings(decision: Decision, *, is_json: bool = False) -> list[str]:
    """What the log has of the lists' own words."""
    with _collected(logging.INFO) as lines:
        DecisionLog(is_json=is_json, observes=False).write_listings(decision)
    return lines


def written(decision: Decision, *, is_json: bool = False, observes: bool = False) -> str:
    """The one line that the log has of `decision`."""
    (line,) = _lines(decision, logging.INFO, is_json=is_json, observes=observes)
    return line


_WHO = "client_name=unknown, client_address=192.0.2.1, sender=a@example.com, recipient=b@example.org"


@pytest.mark.parametrize(
    ("decision", "line"),
    [
        pytest.param(Decision(REQUEST, Reason.CLEAN), f"action=pass, reason=clean, {_WHO}", id="pass"),
        pytest.param(
            DEFERRAL,
            f"action=greylist, reason=new, {_WHO}, why=helo, helo=2 dyn=0 dnsbl=?, wait=300",
            id="deferral, with all that was found",
        ),
        pytest.param(
            replace(DEFERRAL, evidence={Check.HELO: Finding(2, ""), Check.HELO_NOT_FQDN: Finding(1, "")}),
            f"action=greylist, reason=new, {_WHO}, why=helo, helo=2 helo-not-fqdn=1, wait=300",
            id="deferral, with a finding that is told by its name",
        ),
        pytest.param(
            Decision(REQUEST, Reason.EARLY, defers=True, standing=Standing.EARLY, wait=timedelta(seconds=61)),
            f"action=greylist, reason=early, {_WHO}, why=early, wait=61",
            id="early retry",
        ),
        pytest.param(
            Decision(REQUEST, Reason.STORE_ERROR, defers=True, wait=timedelta(0)),
            f"action=greylist, reason=new, {_WHO}, why=store-error, wait=0",
            id="deferral of whom nothing is known",
        ),
        pytest.param(
            Decision(REQUEST, Reason.WAITED, standing=Standing.WAITED, delayed=timedelta(seconds=360)),
            f"action=pass, reason=waited, {_WHO}, delay=360",
            id="waited",
        ),
        pytest.param(
            Decision(REQUEST, Reason.EXEMPT_CLIENT, exempted_by="clients:3:example.com"),
            f"action=pass, reason=exempt-client, {_WHO}, entry=clients:3:example.com",
            id="exempt, by which entry",
        ),
        pytest.param(
            Decision(Request(instance="123.456.7", queue_id="8045F2AB23"), Reason.INCOMPLETE),
            "action=pass, reason=incomplete, client_name=, client_address=, sender=, recipient=,"
            " instance=123.456.7, queue_id=8045F2AB23",
            id="what ties it to Postfix's own lines",
        ),
    ],
)
def test_line(decision: Decision, line: str) -> None:
    assert written(decision) == line


def test_observed_deferral() -> None:
    assert written(DEFERRAL, observes=True).startswith("action=would-defer, reason=new, ")
    assert written(Decision(REQUEST, Reason.CLEAN), observes=True).startswith("action=pass, reason=clean, ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("jane@example.org", "jane@example.org"),
        ("jürgen@bücher.example", "jürgen@bücher.example"),
        ("a=b", "a=b"),
        ("x, reason=known", r"x\x2c\x20reason=known"),
        ("a b", r"a\x20b"),
        ("a\nb\r\tc\0", r"a\x0ab\x0d\x09c\x00"),
        ("back\\slash", r"back\x5cslash"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m", r"\x9b31m"),
        ("\u2028\u202e", r"\u2028\u202e"),
        ("\N{NO-BREAK SPACE}", r"\xa0"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_value_cannot_forge_anything(value: str, shown: str) -> None:
    """What could be taken for a field, a line or a terminal's command is written as its code."""
    line = written(Decision(Request(sender=value), Reason.CLEAN))
    assert line == f"action=pass, reason=clean, client_name=, client_address=, sender={shown}, recipient="


def test_debugging_tells_why_each_check_found_what_it_found() -> None:
    """In words, which may hold spaces and commas, but neither line ends nor a terminal's commands."""
    evidence = {Check.HELO: Finding(2, "a, b\n\x1b[31m\\"), Check.SPF: Finding(None, "no answer in time")}
    decision = Decision(REQUEST, Reason.CLEAN, evidence=evidence)
    assert _lines(decision, logging.DEBUG) == [
        f"action=pass, reason=clean, {_WHO}, helo=2 spf=?",
        r"helo=2: a, b\x0a\x1b[31m\x5c",
        "spf=?: no answer in time",
    ]


def test_json() -> None:
    """The same fields, the findings as an object, what is unknown as null."""
    line = written(DEFERRAL, is_json=True)
    assert json.loads(line) == {
        "action": "greylist",
        "reason": "new",
        "client_name": "unknown",
        "client_address": "192.0.2.1",
        "sender": "a@example.com",
        "recipient": "b@example.org",
        "why": "helo",
        "evidence": {"helo": 2, "dyn": 0, "dnsbl": None},
        "wait": 300,
    }
    assert "\n" not in line


def listed(**texts: str) -> Decision:
    """A deferral by lists, `bl` for bl.example, that say this; the empty string: nothing."""
    answer = Answer(Meaning.LISTED, (IPv4Address("127.0.0.2"),))
    answers = [
        ListAnswer(dns_list, answer, text)
        for name, text in texts.items()
        for dns_list in parse_dns_lists(f"{name}.example")
    ]
    return replace(DEFERRAL, evidence={Check.HELO: Finding(2, ""), Check.DNSBL: Finding(1, "", tuple(answers))})


def test_each_list_that_says_why_it_names_the_client_has_a_line() -> None:
    assert listings(listed(bl="See https://bl.example/?192.0.2.1, please", mute="", bl2="spam")) == [
        "listed_by=bl.example, client_address=192.0.2.1, list_says=See https://bl.example/?192.0.2.1, please",
        "listed_by=bl2.example, client_address=192.0.2.1, list_says=spam",
    ]
    assert listings(DEFERRAL) == []


def test_what_a_list_says_is_a_stranger_s_text() -> None:
    decision = listed(bl="a\nb\x1b[31m\\ \u2028")
    assert listings(decision) == [
        r"listed_by=bl.example, client_address=192.0.2.1, list_says=a\x0ab\x1b[31m\x5c \u2028"
    ]
    (line,) = listings(decision, is_json=True)
    assert line.isascii()
    assert line.isprintable()


def test_what_lists_say_in_json() -> None:
    (line,) = listings(listed(bl="Möglicher Spam, so"), is_json=True)
    assert json.loads(line) == {
        "listed_by": "bl.example",
        "client_address": "192.0.2.1",
        "list_says": "Möglicher Spam, so",
    }


def test_a_list_is_named_without_the_customer_s_key() -> None:
    key = "abcdefghijklmnopqrstuvwxyz"
    (dns_list,) = parse_dns_lists(f"{key}.zen.dq.spamhaus.net")
    answer = ListAnswer(dns_list, Answer(Meaning.LISTED, (IPv4Address("127.0.0.2"),)), "spam")
    decision = replace(DEFERRAL, evidence={Check.DNSBL: Finding(1, "", (answer,))})
    for is_json in (False, True):
        (line,) = listings(decision, is_json=is_json)
        assert "********.zen.dq.spamhaus.net" in line
        assert key not in line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("words, with spaces = and more", "words, with spaces = and more"),
        ("Jürgen 漢", "Jürgen 漢"),
        ("a\nb\r\tc\0", r"a\x0ab\x0d\x09c\x00"),
        ("back\\slash", r"back\x5cslash"),
        ("\x1b[31m\x9b", r"\x1b[31m\x9b"),
        ("\u2028\u202e\U000e0001", r"\u2028\u202e\U000e0001"),
        ("", ""),
    ],
)
def test_printable_text_stays_in_its_line_and_commands_no_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


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
def test_log_to_stdout(log_file: str, logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_log(log_file, logging.INFO)
    logger.info("hello")
    assert LINE.fullmatch(capsys.readouterr().out)


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
def test_time_is_utc(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the time zone of the machine."""
    configure_log("-", logging.INFO)
    logger.handle(logging.makeLogRecord({"msg": "hello", "levelno": logging.INFO, "created": 0.0}))
    assert capsys.readouterr().out.startswith("1970-01-01T00:00:00Z bley[")


def test_log_to_syslog(logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As facility mail (2), level info (6), without a time, which syslog knows itself."""
    path = str(tmp_path / "log")
    monkeypatch.setattr(log, "_SYSLOG_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(path)
        syslog.settimeout(2)
        configure_log("syslog", logging.INFO)
        logger.info("hello")
        assert re.fullmatch(rb"<22>bley\[\d+\]: hello\0", syslog.recv(1000))


def test_level(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_log("-", logging.WARNING)
    logger.info("not this")
    logging.getLogger("bley.server").warning("hello")
    assert LINE.fullmatch(capsys.readouterr().out)


def test_reload_replaces_the_log(logger: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written twice, and the old file is let go."""
    configure_log("-", logging.INFO)
    configure_log(str(tmp_path / "first"), logging.INFO)
    configure_log(str(tmp_path / "second"), logging.INFO)
    logger.info("hello")
    assert capsys.readouterr().out == ""
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
    monkeypatch.setattr(log, "_SYSLOG_SOCKET", str(tmp_path / "log"))
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
