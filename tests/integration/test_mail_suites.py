"""The recipes of docs/mail-suites.md, on the settings of each suite, with real Postfix and bley.

A recipe's commands run with a `postconf` for the settings of the test. Postfix then runs with the resulting lists, but
without databases and DNS: restrictions that query them, and other policy services, answer DUNNO or are left out.
"""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from bley.commands.doctor import postfix as doctor
from bley.commands.doctor.finding import Finding, Level
from bley.commands.doctor.policy_place import BleyPlaces
from tests.integration.document_steps import Step, read_steps
from tests.integration.postfix import Postfix, SmtpSession
from tests.integration.running_bley import Bley
from tests.integration.servers import require

PROJECT = Path(__file__).parents[2]
DOCUMENT, SUITES = PROJECT / "docs/mail-suites.md", PROJECT / "tests/data/mail_suites"

HEADINGS = {
    "docker-mailserver": "docker-mailserver",
    "mailcow": "mailcow",
    "mailinabox": "Mail-in-a-Box",
    "iredmail": "iRedMail",
    "modoboa": "modoboa",
}
GREYLISTERS = {
    "docker-mailserver": "postgrey greylists too: check_policy_service inet:127.0.0.1:10023",
    "mailcow": "rspamd (inet:rspamd:9900) greylists too",
    "mailinabox": "postgrey greylists too: check_policy_service inet:127.0.0.1:10023",
    "iredmail": "iRedAPD may greylist too: check_policy_service inet:127.0.0.1:7777",
    "modoboa": "rspamd (inet:localhost:11332) greylists too",
}
"""What `bley doctor` finds before the recipe."""

POSTGREY_OF_DOCKER_MAILSERVER = ", check_policy_service inet:127.0.0.1:10023"
"""The end of smtpd_recipient_restrictions with ENABLE_POSTGREY=1 (setup.d/security/misc.sh, commit 0c9621c)."""

SMTPD = "smtp inet n - n - - smtpd\n"
POSTSCREEN = "smtp inet n - - - 1 postscreen\nsmtpd pass - - - - - smtpd\n"
"""modoboa's services with amavis (master.cf.tpl, commit 0056ef2)."""
LISTS = [f"smtpd_{name}_restrictions" for name in ("client", "helo", "sender", "relay", "recipient")]
NEEDS_DNS = re.compile(r"reject_(?:rbl_client|rhsbl_sender) [^,\s]+|reject_unknown_\w+|reject_unverified_recipient")
OWN_NETWORK, OWN_CLIENT, STRANGER = "198.51.100.0/24", "198.51.100.7", "192.0.2.1"
HELO = "mail.example.com"


class Suite:
    """A suite's settings in a folder, to which its recipe is applied."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        require("postconf", "postfix")
        self.folder, self._steps = folder, read_steps(DOCUMENT, HEADINGS[name])
        self.bley_settings = dict[str, str]()
        master = SUITES / f"{name}.master.cf"
        (folder / "main.cf").write_text((SUITES / f"{name}.cf").read_text())
        (folder / "master.cf").write_text(master.read_text() if master.exists() else SMTPD)
        self.commands = folder / "commands"
        for place in ("bin", "rspamd/local.d", "rspamd/override.d"):
            (folder / place).mkdir(parents=True)
        programs = folder / "bin"
        for program in ("systemctl", "postfix", "bley", "python3", "docker"):
            self._program(programs / program, f'echo "{program} $*" >>{self.commands}')
        self._program(programs / "postconf", f'exec /usr/sbin/postconf -c {folder} "$@"')
        self._path = f"{programs}:/usr/bin:/bin"

    @staticmethod
    def _program(file: Path, text: str) -> None:
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def take_steps(self) -> None:
        """Apply the recipe: all commands of the document in one script, and its settings."""
        assert self._steps
        for step in self._steps:
            if step.language == "ini":
                self._set(step)
        script = "\n".join(step.text for step in self._steps if step.language == "sh")
        for documented, place in {
            "/etc/systemd": "systemd",
            "/etc/rspamd": "rspamd",
            "data/conf/rspamd": "rspamd",
        }.items():
            script = script.replace(documented, str(self.folder / place))
        subprocess.run(["sh", "-e", "-c", script], check=True, env=os.environ | {"PATH": self._path})

    def _set(self, step: Step) -> None:
        if "listen_port" in step.text:
            self.bley_settings |= dict(re.findall(r"^(\w+) = (.*)$", step.text, re.MULTILINE))
        else:  # extra.cf
            with (self.folder / "main.cf").open("a") as main:
                main.write(f"{step.text}\n")

    def findings(self, *places: str) -> list[Finding]:
        """Return what `bley doctor` finds in the settings, if bley listens at these places."""
        return list(doctor.examine_postfix(BleyPlaces(places or ("127.0.0.1:1337",)), str(self.folder)))

    def setting(self, name: str) -> str:
        command: list[str | Path] = ["/usr/sbin/postconf", "-c", self.folder, "-xh", name]
        return str(subprocess.run(command, capture_output=True, text=True, check=True).stdout).strip()

    def runnable_lists(self, port: int) -> dict[str, str]:
        """Return the lists of restrictions with bley at this port, and without databases, DNS and other services."""
        lists = {}
        for name in LISTS:
            text = self.setting(name)
            text = re.sub(r"inet:(?:bley|127\.0\.0\.1):(?:1337|10023)", f"inet:127.0.0.1:{port}", text)
            text = re.sub(rf"check_policy_service inet:127\.0\.0\.1:(?!{port})\d+", "", text)
            text = re.sub(r"(?:proxy:)?(?:mysql|pgsql|pcre):\S+?(?=[,\s]|$)", "static:DUNNO", text)
            text = NEEDS_DNS.sub("", text).replace("reject_authenticated_sender_login_mismatch", "")
            lists[name] = ", ".join(filter(None, (part.strip() for part in re.split(r",(?![^{]*})", text))))
        return lists


@pytest.fixture(name="suite", params=HEADINGS)
def _suite(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    files = [tmp_path / "rspamd" / name / "greylist.conf" for name in ("local.d", "override.d")]
    monkeypatch.setattr(doctor, "_RSPAMD", files)
    return Suite(request.param, tmp_path)


def rcpt(
    postfix: Postfix, client_address: str, recipient: str = "b@example.org", sasl_username: str | None = None
) -> int:
    """Return the code of the reply to RCPT TO."""
    with postfix.session(client_address=client_address, helo_name=HELO, sasl_username=sasl_username) as smtp:
        smtp.mail("a@example.com")
        return smtp.rcpt(recipient).code


def test_strangers_wait_and_your_own_clients_do_not(suite: Suite, tmp_path: Path) -> None:
    """Postfix queries bley for strangers alone, and only about mail for its own domains."""
    suite.take_steps()
    bley_folder = tmp_path / "bley"
    bley_folder.mkdir()
    with Bley(bley_folder, classic="1", greylist_period="1h") as bley:
        main_cf = suite.runnable_lists(bley.port) | {"mynetworks": OWN_NETWORK}
        with Postfix(f"inet:127.0.0.1:{bley.port}", main_cf=main_cf) as postfix:
            assert rcpt(postfix, OWN_CLIENT) == 250
            assert rcpt(postfix, STRANGER, "b@example.net") in (454, 554)
            assert rcpt(postfix, STRANGER, sasl_username="jane") == 250
            assert rcpt(postfix, STRANGER) == 450
            bley.wait_log("action=greylist")
        decided = [(each["client_address"], each["recipient"], each["reason"]) for each in bley.decisions()]
    assert decided[-1] == (STRANGER, "b@example.org", "new")
    assert {reason for _, _, reason in decided[:-1]} <= {"authenticated"}


def test_doctor_names_the_greylister_of_the_suite_before(suite: Suite) -> None:
    if suite.name == "docker-mailserver":
        main = suite.folder / "main.cf"
        main.write_text(re.sub("(?m)^smtpd_recipient.*", rf"\g<0>{POSTGREY_OF_DOCKER_MAILSERVER}", main.read_text()))
    found = [each.what for each in suite.findings() if re.search("greylists? too", each.what)]
    assert len(found) == 1
    assert found[0].startswith(GREYLISTERS[suite.name])


def test_doctor_finds_nothing_wrong(suite: Suite) -> None:
    """A note about iRedAPD remains, whose switch is in its database."""
    suite.take_steps()
    port = suite.bley_settings.get("listen_port", "1337")
    found = suite.findings(f"127.0.0.1:{port}")
    assert [each for each in found if each.level in (Level.FAULT, Level.WARNING)] == []
    assert any(each.level is Level.WELL for each in found) or "on another host" in found[0].what


def test_doctor_names_the_deep_protocol_tests_of_modoboa_with_amavis(tmp_path: Path) -> None:
    """Their command ends the finding."""
    suite = Suite("modoboa", tmp_path)
    (tmp_path / "master.cf").write_text(POSTSCREEN)
    [finding] = [each for each in suite.findings() if each.what.startswith("postscreen's deep protocol tests are on")]
    subprocess.run(finding.remedy.partition(" && ")[0], shell=True, check=True)
    assert finding not in suite.findings()


def test_a_second_start_of_docker_mailserver_adds_no_second_line(tmp_path: Path) -> None:
    suite = Suite("docker-mailserver", tmp_path)
    for _ in range(2):
        suite.take_steps()
    assert suite.setting("smtpd_recipient_restrictions").count("inet:bley:1337") == 1


def test_postgrey_becomes_a_service_that_does_nothing(tmp_path: Path) -> None:
    """systemd accepts the drop-in of Mail-in-a-Box for the unit of the package."""
    require("systemd-analyze", "systemd")
    suite = Suite("mailinabox", tmp_path)
    suite.take_steps()
    drop_in = tmp_path / "systemd/system/postgrey.service.d/bley.conf"
    unit = tmp_path / "systemd/system/postgrey.service"
    unit.write_text("[Service]\nType=simple\nExecStart=/usr/sbin/postgrey\nRestart=always\n")
    ran = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    assert "postgrey.service" not in ran.stderr
    assert drop_in.read_text().endswith("ExecStart=\nExecStart=/bin/true\n")


class ProxiedPostfix(Postfix):
    """Postfix behind a proxy that sends the PROXY protocol, as haproxy and traefik do."""

    def connected(self, client_address: str) -> SmtpSession:
        """Return a session that the proxy forwards for this client."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        version, own = (6, "2001:db8::25") if ":" in client_address else (4, "192.0.2.25")
        connection.sendall(f"PROXY TCP{version} {client_address} {own} 40000 25\r\n".encode())
        return SmtpSession(connection)

    def _greets(self) -> bool:
        try:
            with self.connected("192.0.2.99") as smtp:
                return smtp.greeting.code == 220
        except OSError:  # not yet
            return False


@pytest.mark.parametrize("client_address", [STRANGER, "2001:db8::1"])
def test_bley_sees_the_clients_of_a_proxy_that_names_them(client_address: str, tmp_path: Path) -> None:
    with Bley(tmp_path, classic="1") as bley:
        main_cf = {"smtpd_upstream_proxy_protocol": "haproxy"}
        with ProxiedPostfix(f"inet:127.0.0.1:{bley.port}", main_cf=main_cf) as postfix:
            with postfix.connected(client_address) as smtp:
                smtp.expect(250, f"EHLO {HELO}")
                smtp.mail("a@example.com")
                assert smtp.rcpt("b@example.org").code == 450
            bley.wait_log("action=greylist")
        assert [each["client_address"] for each in bley.decisions()] == [client_address]
