"""`bley report` with a store, and its mail through a real Postfix."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.postfix import Postfix
from tests.integration.running_bley import Bley
from tests.integration.test_units import CONTRIB

MAIL = {"client_address": "192.0.2.1", "helo_name": "friend", "sender": "a@example.com", "recipient": "b@example.org"}


@pytest.fixture(scope="module")
def bley(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bley]:
    """Run a bley that has deferred a mail, and let another one pass."""
    with Bley(tmp_path_factory.mktemp("bley")) as bley:
        bley.ask(**MAIL)
        server = {"client_address": "198.51.100.1", "helo_name": "mail.example.net", "client_name": "mail.example.net"}
        bley.ask(**MAIL | server)
        bley.wait_log("helo=0")
        yield bley


def reported(bley: Bley, *options: str) -> str:
    """Return the report once the decisions are counted, which takes a second."""
    for _ in range(200):
        if json.loads(bley.run("report", "--json"))["requests"] == 2:
            break
    return bley.run("report", *options)


def test_the_page_has_the_answer_first(bley: Bley) -> None:
    page = reported(bley)
    assert re.search(r"^bley on .*\n(.+\n)*\n1 of 1 deferred mail \(100\.0%\) did not come back; 1 of them", page)
    assert "deferred, by reason" in page
    assert "web_listen is empty" in page


def test_the_document_has_the_figures_of_stats(bley: Bley) -> None:
    document = json.loads(reported(bley, "--json"))
    stats = json.loads(bley.run("stats", "--json"))
    assert {key: document[key] for key in ("first_deferrals", "deferred_mails")} == {
        key: stats[key] for key in ("first_deferrals", "deferred_mails")
    }
    assert (document["observes"], document["before"]) == (False, None)
    assert document["sentences"][0].startswith("1 of 1 deferred mail")


def test_in_observe_mode_it_says_would(tmp_path: Path) -> None:
    with Bley(tmp_path, mode="observe") as bley:
        bley.ask(**MAIL)
        bley.ask(**MAIL)
        bley.wait_log("reason=early")
        page = reported(bley)
    assert "1 mail would have been deferred, and 0 would have passed at once." in " ".join(page.split())
    assert "mode = observe: all mail passed" in " ".join(page.split())


def test_a_real_postfix_delivers_it(bley: Bley) -> None:
    """The command of the unit in contrib/ submits it, and Postfix does not query bley about it."""
    unit = CONTRIB.joinpath("bley-report.service").read_text(encoding="utf-8")
    [command] = re.findall(r"(?m)^ExecStart=\S+ report -c \S+ (.*)$", unit)
    page = reported(bley)
    decisions = len(bley.decisions())
    with Postfix(f"inet:127.0.0.1:{bley.port}") as postfix:
        words = command.replace("${RECIPIENT}", "jane@example.org").split()
        said = bley.run("report", *words, "--sendmail", postfix.sendmail)
        [mail] = postfix.wait_delivered(1)
    assert said == "the report is mailed to jane@example.org\n"
    assert mail["Delivered-To"] == "jane@example.org"
    assert re.fullmatch(r"bley on \S+, 7 d.*: 1 mail deferred, 0 came back", mail["Subject"])
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().splitlines()[2:4] == page.splitlines()[2:4]
    assert len(bley.decisions()) == decisions


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo 'fatal: mail system is down' >&2; exit 75", "refused the mail with status 75: fatal: mail system is"),
        ("exit 1", "refused the mail with status 1: it printed no reason"),
        ("echo 'no such user'; exit 67", "refused the mail with status 67: no such user"),
    ],
)
def test_the_error_of_sendmail_is_shown(bley: Bley, script: str, error: str, tmp_path: Path) -> None:
    program = tmp_path / "sendmail"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    assert error in bley.run("report", "--mail", "root", "--sendmail", program, status=1)


def test_without_a_sendmail_the_remedy_is_named(bley: Bley, tmp_path: Path) -> None:
    said = bley.run("report", "--mail", "root", "--sendmail", tmp_path / "missing", status=1)
    assert "missing: No such file or directory; a mail server has it: Postfix, Exim or another one" in said
    tmp_path.joinpath("sendmail").write_text("")
    said = bley.run("report", "--mail", "root", "--sendmail", tmp_path / "sendmail", status=1)
    assert "sendmail: Permission denied" in said


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--mail", "-f@example.org"], "is not a mail address"),
        (["--mail", "root", "--json"], "--mail and --json exclude each other"),
        (["--since", "yesterday"], "--since yesterday is neither a duration nor a time"),
        (["--since", "500d"], "must be at most 400d ago"),
    ],
)
def test_what_cannot_be_reported(bley: Bley, options: list[str], error: str) -> None:
    assert error in " ".join(bley.run("report", *options, status=2).split())
