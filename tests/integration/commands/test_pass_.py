"""`bley pass` lets waiting mail pass at its next attempt, on all nodes and engines, while bley runs."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.running_bley import WAIT_SECONDS, Bley
from tests.integration.stores import Servers
from tests.integration.warm_start import run_bley

MAIL = {"client_address": "198.51.100.7", "helo_name": "friend", "sender": "a@example.com"}
DEFER, DUNNO = "action=DEFER_IF_PERMIT greylisted, try again later", "action=DUNNO"
NAMED = ["--sender", "a@example.com", "--recipient", "jane@example.org"]
USAGE = "Usage: bley pass [OPTIONS]\nTry 'bley pass --help' for help.\n\nError: "


@pytest.fixture
def bley(tmp_path: Path) -> Iterator[Bley]:
    with Bley(tmp_path, greylist_period="1h") as bley:
        yield bley


def ask(bley: Bley, recipient: str = "jane@example.org", **others: str) -> str:
    return bley.ask(**MAIL | {"recipient": recipient} | others)


def why(bley: Bley, query: str, until: str) -> str:
    """Return the output of `bley why` as soon as it contains this: decisions are stored once a second."""
    end = time.monotonic() + WAIT_SECONDS
    while until not in (shown := run_bley(["why", "-c", bley.file, query]).stdout.decode()):
        assert time.monotonic() < end, shown
        time.sleep(0.1)
    return shown


@pytest.mark.parametrize("privacy", ["off", "keyed-hash"])
@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb", "redis"])
def test_the_next_attempt_passes_on_each_node(engine: str, privacy: str, servers: Servers, tmp_path: Path) -> None:
    """Each node has judged the client bad a moment before. Other mail of that client still waits."""
    url = f"sqlite:///{tmp_path}/bley.db" if engine == "sqlite" else servers.new_url(engine)
    settings = {"database": url, "greylist_period": "1h", "cache_valid": "1h", "privacy": privacy}
    settings["privacy_key_file"] = str(tmp_path / "bley.key")
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as stack:
        nodes = [stack.enter_context(Bley(folder, **settings)) for folder in folders]
        for node in nodes:
            assert ask(node, "Jane+news@example.org") == ask(node, "joe@example.org") == DEFER
        passed = nodes[0].run("pass", "--sender", "A@example.com", "--recipient", "jane@example.org")
        assert passed.endswith("\n1 record passes at the next attempt\n")
        for node in nodes:
            assert ask(node, "Jane+news@example.org") == DUNNO
            assert ask(node, "joe@example.org") == DEFER
        assert re.search("reason=known, .*recipient=Jane", nodes[1].log())


def test_why_shows_the_way_and_that_it_was_taken(bley: Bley) -> None:
    """The advice about a waiting mail is a command that works, and its use is a decision."""
    assert ask(bley, client_name="mail.example.net") == DEFER
    shown = why(bley, "a@example.com", until="reason ")
    (command,) = re.findall("for this mail alone, at its next attempt: bley (.*)", shown)
    assert run_bley(command.split()).stdout.decode().endswith("\n1 record passes at the next attempt\n")
    released, deferred = why(bley, "jane@example.org", until="reason released").split("\n\n")[:2]
    assert "verdict     pass, reason released\n" in released
    assert "request" not in released
    assert f"if this was wrong: make it a stranger again: bley forget -c {bley.file} --client example.net " in released
    assert "; passes at its next attempt since 20" in deferred
    assert "bley pass" not in deferred.partition("if this was wrong")[2]
    document = json.loads(bley.run("why", "--json", "jane@example.org"))
    assert document["decisions"][1]["sequel"]["fate"] == "released"
    assert document["decisions"][1]["sequel"]["passed_at"] == document["decisions"][0]["at"]
    assert json.loads(bley.run("stats", "--json"))["passed"] == {}


def test_twice_is_once(bley: Bley) -> None:
    assert ask(bley) == DEFER
    assert "1 record would pass at the next attempt" in bley.run("pass", "--dry-run", *NAMED)
    assert ask(bley) == DEFER
    document = json.loads(bley.run("pass", "--json", *NAMED))
    assert [each["status"] for each in document["passed"]] == ["clean"]
    assert (document["is_dry_run"], document["passed_already"]) == (False, 0)
    assert bley.run("pass", *NAMED) == "no record waits; 1 record passes already\n"


def test_a_mail_that_was_not_tried_yet(bley: Bley) -> None:
    """The client is found by its network, whether it has a name or not."""
    full = ["--client-address", "198.51.100.7", *NAMED]
    assert "1 record would pass at the first attempt" in bley.run("pass", "--dry-run", *full)
    assert bley.run("pass", *full).endswith("\n1 record passes at the first attempt\n")
    assert "verdict     pass, reason released\n" in why(bley, "198.51.100.7", until="reason released")
    assert ask(bley) == ask(bley, client_name="mail.example.net") == DUNNO
    assert ask(bley, client_address="198.51.99.7") == DEFER


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, f"{USAGE}name the mail: --client, --sender, --recipient\n"),
        (["--sender", "@"], 2, f"{USAGE}--sender: '@' is no mail address or domain, and the null sender is <>\n"),
        (["--client", "", *NAMED], 2, f"{USAGE}--client: '' is no address, network or domain\n"),
        (["--sender", "x@example.com"], 1, "no record matches: `bley why ADDRESS` shows all attempts and records. "),
        (["--recipient", "example.org"], 2, f"{USAGE}11 records match: --dry-run shows them, and --yes lets them"),
    ],
)
def test_wrong_input_passes_nothing(bley: Bley, arguments: list[str], status: int, message: str) -> None:
    recipients = [f"{number}@example.org" for number in range(11)]
    assert {ask(bley, recipient) for recipient in recipients} == {DEFER}
    assert bley.run("pass", *arguments, status=status).startswith(message)
    assert {ask(bley, recipient) for recipient in recipients} == {DEFER}


def test_many_records_pass_if_that_is_meant(bley: Bley) -> None:
    recipients = [f"{number}@example.org" for number in range(11)]
    assert {ask(bley, recipient) for recipient in recipients} == {DEFER}
    assert "11 records would pass" in bley.run("pass", "--dry-run", "--recipient", "example.org")
    assert bley.run("pass", "--yes", "--recipient", "example.org").endswith("\n11 records pass at the next attempt\n")
    assert {ask(bley, recipient) for recipient in recipients} == {DUNNO}


def test_no_record_in_json(bley: Bley) -> None:
    document = json.loads(bley.run("pass", "--json", "--sender", "x@example.com", status=1))
    assert document == {"is_dry_run": False, "passed": [], "passed_already": 0}
