"""Rules of some recipients, in a running bley: sections [recipients NAME], in one process and in workers."""

import json
import re
import signal
from pathlib import Path

import pytest

from tests.integration.greylisters import ask_policy
from tests.integration.running_bley import Bley
from tests.integration.test_history_commands import wait_for

MAIL = {"client_address": "198.51.100.7", "helo_name": "friend", "sender": "a@example.com"}
DEFER, DUNNO = "action=DEFER_IF_PERMIT greylisted, try again later", "action=DUNNO"
SECTIONS = """
[recipients finance]
match = finance.example.org, file:more_recipients
mode = enforce
greylist_period = 2h
[recipients trial]
match = trial.example.org
mode = observe
[recipients plain]
match = plain.example.org
mode = enforce
classic = 1
"""


def write_sections(bley: Bley, text: str) -> None:
    own, _, _ = bley.file.read_text().partition("\n[recipients")
    bley.file.write_text(own + text)


def ask(bley: Bley, recipient: str, **others: str) -> str:
    """Return the answer; `bley ask` would read the settings first, which may be invalid."""
    return ask_policy(bley.port, **MAIL | {"recipient": recipient} | others)


@pytest.fixture(params=[1, 2], ids=["one process", "workers"])
def bley(request: pytest.FixtureRequest, tmp_path: Path) -> Bley:
    """A bley, not started: mail to the recipients of its sections may be delayed, no other."""
    made = Bley(tmp_path, {"more_recipients": "jane@example.net\n"}, mode="off", workers=request.param)
    write_sections(made, SECTIONS)
    return made


def test_each_recipient_has_its_rules(bley: Bley) -> None:
    good = {"client_name": "mail.example.com", "helo_name": "mail.example.com", "sender": "b@example.com"}
    with bley:
        assert ask(bley, "x@other.example") == DUNNO
        assert ask(bley, "x@finance.example.org") == ask(bley, "jane+y@example.net") == DEFER
        assert ask(bley, "x@trial.example.org") == DUNNO
        assert ask(bley, "postmaster@plain.example.org") == DUNNO
        assert ask(bley, "x@plain.example.org", **good) == DEFER
        assert ask(bley, "x@finance.example.org", **good) == DUNNO
        lines = {each["recipient"] + each["action"]: each for each in bley.decisions(at_least=7)}
        assert {key: (each.get("why", each["reason"]), each.get("section")) for key, each in lines.items()} == {
            "x@other.examplepass": ("off", None),
            "x@finance.example.orggreylist": ("helo", "finance"),
            "jane+y@example.netgreylist": ("helo", "finance"),
            "x@trial.example.orgwould-defer": ("helo", "trial"),
            "postmaster@plain.example.orgpass": ("exempt-recipient", None),
            "x@plain.example.orggreylist": ("classic", "plain"),
            "x@finance.example.orgpass": ("clean", "finance"),
        }
        assert lines["x@finance.example.orggreylist"]["wait"] == "7200"
        shown = wait_for(bley, "why", "jane@example.net", until="reason helo")
        assert "rules       [recipients finance]\n" in shown
        assert re.search(r"had to wait 2 h; still waiting, (2 h|1 h 59 min) left", shown)
        assert re.search(r"0 early retries, (2 h|1 h 59 min) left", shown)


def test_a_reload_changes_them(bley: Bley) -> None:
    """An invalid section changes nothing; a list file that a section names is read again."""
    with bley:
        assert ask(bley, "jane@example.net") == DEFER
        assert ask(bley, "joe@example.net") == DUNNO
        bley.file.with_name("more_recipients").write_text("joe@example.net\n")
        bley.reload()
        assert ask(bley, "jane@example.net") == DUNNO
        assert ask(bley, "joe@example.net") == DEFER
        write_sections(bley, SECTIONS.replace("2h", "2 weeks"))
        begun = len(bley.log())
        bley.process.send_signal(signal.SIGHUP)
        bley.wait_log("greylist_period = 2 weeks: is not a duration", since=begun)
        bley.wait_log("not reloaded: the old settings stay", since=begun)
        assert ask(bley, "x@plain.example.org") == DEFER
        write_sections(bley, "\n[recipients all]\nmatch = example.org, example.net\nmode = enforce\n")
        bley.reload()
        assert ask(bley, "jane@example.net") == ask(bley, "z@plain.example.org") == DEFER
        assert {each.get("section") for each in bley.decisions(at_least=7)[-2:]} == {"all"}


def test_commands_show_them(bley: Bley) -> None:
    assert SECTIONS.strip() in bley.run("check-config").replace("\n\n[recipients", "\n[recipients")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in MAIL.items()]
    explained = bley.run("explain", *options, "--recipient=x@trial.example.org")
    assert "rules       [recipients trial]\n" in explained
    assert "verdict     pass, because mode = observe defers nothing; else defer, reason helo" in explained
    assert "answer      action=DUNNO\n" in explained
    document = json.loads(bley.run("explain", "--json", *options, "--recipient=x@finance.example.org"))
    assert (document["section"], document["wait_seconds"], document["outcome"]) == ("finance", 7200, "greylist")
    assert json.loads(bley.run("explain", "--json", *options, "--recipient=x@other.example"))["section"] is None
