"""The rules in contrib/logcheck, applied as logcheck does, to the lines of a real bley."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.dns_server import DnsServer
from tests.free_ports import free_port
from tests.integration.running_bley import Bley
from tests.integration.test_fail2ban import FORMS, HOSTILE, mail
from tests.integration.test_lists import entries, on

RULES = Path(__file__).parents[2] / "contrib/logcheck/bley"


def reported(log: str, folder: Path) -> list[str]:
    """Return the lines that logcheck would report; it cleans the rules and applies them by the same commands."""
    (folder / "some.log").write_text(log)
    command = f"grep -E --text -v '^[[:space:]]*$|^#' {RULES} >rules; grep -E --text -v -f rules some.log"
    ran = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, check=False, env={"LC_ALL": "C.UTF-8"})
    assert ran.returncode <= 1, ran.stderr
    return ran.stdout.decode().split("\n")[:-1]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_all_lines_but_warnings_are_ignored(log_format: str, tmp_path: Path) -> None:
    """A start, decisions of all kinds about hostile texts, a reload and a stop; one list is ill."""
    with DnsServer(entries("bl.example", "198.51.100.2", TXT=HOSTILE[2:3])) as dns:
        settings = on(dns, dnsbls="bl.example, bl-gone.example", use_spf="1", check_names="1", log_format=log_format)
        settings |= {"greylist_period": "5m", "greylist_penalty": "0"}
        lists = {"whitelist_senders": "exempt@example.com\n"}
        sections = {"\n[recipients one]\nmatch": "c@example.org"}
        with Bley(tmp_path, lists, **settings, **sections) as bley:
            for text in ["a@example.com", *HOSTILE]:
                sender = re.sub(r"[\r\n]", " ", text)
                for client_name in ("unknown", sender):
                    mail(bley, "192.0.2.1", sender, client_name)
            mail(bley, "2001:db8::1", "")
            assert mail(bley, "198.51.100.2") == "action=DEFER_IF_PERMIT"
            mail(bley, "192.0.2.1", "exempt@example.com")
            bley.end_waits()
            assert mail(bley, "192.0.2.1") == "action=PREPEND"
            bley.ask(client_address="192.0.2.1", recipient="c@example.org", sender="a@example.com", instance="1.2")
            assert mail(bley, HOSTILE[0]) == "action=DUNNO"  # no client_address: warned of
            bley.stop()
            assert len(bley.log().splitlines()) > 30
            for form in FORMS:
                lines = [re.sub(r".*bley\[\d+\]: ", "", line) for line in reported(form(bley.log()), tmp_path)]
                assert sorted(line.split(":")[0] for line in lines) == [
                    "bl-gone.example is set aside",
                    "no usable client_address or recipient, answered DUNNO",
                ]


def test_the_mailed_report_is_ignored(tmp_path: Path) -> None:
    """Its unit writes one line a week; a failure is an error of another form."""
    start = "Nov 30 06:00:01 mx1 bley[4711]: "
    assert reported(f"{start}the report is mailed to postmaster@example.org\n", tmp_path) == []
    error = f"{start}Error: /usr/sbin/sendmail refused the mail with status 75: the mail system is down"
    assert reported(f"{error}\n", tmp_path) == [error]


def test_a_store_that_fails_is_reported(tmp_path: Path) -> None:
    """Decisions without it are ignored, as others."""
    with Bley(tmp_path, database=f"redis://127.0.0.1:{free_port()}") as bley:
        mail(bley, "192.0.2.1")
        bley.stop()
    lines = reported(bley.log(), tmp_path)
    assert lines
    assert all("]: store: " in line for line in lines)
    assert "reason=store-error" in bley.log()


def test_a_followed_name_is_reported_when_it_fails(tmp_path: Path) -> None:
    """Its new addresses are ignored."""
    start = "2026-11-26T14:26:50Z bley[1]: /etc/bley/whitelist_clients:1:dyn:home.example.org: "
    lines = [
        f"{start}does not resolve (NXDOMAIN): exempts 192.0.2.1, until 24 hours after the last answer",
        f"{start}resolves again: exempts 192.0.2.1",
    ]
    assert reported("\n".join([*lines, f"{start}exempts 192.0.2.1, 2001:db8::1", ""]), tmp_path) == lines


def test_a_traceback_is_reported(tmp_path: Path) -> None:
    text = "2026-11-26T14:26:50Z bley[1]: internal error; please report it\nTraceback (most recent call last):\n  x\n"
    assert reported(text, tmp_path) == text.splitlines()
