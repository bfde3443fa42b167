"""The exit statuses of the commands are those that `--help` and bley(1) document."""

import os
import pty
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bley.commands.doctor import command as doctor
from bley.commands.doctor.finding import Finding, Level
from bley.commands.documented import COMMON_STATUSES
from tests.free_ports import free_port
from tests.integration.running_bley import Bley, request_options
from tests.integration.warm_start import start_bley
from tests.test_docs import COMMANDS

_MAIL = {"client_address": "192.0.2.1", "helo_name": "friend", "sender": "a@example.com", "recipient": "b@example.org"}
_RECEIVED = """Return-Path: <a@example.com>
Received: from mail.example.com (mail.example.com [192.0.2.1])
 by mx.example.org (Postfix) with ESMTP id 1234 for <b@example.org>; Mon, 30 Nov 2026 10:00:00 +0000 (UTC)

"""
_WITHOUT_SETTINGS = {"web-password", "help", "completion"}

CASES = {
    ("check-config", 0): [],
    ("check-config", 2): ["-c", "invalid"],
    ("doctor", 2): ["-c", "invalid"],
    ("web-password", 0): ["-"],
    ("why", 0): ["a@example.com"],
    ("why", 1): ["nobody@example.com"],
    ("list", 0): ["--status", "known"],
    ("stats", 0): [],
    ("report", 0): [],
    ("replay", 0): [],
    ("try", 0): ["mail.eml"],
    ("try", 1): ["empty.eml"],
    ("try", 2): ["missing.eml"],
    ("top", 0): ["--once"],
    ("lists", 0): [],
    ("lists", 1): ["--test", "list.invalid"],
    ("allow", 0): ["192.0.2.9"],
    ("allow", 1): ["--remove", "192.0.2.8"],
    ("pass", 0): ["--sender", "a@example.com"],
    ("pass", 1): ["--sender", "nobody@example.com"],
    ("forget", 0): ["--sender", "nobody@example.com"],
    ("import", 0): ["records"],
    ("import", 1): ["missing"],
    ("export", 0): ["exported"],
    ("export", 1): ["missing/file"],
    ("backup", 0): ["copy"],
    ("backup", 1): ["missing/file"],
    ("purge", 0): [],
    ("ask", 0): [*request_options(**_MAIL)],
    ("ask", 1): ["--at", "unix:/nowhere/bley.sock", *request_options(**_MAIL)],
    ("explain", 0): [*request_options(**_MAIL)],
    ("help", 0): [],
    ("completion", 0): ["bash"],
}
"""The arguments of commands that exit with a status, next to a bley that runs."""

ELSEWHERE = {("serve", 0), ("serve", 1), ("serve", 2), ("doctor", 0), ("doctor", 1), ("graph", 0), ("forget", 1)}
"""Statuses with a test of their own below, or, of `bley graph`, in test_graph_command."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bley")
    with Bley(folder, web_listen=f"127.0.0.1:{free_port()}") as bley:
        for sender in ("a@example.com", "c@example.com"):
            bley.ask(**_MAIL | {"sender": sender})
        bley.wait_log("c@example.com")
        (folder / "invalid").write_text("[bley]\nlisten_port = x\n")
        (folder / "mail.eml").write_text(_RECEIVED)
        (folder / "empty.eml").write_text("Subject: none\n\n")
        assert status_of(folder, "export", ["records"]) == 0
        yield folder


def status_of(folder: Path, name: str, words: list[str], standard_input: str = "long enough a password\n") -> int:
    """Return the exit status of a command in this folder, which has the settings in bley.conf."""
    (folder / "input").write_text(standard_input)
    own = [] if name in _WITHOUT_SETTINGS or "-c" in words else ["-c", "bley.conf"]
    with (folder / "input").open("rb") as given, (folder / "output").open("wb") as output:
        return start_bley([name, *own, *words], stdin=given, stdout=output, stderr=output, cwd=folder).wait(60)


def test_each_documented_status_has_a_case() -> None:
    """0 and 2 of every command, and what it documents."""
    documented = {(name, status) for name, command in COMMANDS.items() for status in {0, *command.statuses}}
    assert documented - ELSEWHERE - set(CASES) == set()
    assert {status for _, status in documented} == set(COMMON_STATUSES)


@pytest.mark.parametrize(("name", "status"), CASES)
def test_a_command_exits_with_the_documented_status(folder: Path, name: str, status: int) -> None:
    assert status_of(folder, name, CASES[name, status]) == status, (folder / "output").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_an_invalid_command_line_exits_with_status_2(folder: Path, name: str) -> None:
    assert status_of(folder, name, ["--nonsense"]) == 2


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in _WITHOUT_SETTINGS])
def test_invalid_settings_exit_with_status_2(folder: Path, name: str) -> None:
    words = {"why": ["x"], "allow": ["192.0.2.1"], "import": ["x"], "backup": ["x"], "pass": ["--sender", "x.example"]}
    words["forget"] = words["pass"]
    assert status_of(folder, name, ["-c", "invalid", *words.get(name, [])]) == 2


def test_serve_exits_with_0_after_a_signal(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with Bley(tmp_path) as bley:
            os.kill(bley.process.pid, number)
            assert bley.process.wait(60) == 0


def test_serve_exits_with_1_if_an_address_is_used(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        Bley(tmp_path, listen_port=used.getsockname()[1])
        assert status_of(tmp_path, "serve", []) == 1


@pytest.mark.parametrize(("level", "status"), [(Level.WELL, 0), (Level.NOTE, 0), (Level.WARNING, 1), (Level.FAULT, 2)])
def test_doctor_exits_with_the_worst_level(level: Level, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [Finding(Level.WELL, "store", "x"), Finding(level, "lists", "y")]
    monkeypatch.setattr(doctor, "_examine", lambda *_: findings)
    with pytest.raises(SystemExit) as ended:
        doctor.doctor.main([], standalone_mode=False)
    assert ended.value.code == status


def test_forget_exits_with_1_after_a_no(folder: Path) -> None:
    terminal, inner = pty.openpty()
    os.write(terminal, b"n\n")
    with os.fdopen(inner, "r+b", buffering=0) as given, (folder / "output").open("wb") as output:
        process = start_bley(
            ["forget", "-c", folder / "bley.conf", "--recipient", "b@example.org"],
            stdin=given,
            stdout=output,
            stderr=output,
        )
        assert process.wait(60) == 1, (folder / "output").read_text()
    os.close(terminal)
