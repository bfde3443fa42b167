"""The harness itself: what a test may rely on when a real Postfix or Exim asks its service."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_UNIX
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from tests.free_ports import free_port
from tests.integration.exim import INSTALLED_EXIM, OWN_EXIM, Exim
from tests.integration.postfix import MASTER, Postfix
from tests.integration.servers import reachable_folder, require

PROJECT = Path(__file__).parents[2]
EARLY = "greylisted, try again in 5:00 ($5 {off}, 100 %)"
WAITED = "delayed 300 seconds; Mon, 23 Nov 2026 02:41:13 +0000"
ACTIONS = {"early": f"DEFER_IF_PERMIT {EARLY}", "waited": f"PREPEND X-Greylist: {WAITED}"}


class PolicyStub(ThreadingTCPServer):
    """A policy service that remembers each request and answers as its local part says."""

    daemon_threads = True
    answer_at_half_close = False

    def __init__(self, address: str | tuple[str, int]) -> None:
        super().__init__(address, Answering)  # type: ignore[arg-type]  # typeshed: no AF_UNIX
        self.requests: list[dict[str, str]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the end of the block."""
        with self:
            thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield
            finally:
                self.shutdown()
                thread.join()


class UnixPolicyStub(PolicyStub):
    """The same at a Unix socket."""

    address_family = AF_UNIX


class Answering(StreamRequestHandler):
    """One connection: any number of requests, until the peer closes its half."""

    server: PolicyStub

    def handle(self) -> None:
        lines = self.rfile.readlines() if self.server.answer_at_half_close else self.rfile
        request: dict[str, str] = {}
        for line in lines:
            name, _, value = line.decode().rstrip("\n").partition("=")
            if name:
                request[name] = value
            else:
                self.server.requests.append(request)
                action = ACTIONS.get(request["recipient"].partition("@")[0], "DUNNO")
                self.wfile.write(f"action={action}\n\n".encode())
                request = {}


def test_two_test_runs_are_given_different_ports() -> None:
    """And none that a program gets which asks for any port."""
    ours = {free_port() for _ in range(600)}
    code = "from tests.free_ports import free_port; print([free_port() for _ in range(600)])"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    theirs = set(json.loads(run.stdout))
    assert theirs.isdisjoint(ours)
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(theirs | ours) < lowest


@pytest.fixture
def policy() -> Iterator[PolicyStub]:
    stub = PolicyStub(("127.0.0.1", 0))
    with stub.running():
        yield stub


@pytest.fixture
def postfix(policy: PolicyStub) -> Iterator[Postfix]:
    with Postfix(f"inet:127.0.0.1:{policy.server_address[1]}") as postfix:
        yield postfix


@pytest.fixture
def exim(policy: PolicyStub) -> Iterator[Exim]:
    with Exim(policy.server_address[1]) as exim:
        yield exim


@pytest.fixture(params=["postfix", "exim"])
def server(request: pytest.FixtureRequest) -> Postfix | Exim:
    """Each server in turn: what the service is told, and what the world sees, is the same."""
    server: Postfix | Exim = request.getfixturevalue(request.param)
    return server


class TestBothServers:
    @pytest.mark.parametrize(
        ("address", "name", "helo_name"),
        [
            ("192.0.2.1", "mx.example.com", "mx.example.com"),
            ("198.51.100.7", "unknown", "[198.51.100.7]"),
            ("2001:db8::1", "o1.sg.example.com", "localhost"),
            ("2001:db8::2", "unknown", "[IPv6:2001:db8::2]"),
        ],
    )
    def test_service_is_told_the_client_of_the_session(
        self, server: Postfix | Exim, policy: PolicyStub, address: str, name: str, helo_name: str
    ) -> None:
        """Address, verified name and HELO reach the service exactly as the test gave them."""
        with server.session(client_address=address, client_name=name, helo_name=helo_name) as smtp:
            smtp.send("a@example.com", ["b@example.org"])
        [request] = policy.requests
        assert request["request"] == "smtpd_access_policy"
        assert request["protocol_state"] == "RCPT"
        assert request["client_address"] == address
        assert request["client_name"] == name
        assert request["helo_name"] == helo_name
        assert request["sender"] == "a@example.com"
        assert request["recipient"] == "b@example.org"
        assert request["sasl_username"] == ""

    def test_world_sees_the_deferral(self, server: Postfix | Exim) -> None:
        """DEFER_IF_PERMIT becomes 450 4.7.1 with the service's text, for its recipient only."""
        with server.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            early, passed = smtp.send("a@example.com", ["early@example.org", "b@example.org"])
        assert early.code == 450
        assert early.text.startswith("4.7.1 ")
        assert early.text.endswith(EARLY)
        assert passed.code == 250
        [message] = server.wait_delivered(1)
        assert message["Subject"] == "small"
        assert message["X-Greylist"] is None

    def test_prepended_header_is_in_the_message(self, server: Postfix | Exim) -> None:
        """PREPEND puts the service's header, once, above those that the message came with."""
        with server.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            smtp.send("a@example.com", ["waited@example.org"])
        [message] = server.wait_delivered(1)
        assert message.get_all("X-Greylist") == [WAITED]
        assert message.keys().index("X-Greylist") < message.keys().index("Subject")

    def test_utf8_addresses(self, server: Postfix | Exim, policy: PolicyStub) -> None:
        """With SMTPUTF8 both addresses reach the service and the mailbox as UTF-8."""
        with server.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            [reply] = smtp.send("jörgen@example.com", ["jürgen+liste@example.org"])
        assert reply.code == 250
        [request] = policy.requests
        assert request["sender"] == "jörgen@example.com"
        assert request["recipient"] == "jürgen+liste@example.org"
        [message] = server.wait_delivered(1)
        assert message["Return-Path"] == "<jörgen@example.com>"

    def test_null_sender(self, server: Postfix | Exim, policy: PolicyStub) -> None:
        """A bounce's sender is empty, not missing."""
        with server.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            smtp.send("", ["b@example.org"])
        [request] = policy.requests
        assert request["sender"] == ""
        [message] = server.wait_delivered(1)
        assert message["Return-Path"] == "<>"

    def test_recipients_of_one_message_share_the_instance(self, server: Postfix | Exim, policy: PolicyStub) -> None:
        """`instance` says which requests are of one message; the next message has another."""
        with server.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            smtp.send("a@example.com", ["b@example.org", "early@example.org", "c@example.org"])
            smtp.send("a@example.com", ["b@example.org"])
        *first, second = [request["instance"] for request in policy.requests]
        assert len(first) == 3
        assert len(set(first)) == 1
        assert second not in ("", first[0])
        assert len(server.wait_delivered(3)) == 3

    def test_relaying_is_refused_unasked(self, server: Postfix | Exim, policy: PolicyStub) -> None:
        """The service is not asked about mail that is refused anyway."""
        with server.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            [reply] = smtp.send("a@example.com", ["b@example.net"])
        assert reply.code in (550, 554)
        assert policy.requests == []

    def test_message_arrives_as_it_was_sent(self, server: Postfix | Exim) -> None:
        """Lines that begin with a dot, UTF-8, and a missing last line end do no harm."""
        text = "Subject: dots\n\n.one\n..two ü\n.\nlast"
        with server.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            smtp.send("ü@example.com", ["b@example.org"], text)
        [message] = server.wait_delivered(1)
        payload = message.get_payload(decode=True)
        assert payload == ".one\n..two ü\n.\nlast\n".encode()


@pytest.mark.parametrize("kind", [Postfix, Exim])
def test_mail_passes_when_no_service_answers(kind: type[Postfix] | type[Exim]) -> None:
    """Set up as our documentation says, a server without its policy service takes all mail."""
    port = free_port()
    with (
        Postfix(f"inet:127.0.0.1:{port}") if kind is Postfix else Exim(port) as server,
        server.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp,
    ):
        [reply] = smtp.send("a@example.com", ["b@example.org"])
    assert reply.code == 250


class TestPostfix:
    def test_helo_instead_of_ehlo(self, postfix: Postfix, policy: PolicyStub) -> None:
        """An old client greets with HELO, and the service can see that."""
        with postfix.session(client_address="192.0.2.1", helo_name="old.example.com", greeting="HELO") as smtp:
            smtp.send("a@example.com", ["b@example.org"])
        [request] = policy.requests
        assert request["protocol_name"] == "SMTP"
        assert request["helo_name"] == "old.example.com"

    def test_unverified_name(self, postfix: Postfix, policy: PolicyStub) -> None:
        """A client may have a reverse name that does not lead back to it."""
        with postfix.session(
            client_address="192.0.2.1", reverse_client_name="forged.example.com", helo_name="mx"
        ) as smtp:
            smtp.send("a@example.com", ["b@example.org"])
        [request] = policy.requests
        assert request["client_name"] == "unknown"
        assert request["reverse_client_name"] == "forged.example.com"

    def test_logged_in_client(self, postfix: Postfix, policy: PolicyStub) -> None:
        """A user who has logged in has a name, which the service is told."""
        with postfix.session(client_address="192.0.2.1", sasl_username="ann@example.org", helo_name="laptop") as smtp:
            smtp.send("ann@example.org", ["b@example.org"])
        [request] = policy.requests
        assert request["client_address"] == "192.0.2.1"
        assert request["sasl_username"] == "ann@example.org"

    def test_unix_socket(self) -> None:
        """A service at a Unix socket is asked as one at a port is."""
        with reachable_folder() as folder:
            stub = UnixPolicyStub(str(folder / "policy"))
            # Connecting needs the right to write.
            (folder / "policy").chmod(0o666)
            with (
                stub.running(),
                Postfix(f"unix:{folder}/policy") as postfix,
                postfix.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp,
            ):
                [reply] = smtp.send("a@example.com", ["early@example.org"])
        assert reply.code == 450
        assert [request["client_address"] for request in stub.requests] == ["192.0.2.1"]

    def test_bare_postmaster_is_not_asked_about(self, postfix: Postfix, policy: PolicyStub) -> None:
        """RFC 5321 4.5.1: Postfix itself lets `postmaster` without a domain pass."""
        with postfix.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            replies = smtp.send("a@example.com", ["postmaster", "postmaster@example.org"])
        assert [reply.code for reply in replies] == [250, 250]
        assert [request["recipient"] for request in policy.requests] == ["postmaster@example.org"]
        recipients = [message["X-Original-To"] for message in postfix.wait_delivered(2)]
        assert sorted(recipients) == ["postmaster", "postmaster@example.org"]

    def test_refused_command_ends_the_session(self, postfix: Postfix) -> None:
        """A client that Postfix cannot believe in fails the test, with the reply."""
        with pytest.raises(AssertionError, match=r"XCLIENT NAME=a\+b .*code=501"):
            postfix.session(client_address="192.0.2.1", client_name="a+b", helo_name="mx")

    def test_own_settings(self, policy: PolicyStub) -> None:
        """A test may replace any setting of main.cf."""
        service = f"inet:127.0.0.1:{policy.server_address[1]}"
        with (
            Postfix(service, main_cf={"smtpd_banner": "mx.example.net ESMTP ours"}) as postfix,
            postfix.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp,
        ):
            assert smtp.greeting.text == "mx.example.net ESMTP ours"

    def test_log_can_be_asked(self, postfix: Postfix) -> None:
        """A test finds a line of the log as soon as it is written, or fails."""
        with postfix.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            smtp.send("a@example.com", ["early@example.org"])
        assert "to=<early@example.org>" in postfix.wait_log("450 4.7.1")
        with pytest.raises(AssertionError, match="'no such words' is not in"):
            postfix.wait_log("no such words", timeout_seconds=0)

    def test_waits_for_mail_in_vain(self, postfix: Postfix) -> None:
        """A test that waits for mail that nobody sent fails and says how much there was."""
        with pytest.raises(AssertionError, match="0 of 1 messages"):
            postfix.wait_delivered(1, timeout_seconds=0)

    def test_wrong_setting_stops_the_start(self) -> None:
        """A Postfix that cannot run says why, at once."""
        with (
            pytest.raises(RuntimeError, match=r'fatal: .*inet_protocols value "ipv5"'),
            Postfix("inet:127.0.0.1:1", main_cf={"inet_protocols": "ipv5"}),
        ):
            pass

    def test_end_leaves_nothing_behind(self, policy: PolicyStub) -> None:
        """After the block there is no process and no folder, even in the middle of a session."""
        with Postfix(f"inet:127.0.0.1:{policy.server_address[1]}") as postfix:
            smtp = postfix.session(client_address="192.0.2.1", helo_name="mx.example.com")
            smtp.send("a@example.com", ["b@example.org"])
            postfix.wait_delivered(1)
            assert len(processes_in(postfix.folder)) >= 5
        wait_until_deserted(postfix.folder)
        smtp.close()
        assert not postfix.folder.exists()

    def test_killed_test_run_leaves_no_process(self) -> None:
        """Postfix ends with the test run, however that ends."""
        code = (
            "import os, signal\n"
            "from tests.integration.postfix import Postfix\n"
            "with Postfix('inet:127.0.0.1:1') as postfix:\n"
            "    print(postfix.folder, flush=True)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert run.returncode == -signal.SIGKILL, run.stderr
        folder = Path(run.stdout.strip())
        wait_until_deserted(folder)
        shutil.rmtree(folder)


class TestExim:
    def test_request_ends_with_a_half_close(self, exim: Exim, policy: PolicyStub) -> None:
        """Exim closes its half after the request: a service may wait for that, and still answer."""
        policy.answer_at_half_close = True
        with exim.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            [reply] = smtp.send("a@example.com", ["early@example.org"])
        assert reply.code == 450

    def test_log_names_the_deferral(self, exim: Exim) -> None:
        """What the world was told is in Exim's log."""
        with exim.session(client_address="192.0.2.1", helo_name="mx.example.com") as smtp:
            smtp.send("a@example.com", ["early@example.org"])
        assert "temporarily rejected RCPT <early@example.org>: 450 4.7.1" in exim.log()


class TestRequire:
    def test_missing_server_skips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a developer's machine a missing server skips the test and names its package."""
        monkeypatch.delenv("CI", raising=False)
        with pytest.raises(pytest.skip.Exception, match="install the Debian package some-mta"):
            require("/nonexistent/mta", "some-mta")

    def test_missing_server_fails_in_ci(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In CI a missing server is a failure: there nobody reads what was skipped."""
        monkeypatch.setenv("CI", "true")
        with pytest.raises(pytest.fail.Exception, match="install the Debian package some-mta"):
            require("/nonexistent/mta", "some-mta")


class TestInstall:
    """`install-servers.sh`, which `make test` calls before the tests."""

    def test_silent_when_all_is_there(self) -> None:
        """Most of the time there is nothing to do, and so nothing to say."""
        require(MASTER, "postfix")
        require(OWN_EXIM, "exim4-daemon-light")
        assert self.install("sh", "-s", str(OWN_EXIM.parents[2])) == ""

    def test_user_is_told_what_is_missing(self) -> None:
        """Who may not install anything gets one line with the packages, and no error."""
        if INSTALLED_EXIM.exists():
            pytest.skip("this machine has an Exim of its own")
        nobody = ("setpriv", "--reuid=65534", "--clear-groups")
        said = self.install(*nobody, "sh", "-s", "/nonexistent")
        assert said.startswith("install-servers.sh: not root, ")
        assert " exim4-daemon-light" in said
        assert said.count("\n") == 1

    def test_installs_each_package_that_a_test_requires(self) -> None:
        """All but mount, which every Debian has."""
        texts = [file.read_text() for file in (PROJECT / "tests").rglob("*.py")]
        required = {name for text in texts for name in re.findall(r'\brequire\([^,\n]+, "([a-z0-9.+-]+)"', text)}
        table = (PROJECT / "tests/integration/install-servers.sh").read_text()
        installed = set(re.findall(r"(?m)^([a-z0-9.+|-]+)  +[/a-z]", table))
        assert required - {each for names in installed for each in names.split("|")} == {"mount", "some-mta"}

    @staticmethod
    def install(*command: str) -> str:
        # By stdin: the user `nobody` may be kept from our folders.
        with (PROJECT / "tests/integration/install-servers.sh").open() as script:
            run = subprocess.run(command, stdin=script, capture_output=True, text=True, check=True)
        assert run.stderr == ""
        return run.stdout


def processes_in(folder: Path) -> list[int]:
    """The processes that work in this folder: each daemon of a Postfix does, in its queue."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            place = str((process / "cwd").readlink())
        except OSError:  # It has ended.
            continue
        # The kernel marks the place of a deleted folder behind its name.
        if place.startswith(f"{folder}/"):
            pids.append(int(process.name))
    return pids


def wait_until_deserted(folder: Path) -> None:
    end = time.monotonic() + 5
    while left := processes_in(folder):
        assert time.monotonic() < end, f"processes {left} are left"
        time.sleep(0.01)
