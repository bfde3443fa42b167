"""The documents about moving from other greylisters, step by step with real servers: known mail is never delayed."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from bley.settings.file import load
from tests.free_ports import free_port
from tests.integration.document_steps import DocumentSteps, read_steps
from tests.integration.greylisters import (
    DELAY_OVER_SECONDS,
    POSTGREY,
    Greylister,
    postgrey_folder,
    running_postgrey,
    running_sqlgrey,
)
from tests.integration.postfix import Postfix
from tests.integration.running_bley import Bley
from tests.integration.servers import reachable_folder, require

DOCUMENTS = Path(__file__).parents[2] / "docs"

Mail = tuple[str, str]
"""A client's address and a sender."""

Learning = AbstractContextManager[tuple[Greylister, dict[str, object]]]
"""A running greylister, with its places by those of the document."""

KNOWN = [("192.0.2.1", "jane@example.com"), ("203.0.113.4", "one@example.net"), ("203.0.113.4", "two@example.net")]
"""Mails that wait and pass. The last two bring their client, or its domain, into the automatic whitelist."""
BY_WHITELIST = ("203.0.113.4", "three@example.net")
LATE = ("192.0.2.50", "late@example.com")
"""A mail that passes between the first import and the switch."""
WAITING, STRANGER = ("198.51.100.9", "waiting@example.com"), ("198.51.100.200", "stranger@example.com")
EXEMPT = ("198.51.100.77", "list@example.com")


@contextmanager
def postgrey() -> Iterator[tuple[Greylister, dict[str, object]]]:
    """Run postgrey, which whitelists a client after its first pass."""
    with postgrey_folder() as folder, running_postgrey(folder, "--auto-whitelist-clients=1") as server:
        yield server, {"/var/lib/postgrey": folder, "127.0.0.1:10023": f"127.0.0.1:{server.port}"}


@contextmanager
def sqlgrey() -> Iterator[tuple[Greylister, dict[str, object]]]:
    with reachable_folder() as folder, running_sqlgrey(folder, "SQLite", db_name=folder / "sqlgrey.db") as server:
        yield server, {"/var/lib/sqlgrey": folder, "127.0.0.1:2501": f"127.0.0.1:{server.port}"}


def moved(folder: Path, **settings: object) -> Bley:
    """Return a bley at which `check-config` finds the one that runs."""
    return Bley(folder, web_listen=f"127.0.0.1:{free_port()}", **settings)


def code(postfix: Postfix, mail: Mail) -> int:
    """Return the code of the reply to RCPT TO."""
    client_address, sender = mail
    with postfix.session(client_address=client_address, helo_name="friend") as smtp:
        smtp.mail(sender)
        return smtp.rcpt("b@example.org").code


def reload(postfix: Postfix) -> None:
    """Reload the settings, as `postfix reload` does."""
    os.kill(int((postfix.queue / "pid/master.pid").read_text()), signal.SIGHUP)
    postfix.wait_log("reload")


def teach(postfix: Postfix) -> None:
    """Let the mails of `KNOWN` pass after their wait; the others are deferred once."""
    assert [code(postfix, mail) for mail in [*KNOWN, LATE]] == [450] * 4
    time.sleep(DELAY_OVER_SECONDS)
    assert [code(postfix, mail) for mail in KNOWN] == [250] * 3
    assert code(postfix, WAITING) == 450


@pytest.mark.parametrize(("name", "greylister"), [("postgrey", postgrey), ("sqlgrey", sqlgrey)])
def test_known_mail_is_never_delayed(name: str, greylister: Callable[[], Learning], tmp_path: Path) -> None:
    """After each step of the document known mail passes. In the end strangers wait, and so does mail that waited."""
    with greylister() as (server, places), moved(tmp_path, greylist_period="1h") as bley:
        lists = tmp_path / name
        lists.mkdir()
        for file in ("whitelist_clients", "whitelist_recipients", "clients_ip_whitelist", "clients_fqdn_whitelist"):
            (lists / f"{file}.local").write_text(f"{EXEMPT[0]}\n" if "clients" in file else "c@example.org\n")
        service = f"inet:127.0.0.1:{server.port}"
        restrictions = f"reject_unauth_destination, check_policy_service {service}"
        main_cf = {"smtpd_recipient_restrictions": restrictions, "max_use": "1"}
        with Postfix(service, main_cf=main_cf) as postfix:
            places |= {
                f"/etc/{name}": lists,
                "/etc/bley": tmp_path,
                "/etc/postfix": postfix.folder / "settings",
                "127.0.0.1:1337": f"127.0.0.1:{bley.port}",
            }
            services = {
                "postfix reload": lambda: reload(postfix),
                f"systemctl disable --now {name}": server.end,
            }
            options = {"import": ["--delay=1", "--auto-whitelist-clients=1"]}
            steps = DocumentSteps(bley, places=places, services=services, options=options)
            teach(postfix)
            for step in read_steps(DOCUMENTS / f"moving-from-{name}.md"):
                steps.take(step)
                assert [code(postfix, mail) for mail in [*KNOWN, BY_WHITELIST]] == [250] * 4, step
                if step.text == "systemctl restart bley":
                    assert code(postfix, LATE) == 250
            assert [code(postfix, mail) for mail in (LATE, EXEMPT, WAITING, STRANGER)] == [250, 250, 450, 450]
            bley.wait_log("reason=new")  # the last one
            reasons = [decision["reason"] for decision in bley.decisions()]
    assert reasons[-4:] == ["known", "exempt-client", "early", "new"]
    assert set(reasons[:-4]) == {"known"}


def test_bley_learns_while_rspamd_greylists(tmp_path: Path) -> None:
    """Mail that came twice while bley observed is known when it defers; no mail is delayed before."""
    (tmp_path / "maps.d").mkdir()
    (tmp_path / "maps.d/greylist-whitelist-domains.inc").write_text("# comment\nexample.com\n")
    places = {"/etc/rspamd/local.d": tmp_path, "/etc/bley": tmp_path}

    def answer(bley: Bley, sender: str, client_name: str = "unknown") -> str:
        request = {"client_address": "192.0.2.1", "helo_name": "friend", "client_name": client_name}
        return bley.ask(**request, sender=sender, recipient="b@example.org")

    with moved(tmp_path, greylist_period="0", greylist_penalty="0") as bley:
        steps = DocumentSteps(bley, places=places, services={})
        for step in read_steps(DOCUMENTS / "moving-from-rspamd-greylist.md"):
            if step.text.startswith("bley stats"):
                assert [answer(bley, "jane@example.net") for _ in range(2)] == ["action=DUNNO"] * 2
                assert answer(bley, "exempt@example.net", "mx.example.com") == "action=DUNNO"
                observed = [decision["action"] for decision in bley.decisions(at_least=3)]
                assert observed == ["would-defer", "pass", "pass"]
            steps.take(step)
        assert answer(bley, "jane@example.net") == "action=DUNNO"
        assert answer(bley, "stranger@example.net").startswith("action=DEFER_IF_PERMIT")
        assert bley.decisions(at_least=5)[3]["reason"] == "known"


def test_the_tables_of_opt_in_become_sections(tmp_path: Path) -> None:
    """The commands and sections for a database in SQLite."""
    require("sqlite3", "sqlite3", as_root=False)
    tables = {"optin_email": "email", "optout_email": "email", "optin_domain": "domain"}
    rows = {"optin_email": "jane@example.org", "optout_email": "joe@example.net", "optin_domain": "example.net"}
    script = "".join(
        f"CREATE TABLE {name} ({tables[name]});INSERT INTO {name} VALUES ('{rows[name]}');" for name in rows
    )
    subprocess.run(["sqlite3", tmp_path / "sqlgrey.db", script], check=True)
    for step in read_steps(DOCUMENTS / "moving-from-sqlgrey.md", "Opt-in and opt-out"):
        if step.language == "ini":
            (tmp_path / "bley.conf").write_text(step.text)
        else:
            command = step.text.replace("/etc/bley", str(tmp_path))
            subprocess.run(["sh", "-e", "-c", command], check=True, cwd=tmp_path)
    configuration = load(tmp_path / "bley.conf")
    assert configuration.settings.mode == "off"
    sections = [section.recipients for section in configuration.sections]
    recipients = ["jane@example.org", "joe@example.net", "ann@example.net", "ann@sub.example.net"]
    found = [[number for number, one in enumerate(sections) if one.find(name)] for name in recipients]
    assert found == [[0], [1, 2], [2], []]


def documented(document: str, pattern: str) -> set[str]:
    """Return the words in code of the first column of the document's last table."""
    text = (DOCUMENTS / document).read_text()
    cells = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    return set(re.findall(pattern, " ".join(re.findall(r"`([^`]*)`", " ".join(cells)))))


def test_every_option_of_postgrey_is_documented() -> None:
    require(POSTGREY, "postgrey", as_root=False)
    shown = subprocess.run([POSTGREY, "--help"], capture_output=True, text=True, check=False).stdout
    options = set(re.findall(r"^\s+(?:-\w, )?(--[a-z-]*[a-z0-9])", shown, re.MULTILINE)) - {"--help", "--version"}
    assert len(options) > 20
    assert options == documented("moving-from-postgrey.md", r"--[a-z-]*[a-z0-9]")


def test_every_setting_of_sqlgrey_is_documented() -> None:
    """These are the settings in the file of the package, most of them in comments."""
    file = Path("/etc/sqlgrey/sqlgrey.conf")
    if not file.exists():
        require("sqlgrey.conf", "sqlgrey")
    settings = set(re.findall(r"^# ?([a-z_]+) ?= ?", file.read_text(), re.MULTILINE))
    assert len(settings) > 30
    assert settings <= documented("moving-from-sqlgrey.md", r"[a-z_]+")
