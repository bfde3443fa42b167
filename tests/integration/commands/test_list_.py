"""`bley list` shows the records on each engine while bley runs."""

import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bley.operator_files import user_name
from tests.integration.running_bley import Bley
from tests.integration.stores import Servers

MAIL = {"client_address": "198.51.100.7", "helo_name": "friend", "sender": "a@example.com"}
USAGE = "Usage: bley list [OPTIONS]\nTry 'bley list --help' for help.\n\nError: "


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb", "redis"])
def test_records_are_selected_sorted_and_counted(engine: str, servers: Servers, tmp_path: Path) -> None:
    """Waiting triplets have the rest of their wait, by the rules of their recipient."""
    url = f"sqlite:///{tmp_path}/bley.db" if engine == "sqlite" else servers.new_url(engine)
    with Bley(tmp_path, database=url, greylist_period="1h") as bley:
        for recipient in ("jane@example.org", "joe@example.org", "jim@example.net"):
            bley.ask(**MAIL, recipient=recipient)
        bley.ask(**MAIL, recipient="joe@example.org")  # an early retry
        bley.run("pass", "--recipient", "example.net")

        def found(*options: str) -> list[str]:
            records = json.loads(bley.run("list", "--json", *options))["records"]
            return [record["recipient"].partition("@")[0] for record in records]

        assert found() == ["jim", "joe", "jane"]
        assert found("--status", "waiting") == found("--recipient", "example.org") == ["joe", "jane"]
        assert found("--status", "known") == found("--status", "clean", "--status", "trusted") == ["jim"]
        assert found("--sort", "first-seen") == ["jim", "joe", "jane"]
        assert found("--sort", "attempts", "--limit", "1") == ["joe"]
        assert found("--client", "198.51.100.7", "--sender", "A@example.com", "--since", "1h") == found()
        assert found("--older", "1h") == found("--sender", "x@example.com") == []
        document = json.loads(bley.run("list", "--json", "--limit", "2"))
        assert (document["has_more"], document["is_whole"]) == (True, True)
        assert [each["left_seconds"] is None for each in document["records"]] == [True, False]
        *_, joe, last = bley.run("list", "--status", "waiting", "--sort", "first-seen", "--limit", "1").splitlines()
        assert joe.split()[:4] == ["198.51.100.0/24", "a@example.com", "joe@example.org", "waits"]
        assert last == "the first 1 record: more match; --limit shows them"
        assert bley.run("list", "--sender", "x@example.com") == "0 records\n"


def test_the_audit_shows_each_act_of_a_user(tmp_path: Path) -> None:
    """The newest first; a command that changes nothing is no act. The contract suite has the other engines."""
    with Bley(tmp_path, database=f"sqlite:///{tmp_path}/bley.db", greylist_period="1h") as bley:
        bley.ask(**MAIL, recipient="jane@example.org")
        named = ["--sender", "A+list@example.com", "--recipient", "example.org"]
        for command in ("pass", "forget"):
            bley.run(command, *named, "--dry-run")
            bley.run(command, *named)
        bley.run("forget", *named)
        bley.run("purge")
        bley.run("allow", "--sender", "example.com", "--comment", "call of Jané")
        bley.run("allow", "--sender", "example.com")
        bley.run("allow", "--remove", "example.com")
        document = json.loads(bley.run("list", "--audit", "--json"))
        acts = [each for each in document["audit"] if each["kind"] not in ("start", "reload")]
        file = tmp_path / "whitelist_senders.local"
        assert [(each["kind"], each["what"]) for each in acts] == [
            ("allow", f"example.com: sender removed from {file}: call of Jané"),
            ("allow", f"example.com: sender is exempt, by {file}:2: call of Jané"),
            ("forget", "1 record forgotten: sender a@example.com, recipient example.org"),
            ("pass", "1 record passes at the next attempt: sender a@example.com, recipient example.org"),
        ]
        assert {each["who"] for each in acts} == {user_name()}
        assert {each["node"] for each in acts} == {socket.gethostname()}
        assert not document["has_more"]
        lines = bley.run("list", "--audit", "--limit", "2").splitlines()
        assert lines[0].split() == ["time", "(UTC)", "node", "user", "act", "details"]
        assert lines[-1] == "the first 2 acts: more match; --limit shows them"
        assert user_name() in lines[1]
        assert bley.run("list", "--audit", "--older", "1h") == "0 acts\n"


def test_with_privacy_the_audit_has_no_addresses(tmp_path: Path) -> None:
    with Bley(tmp_path, database=f"sqlite:///{tmp_path}/bley.db", greylist_period="1h", privacy="keyed-hash") as bley:
        bley.ask(**MAIL, recipient="jane@example.org")
        bley.run("pass", "--sender", "a@example.com", "--recipient", "jane@example.org")
        bley.run("allow", "jane@example.org", "--recipient", "--comment", "jane@example.org called")
        shown = bley.run("list", "--audit")
        assert "recipient added: " in shown
        assert "1 record passes at the next attempt: sender " in shown
        assert "jane" not in shown


def test_a_store_of_an_older_bley_is_no_empty_one(tmp_path: Path) -> None:
    """After an upgrade of the package, before the restart."""
    with Bley(tmp_path, database=f"sqlite:///{tmp_path}/bley.db") as bley:
        pass
    with closing(sqlite3.connect(tmp_path / "bley.db")) as database:
        database.executescript("DROP TABLE audit; UPDATE meta SET value = 4 WHERE name = 'schema'")
    why = "its schema is 4, of an older bley; this bley supports"
    for command in (["list", "--audit"], ["forget", "--all"], ["pass", "--sender", "a@example.com"]):
        assert why in bley.run(*command, status=1)
    shown = bley.run("allow", "192.0.2.1")
    assert "192.0.2.1: client is exempt" in shown
    assert f"warning: the change is made, but the audit has no entry of it: {tmp_path}/bley.db: {why}" in shown


def test_a_store_without_the_index_of_texts_can_be_used(tmp_path: Path) -> None:
    """After an upgrade of the package; no command builds the index, for which the running bley would wait."""
    with Bley(tmp_path, database=f"sqlite:///{tmp_path}/bley.db", greylist_period="1h") as bley:
        bley.ask(**MAIL, recipient="jane@example.org")
    with closing(sqlite3.connect(tmp_path / "bley.db")) as database:
        database.executescript("DROP INDEX decisions_by_text; CREATE INDEX decisions_by_age ON decisions (at)")
        assert "1 record passes" in bley.run("pass", "--sender", MAIL["sender"])
        assert MAIL["sender"] in bley.run("why", MAIL["sender"])
        assert "pass" in bley.run("list", "--audit")
        indexes = "SELECT count(*) FROM sqlite_master WHERE name = 'decisions_by_text'"
        assert database.execute(indexes).fetchone() == (0,)
    with bley:
        pass
    with closing(sqlite3.connect(tmp_path / "bley.db")) as database:
        assert database.execute(indexes).fetchone() == (1,)


def test_an_exemption_needs_no_store(tmp_path: Path) -> None:
    """A store that is missing is no fault; one that is unavailable is a warning, since the entry is in force."""
    bley = Bley(tmp_path, database=f"sqlite:///{tmp_path}/bley.db")
    assert "warning" not in bley.run("allow", "192.0.2.1")
    (tmp_path / "bley.db").write_text("no database, but a text that is long enough")
    shown = bley.run("allow", "192.0.2.2")
    assert "192.0.2.2: client is exempt" in shown
    assert f"warning: the change is made, but the audit has no entry of it: {tmp_path}/bley.db: " in shown


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--older", "x"], 2, f"{USAGE}Invalid value for '--older': x is not a duration: write it as 90s, 5m, 12h"),
        (["--audit", "--sender", "a"], 2, f"{USAGE}--audit has no records: it takes --since, --older and --limit\n"),
        (["--sender", "@"], 2, f"{USAGE}--sender: '@' is no mail address or domain, and the null sender is <>\n"),
        ([], 1, "Error: {folder}/bley.db: no such file: `bley serve` creates it, and -c names its settings\n"),
    ],
)
def test_wrong_input_is_one_error(tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    bley = Bley(tmp_path, database=f"sqlite:///{tmp_path}/bley.db")
    assert bley.run("list", *arguments, status=status).startswith(message.replace("{folder}", str(tmp_path)))
