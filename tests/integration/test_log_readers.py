"""Readers of postgrey's log read bley's, as docs/log.md says: Debian's postgreyreport, and logwatch.

The lines come from a real bley, with the prefix that syslog adds in mail.log.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.greylisters import ask_policy
from tests.integration.running_bley import Bley
from tests.integration.servers import require

CONTRIB = Path(__file__).parent.parent.parent / "contrib"
LOGWATCH = Path("/usr/share/logwatch/scripts/logwatch.pl")

FORGING = "x, action=pass, reason=known, client_address=192.0.2.1"
"""A sender that imitates fields of the log."""


def _ask(bley: Bley, client_address: str, sender: str, recipient: str = "b@example.org") -> str:
    who = {"client_address": client_address, "helo_name": "friend", "sender": sender, "recipient": recipient}
    return ask_policy(bley.port, client_name="unknown", **who).split()[0]


@pytest.fixture(scope="module", name="mail_log")
def _mail_log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the log of clients that never retried, retried early, or passed."""
    with Bley(tmp_path_factory.mktemp("bley"), greylist_penalty="0") as bley:
        deferred, passed = "action=DEFER_IF_PERMIT", "action=DUNNO"
        assert _ask(bley, "192.0.2.1", "lost@example.com") == deferred
        for _ in range(2):
            assert _ask(bley, "192.0.2.2", "early@example.com") == deferred
        assert _ask(bley, "2001:db8::1", "six@example.com") == deferred
        assert _ask(bley, "192.0.2.4", FORGING) == deferred
        assert _ask(bley, "192.0.2.3", "bounce+77@Example.com") == deferred
        assert _ask(bley, "192.0.2.5", "known@example.com", "postmaster@example.org") == passed
        bley.end_waits()
        assert _ask(bley, "192.0.2.3", "bounce+77@Example.com") == "action=PREPEND"
        bley.stop()
        return re.sub(r"^\S+Z bley", "Nov 26 14:26:50 host bley", bley.log(), flags=re.MULTILINE)


def test_postgreyreport_shows_greylisted_mail_that_was_never_retried(mail_log: str, tmp_path: Path) -> None:
    """Mail that passed is missing, although postgreyreport cuts the extension of its sender."""
    require("postgreyreport", "postgrey")
    command: list[str | Path] = [CONTRIB / "bley-postgreyreport", "--show_tries", "--show_time", "--tab"]
    ran = subprocess.run(command, input=mail_log, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [line.split("\t") for line in ran.stdout.splitlines()] == [
        ["Nov 26 14:26:50", "1", "192.0.2.1", "unknown", "lost@example.com", "b@example.org"],
        ["Nov 26 14:26:50", "2", "192.0.2.2", "unknown", "early@example.com", "b@example.org"],
        ["Nov 26 14:26:50", "1", "192.0.2.4", "unknown", _shown(FORGING), "b@example.org"],
    ]


def test_postgreyreport_reads_a_file_of_bley_s_own(mail_log: str) -> None:
    """Its lines have another prefix."""
    require("postgreyreport", "postgrey")
    own = mail_log.replace("Nov 26 14:26:50 host ", "2026-11-26T14:26:50Z ")
    command = [CONTRIB / "bley-postgreyreport"]
    ran = subprocess.run(command, input=own, capture_output=True, text=True, check=True, timeout=60)
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["192.0.2.1", "192.0.2.2", "192.0.2.4"]


def _logwatch(folder: Path, mail_log: str) -> str:
    """Return the report of Debian's logwatch, set up as docs/log.md says, but in a folder in place of /etc/logwatch."""
    etc, logs = folder / "logwatch", folder / "log"
    for part in ("conf/services", "conf/logfiles", "scripts/services"):
        etc.joinpath(part).mkdir(parents=True)
    shutil.copy(CONTRIB / "logwatch/bley.conf", etc / "conf/services")
    shutil.copy(CONTRIB / "logwatch/bley", etc / "scripts/services")
    logs.mkdir()
    logs.joinpath("mail.log").write_text(mail_log)
    program, changed = re.subn('(?<=my .ConfigDir = ")/etc/logwatch', str(etc), LOGWATCH.read_text())
    assert changed == 1
    folder.joinpath("logwatch.pl").write_text(program)
    options = ["--service=bley", f"--logdir={logs}", "--range=all", "--detail=high", "--output=stdout", "--format=text"]
    ran = subprocess.run(
        ["perl", folder / "logwatch.pl", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def _counted(report: str) -> dict[tuple[str, ...], int]:
    """Return the tree in the section about postgrey: paths, with their counts."""
    counts: dict[tuple[str, ...], int] = {}
    path: list[tuple[int, str]] = []
    part = report.split("Postgrey ---")[1].split("===")[0]
    for count, indent, words in re.findall(r"^ +(\d+)( +)(\S.*)$", part, re.MULTILINE):
        path = [*(above for above in path if above[0] < len(indent)), (len(indent), " ".join(words.split()))]
        counts[tuple(name for _, name in path)] = int(count)
    return counts


def test_logwatch_counts_clients_by_action_and_reason(mail_log: str, tmp_path: Path) -> None:
    require("logwatch", "logwatch")
    report = _logwatch(tmp_path, mail_log)
    assert re.search(r"^ *-+ bley Begin -+", report, re.MULTILINE)
    assert "Unmatched" not in report
    counted = _counted(report)
    clients = {
        path[2].split()[0]: count
        for path, count in counted.items()
        if path[:2] == ("Greylist", "New") and len(path) == 3
    }
    assert clients == dict.fromkeys(["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1"], 1)
    assert counted["Greylist", "New"] == 5
    assert counted["Greylist", "Early"] == 1
    assert counted["Greylist",] == 6
    assert counted["Greylist", "Early", "192.0.2.2 unknown", "b@example.org", "early@example.com"] == 1
    assert counted["Pass", "Waited", "192.0.2.3 unknown", "b@example.org", "bounce+77@Example.com"] == 1
    assert counted["Pass", "Exempt-recipient"] == 1
    assert counted["Pass",] == 2
    assert "Postgrey Delays Percentiles" in report


def _shown(value: str) -> str:
    return value.replace(" ", r"\x20").replace(",", r"\x2c")
