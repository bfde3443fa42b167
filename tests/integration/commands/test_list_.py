"""`bley list` shows the records on each engine while bley runs."""

import json
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--older", "x"], 2, f"{USAGE}Invalid value for '--older': x is not a duration: write it as 90s, 5m, 12h"),
        (["--sender", "@"], 2, f"{USAGE}--sender: '@' is no mail address or domain, and the null sender is <>\n"),
        ([], 1, "Error: {folder}/bley.db: no such file: `bley serve` creates it, and -c names its settings\n"),
    ],
)
def test_wrong_input_is_one_error(tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    bley = Bley(tmp_path, database=f"sqlite:///{tmp_path}/bley.db")
    assert bley.run("list", *arguments, status=status).startswith(message.replace("{folder}", str(tmp_path)))
