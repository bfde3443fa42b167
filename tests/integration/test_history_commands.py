"""`bley why`, `bley stats`, `bley top` with a running bley; their output is plain without a terminal."""

import contextlib
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bley.core.mail import Request
from bley.core.wire import encode_request
from tests.dns_server import DnsServer
from tests.free_ports import free_port
from tests.integration.running_bley import BLEY, WAIT_SECONDS, Bley, request_options
from tests.integration.stores import Servers
from tests.integration.test_lists import V4, at_web_place, entries, on
from tests.integration.warm_start import run_bley

EVIL = "a\x1b[31m\r@example.com"
BAD = {"client_address": "198.51.100.7", "helo_name": "friend", "sender": "a@example.com", "recipient": "b@example.org"}
JSON_FIELDS = Path(__file__).parents[2].joinpath("docs/json.md").read_text()


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "redis"])
def anywhere(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bley]:
    """A bley on this engine: one mail was retried after its wait, and another was not; for tests that only read."""
    folder = tmp_path_factory.mktemp("anywhere")
    url = f"sqlite:///{folder}/bley.db" if request.param == "sqlite" else servers.new_url(request.param)
    with running(folder, database=url) as bley:
        send(bley, BAD, instance="1.a", queue_id="4XyZ")
        send(bley, BAD, recipient="c@example.org")
        time.sleep(1.1)
        assert "PREPEND" in send(bley, BAD, instance="2.b")
        wait_for(bley, "why", "a@example.com", until="reason waited")
        yield bley


@pytest.fixture
def bley(tmp_path: Path) -> Iterator[Bley]:
    with running(tmp_path) as bley:
        yield bley


@contextlib.contextmanager
def running(folder: Path, **settings: str) -> Iterator[Bley]:
    """Run a bley with a wait of a second."""
    with Bley(folder, web_listen="127.0.0.1:0", greylist_period="1s", **settings) as bley:
        at_web_place(bley)
        yield bley


def wait_for(bley: Bley, *arguments: str, until: str) -> str:
    """Return the output of the command as soon as it contains this: decisions are stored once a second."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        ran = run_bley([arguments[0], "-c", bley.file, *arguments[1:]])
        if until in ran.stdout.decode():
            return ran.stdout.decode()
        assert time.monotonic() < end, (ran.stdout + ran.stderr).decode()
        time.sleep(0.1)


def send(bley: Bley, attributes: Mapping[str, str], **others: str) -> str:
    """Send a request; return the answer."""
    with socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS) as peer:
        peer.sendall(encode_request(Request(**{"protocol_state": "RCPT", **attributes, **others})))
        return peer.recv(4096).decode().strip()


class TestWhy:
    def test_a_mail_that_was_late(self, anywhere: Bley) -> None:
        """It shows the outcome, and the line that exempts such mail."""
        printed = anywhere.run("why", "a@example.com")
        waited, *deferred = re.findall("^verdict +(.*)$", printed, re.MULTILINE)
        assert re.fullmatch(r"pass, reason waited; delayed for [1-9].*", waited)
        assert deferred == ["defer, reason helo; a retry passes after 1 s"] * 2
        not_yet, came_back = re.findall("^then +had to wait 1 s; (.*)$", printed, re.MULTILINE)
        assert "there was no retry" in not_yet
        assert re.fullmatch(r"passed on a retry at 20.* UTC, [1-9].* after the first attempt", came_back)
        assert "helo        2  friend is not the client's name, which is unknown" in printed
        assert printed.count("record ") == 2
        assert anywhere.run("why", "4XyZ").count("helo-not-fqdn: friend has no domain") == 1
        allow = f"bley allow -c {anywhere.file}"
        assert f"if this was wrong: exempt the sender's domain: {allow} --sender example.com\n" in printed
        assert f"  or exempt this client's address: {allow} --client 198.51.100.7\n" in printed

    def test_the_advice_to_exempt_takes_effect(self, bley: Bley) -> None:
        send(bley, BAD)
        printed = wait_for(bley, "why", "a@example.com", until="if this was wrong: ")
        (command,) = re.findall("if this was wrong: exempt the sender's domain: bley (.*)", printed)
        run_bley(shlex.split(command))
        bley.reload()
        assert send(bley, BAD, recipient="d@example.org") == "action=DUNNO"

    def test_json(self, anywhere: Bley) -> None:
        document = json.loads(anywhere.run("why", "--json", "--limit", "2", "198.51.100.7"))
        assert [each["reason"] for each in document["decisions"]] == ["waited", "helo"]
        assert document["decisions"][1]["sequel"]["fate"] == "due"
        assert {record["status"] for record in document["records"]} == {"clean", "greylisted"}

    def test_nothing_is_known(self, bley: Bley) -> None:
        printed = bley.run("why", "nobody@example.net", status=1)
        assert "nothing is stored about nobody@example.net: decisions are deleted after 30 d (log_days)" in printed
        assert json.loads(bley.run("why", "--json", "nobody@example.net", status=1))["decisions"] == []


def test_bytes_that_are_not_utf_8_are_those_of_the_mail(bley: Bley) -> None:
    """A shell passes them unchanged, and bley has stored them as `\\xNN`: each command finds the same mail."""
    sender = "j\udcfcrgen@example.com"  # Python's form of the byte
    request = encode_request(Request(**BAD, protocol_state="RCPT")).replace(b"a@example.com", b"j\xfcrgen@example.com")
    with socket.create_connection(("127.0.0.1", bley.port), WAIT_SECONDS) as peer:
        peer.sendall(request)
        assert b"DEFER" in peer.recv(4096)
    mail = [f"--{name.replace('_', '-')}={value}" for name, value in (BAD | {"sender": sender}).items()]
    wait_for(bley, "why", sender, until="reason helo")
    assert ": greylisted, first seen " in bley.run("explain", *mail)
    assert "1 record forgotten" in bley.run("forget", "--sender", sender)
    assert ": no record" in bley.run("explain", *mail)


@pytest.mark.parametrize("sender", ["", "-rf $(x)'\"#1@example.com", "JÜRGEN@Straße.example", "x\\x1b@example.com"])
def test_the_advice_to_forget_works_as_it_stands(bley: Bley, sender: str) -> None:
    """The record was under the network of a client whose name is known now, and is carried to its domain."""
    assert "DEFER" in send(bley, BAD, sender=sender)
    time.sleep(1.1)
    assert "PREPEND" in send(bley, BAD, sender=sender, client_name="mail.example.net")
    printed = wait_for(bley, "why", "198.51.100.7", until="reason waited")
    (command,) = re.findall(r"make it a stranger again: bley (.*)", printed)
    assert "--client 198.51.100.0/24 " in command
    assert "--client example.net " in command
    shell = f'bley() {{ {shlex.join(BLEY)} "$@"; }}; bley {command}'
    ran = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert ran.stdout == "1 record forgotten\n" * 2


def test_why_without_a_store(tmp_path: Path) -> None:
    bley = Bley(tmp_path)
    for command in (["why", "x"], ["stats"]):
        assert "bley.db: no such file" in bley.run(*command, status=1)
    assert not tmp_path.joinpath("bley.db").exists()


def test_why_with_hashed_addresses(tmp_path: Path) -> None:
    """They are found by their clear form, and shown as they are stored."""
    with Bley(tmp_path, privacy="keyed-hash") as bley:
        send(bley, BAD)
        printed = wait_for(bley, "why", "a@example.com", until="reason helo")
    assert re.search(r"from <[0-9a-f]{32}@example.com> to <[0-9a-f]{32}@example.org>", printed)
    assert "<a@example.com" not in printed
    assert "whitelist_senders" not in printed


class TestStats:
    def test_figures(self, anywhere: Bley) -> None:
        printed = wait_for(anywhere, "stats", "--since", "1h", until="waited ")
        rows = {line[:20].strip(): line[20:].split() for line in printed.splitlines()}
        assert rows["requests"][0] == "3"
        assert rows["deferred"] == ["2"]
        assert rows["came back and passed"][:2] == ["1", "50.0%"]
        assert "median delay          at most 1 min" in printed
        document = json.loads(anywhere.run("stats", "--json"))
        assert (document["requests"], document["came_back"], document["waiting"]) == (3, 1, 1)
        assert document["lists"] == []

    @pytest.mark.parametrize(("since", "error"), [("401d", "at most 400d"), ("7", "write it as 90s, 5m, 12h or 40d")])
    def test_a_time_of_which_there_is_nothing(self, tmp_path: Path, since: str, error: str) -> None:
        assert error in Bley(tmp_path).run("stats", "--since", since, status=2)


def test_report_and_replay_read_every_engine(anywhere: Bley) -> None:
    """Counts by domain are written every ten seconds, the settings of a start up to 20 s after it."""
    wait_for(anywhere, "list", "--audit", until="start")
    page = wait_for(anywhere, "report", until="--sender example.com")
    assert "1 of 2 deferred mails (50.0%) did not come back; 1 of them still may." in page
    assert re.search(r"(?m)^example\.com +1  100\.0%", page)
    assert re.search(r"(?m)^  bley allow .*--sender example\.com$", page)
    document = json.loads(anywhere.run("replay", "--json"))
    assert (document["first_attempts"], document["unchanged"], document["limits"]) == (2, 2, [])


# -- bley top -------------------------------------------------------------------------------------


class Terminal:
    """A pseudo-terminal on which a command runs."""

    def __init__(self, *command: str | Path) -> None:
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            environment = os.environ | {"TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
            os.execve(command[0], [str(word) for word in command], environment)
        self.shown = ""

    def wait(self, pattern: str) -> None:
        """Wait until new output contains this."""
        end = time.monotonic() + WAIT_SECONDS
        while not (found := re.search(pattern, self.shown, re.DOTALL)):
            assert time.monotonic() < end, f"{pattern!r} is not in {self.shown!r}"
            self._read()
        self.shown = self.shown[found.end() :]

    def _read(self) -> bool:
        if not select.select([self._descriptor], [], [], 0.1)[0]:
            return True
        try:
            read = os.read(self._descriptor, 65536)
        except OSError:  # the other side has closed
            return False
        self.shown += read.decode(errors="replace")
        return bool(read)

    def type(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def end(self) -> int:
        """Return its exit status, and its last output."""
        end = time.monotonic() + WAIT_SECONDS
        while self._read():
            assert time.monotonic() < end, "it does not end"
        _, status = os.waitpid(self.pid, 0)
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(status)


class TestTop:
    @pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "ctrl-c"])
    def test_live(self, tmp_path: Path, key: bytes) -> None:
        """It shows rates, lists, the latest decisions, an outage and its end; a key ends it."""
        settings: dict[str, Any] = {"web_listen": f"127.0.0.1:{free_port()}"}
        with DnsServer(entries("bl.example")) as dns, Bley(tmp_path, **on(dns, dnsbls="bl.example") | settings) as bley:
            terminal = Terminal(*BLEY, "top", "-c", bley.file, "-s", "0.2")
            terminal.wait(re.escape("\x1b[?1049h"))
            terminal.wait("answers.*well")
            send(bley, BAD, sender=EVIL)
            terminal.wait(re.escape(r"a\x1b[31m"))
            bley.stop()
            terminal.wait("Connection refused")
            bley.start()
            terminal.wait(r"bley +\S*answers")
            terminal.type(key)
            assert terminal.end() == 0
            assert "\x1b[?1049l" in terminal.shown, "the terminal is as it was"

    def test_so_many_pictures(self, tmp_path: Path) -> None:
        with Bley(tmp_path) as bley:
            terminal = Terminal(*BLEY, "top", "-c", bley.file, "-s", "0.1", "-n", "3")
            terminal.wait("web_listen is empty")
            assert terminal.end() == 0

    def test_once(self, bley: Bley) -> None:
        send(bley, BAD)
        printed = wait_for(bley, "top", "-s", "0.1", until="<b@example.org>")
        assert "bley    answers\nstore   well\nwaiting 1\n" in printed
        assert re.search(r"greylist +helo +\[198.51.100.7\] +<a@example.com>", printed), printed

    def test_a_store_that_comes_later(self, tmp_path: Path) -> None:
        bley = Bley(tmp_path)
        assert "unable to open database file" in bley.run("top", "--once", "-s", "0.1")
        with bley:
            assert "store   well" in bley.run("top", "--once", "-s", "0.1")


# -- Plain output, and JSON -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bley]:
    """Run a bley with a list, and with decisions about values that could control a terminal."""
    folder = tmp_path_factory.mktemp("fed")
    with DnsServer(entries("bl.example", V4)) as dns, Bley(folder, **on(dns, dnsbls="bl.example")) as bley:
        at_web_place(bley)
        send(bley, BAD, sender=EVIL, client_address=V4)
        wait_for(bley, "why", V4, until="reason dnsbl")
        yield bley


COMMANDS = {
    "why": [V4],
    "stats": [],
    "report": [],
    "replay": [],
    "lists": [],
    "lists --since": ["--since", "7d"],
    "lists --test": ["--test"],
    "list": [],
    "allow": ["--client", "mail.example.com", "--until", "30d"],
    "allow --list": ["--list"],
    "purge": [],
    "forget": ["--all", "--dry-run"],
    "explain": request_options(**BAD | {"sender": EVIL}),
}


@pytest.mark.parametrize("command", [*COMMANDS, "top", "check-config", "export", "import", "ask"])
def test_a_pipe_gets_no_control_characters(fed: Bley, command: str) -> None:
    """There are none on standard output or standard error, whatever values came from outside."""
    arguments = COMMANDS.get(command, [])
    if command == "import":
        arguments = ["--dry-run", str(fed.file.with_name("exported"))]
        fed.run("export", arguments[1])
    elif command == "ask":
        arguments = COMMANDS["explain"]
    printed = fed.run(command.partition(" ")[0], *arguments)
    assert re.findall(r"[^\n -~…]", printed) == []
    assert printed


def fields(document: object) -> set[str]:
    """Return the names of all fields, except for names that are data, such as those of counters."""
    match document:
        case dict():
            below = (value for name, value in document.items() if name not in _BY_NAME)
            return {*document} | set().union(*map(fields, below))
        case list():
            return set().union(*map(fields, document))
    return set()


_BY_NAME = ("findings", "passed", "deferred", "found", "answers", "request")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_field_is_documented(fed: Bley, command: str) -> None:
    document = json.loads(fed.run(command.partition(" ")[0], "--json", *COMMANDS[command]))
    assert [name for name in fields(document) if f"`{name}`" not in JSON_FIELDS] == []
    instants = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', json.dumps(document))
    assert all(value.endswith("+00:00") for value in instants)


def test_forget_asks_nothing_where_json_is_read(tmp_path: Path) -> None:
    """Also on a terminal: a table and a question would spoil the document."""
    with Bley(tmp_path, classic="1") as bley:
        for sender in ("a@example.com", "b@example.com"):
            bley.ask(client_address="192.0.2.1", sender=sender, recipient="b@example.org")
        terminal = Terminal(*BLEY, "forget", "-c", bley.file, "--all", "--json")
        terminal.wait("Error: 2 records match: --dry-run shows them, and --yes deletes them")
        assert terminal.end() == 2


def test_forget_tells_what_is_forgotten(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        send(bley, BAD)
        document = json.loads(bley.run("forget", "--all", "--json"))
        assert document["is_dry_run"] is False
        assert [record["sender"] for record in document["forgotten"]] == ["a@example.com"]
        assert json.loads(bley.run("forget", "--all", "--json"))["forgotten"] == []


def test_a_terminal_gets_progress(tmp_path: Path) -> None:
    """It is on standard error, and is cleared afterwards."""
    with Bley(tmp_path) as bley:
        send(bley, BAD)
        wait_for(bley, "why", "a@example.com", until="reason helo")
        terminal = Terminal(*BLEY, "why", "-c", bley.file, "a@example.com")
        terminal.wait("searching")
        terminal.wait("reason helo")
        assert terminal.end() == 0


def test_top_ends_at_sigterm(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        send(bley, BAD)
        terminal = Terminal(*BLEY, "top", "-c", bley.file)
        terminal.wait("bley top")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.end() == 0
