"""`bley allow` exempts mail while bley runs, and changes only the files that it owns."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.dns_server import DnsServer
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley

_LAST_SECONDS = 120
"""The end of a day in which no test begins: bley and the test must mean the same day."""

MAIL = {
    "client_address": "198.51.100.7",
    "helo_name": "friend",
    "sender": "a@example.com",
    "recipient": "b@example.org",
}
USAGE = "Usage: bley allow [OPTIONS] [ENTRIES]...\nTry 'bley allow --help' for help.\n\nError: "


@pytest.fixture
def today() -> date:
    """Return the present day in UTC, which does not end soon."""
    left = 86_400 - time.time() % 86_400
    if left < _LAST_SECONDS:
        time.sleep(left)
    return datetime.now(UTC).date()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_running_bley_takes_each_change(workers: int, tmp_path: Path) -> None:
    """Without a signal: the entry is added, and removed."""
    with Bley(tmp_path, workers=workers) as bley:
        assert "greylisted" in bley.ask(**MAIL)
        bley.run("allow", "198.51.100.7")
        wait_until(lambda: bley.ask(**MAIL) == "action=DUNNO", "it is exempt")
        assert "reason=exempt-client" in bley.log()
        bley.run("allow", "--remove", "198.51.100.7")
        wait_until(lambda: "greylisted" in bley.ask(**MAIL), "it is not exempt any more")


def test_entries_are_added_changed_shown_and_removed(tmp_path: Path, today: date) -> None:
    bley = Bley(tmp_path, {"whitelist_clients": "# mine\nmail.example.com\n"})
    file, end = tmp_path / "whitelist_clients.local", today + timedelta(days=30)
    file.write_text("# kept\r\n10.0.0.1 # by hand\n")
    assert bley.run("allow", "192.0.2.7", "--until", "30d", "--comment", "Jane; #7").splitlines() == [
        f"192.0.2.7: client is exempt until {end}, by {file}:3",
        "bley takes the change within 20 seconds, on this node; on other nodes, repeat the command",
    ]
    new = f"# until {end}, added {today}: Jane; #7"
    assert file.read_text() == f"# kept\n10.0.0.1 # by hand\n192.0.2.7  {new}\n"
    assert bley.run("allow", "[192.0.2.7]") == f"192.0.2.7: client is already in {file}:3\n"
    there = f"mail.example.com: client is already in {tmp_path}/whitelist_clients:2\n"
    assert bley.run("allow", "--client", "mail.example.com") == there
    document = json.loads(bley.run("allow", "--json", "192.0.2.7", "<>", "--until", str(today)))
    assert [(each["kind"], each["change"], each["until"]) for each in document["entries"]] == [
        ("client", "replaced", str(today)),
        ("sender", "added", str(today)),
    ]
    shown = json.loads(bley.run("allow", "--list", "--json"))["entries"]
    assert [each["entry"] for each in shown] == ["10.0.0.1", "192.0.2.7", "<>"]
    assert shown[1]["comment"] == "Jane; #7"
    assert "Jane; #7" in bley.run("allow", "--list", "--client")
    assert bley.run("allow", "--remove", "192.0.2.7").startswith(f"192.0.2.7: client removed from {file}\n")
    assert file.read_text() == "# kept\n10.0.0.1 # by hand\n"


def test_an_entry_that_has_ended_has_no_effect_and_can_be_renewed(tmp_path: Path, today: date) -> None:
    file = tmp_path / "whitelist_clients.local"
    bley = Bley(tmp_path)
    file.write_text(f"198.51.100.7  # until {today - timedelta(days=1)}\n")
    with bley:
        assert "greylisted" in bley.ask(**MAIL)
    assert "(over)" in bley.run("allow", "--list")
    assert f"client is exempt, by {file}:1" in bley.run("allow", "198.51.100.7")
    with bley:
        assert bley.ask(**MAIL) == "action=DUNNO"


def test_several_entries_are_changed_together_or_not_at_all(tmp_path: Path) -> None:
    bley = Bley(tmp_path)
    clients, senders = (tmp_path / f"whitelist_{kind}.local" for kind in ("clients", "senders"))
    assert len(bley.run("allow", "192.0.2.1", "<>", "192.0.2.2").splitlines()) == 4
    before = clients.read_text(), senders.read_text()
    assert "192.0.2.9 is in no list" in bley.run("allow", "--remove", "192.0.2.1", "<>", "192.0.2.9", status=1)
    assert (clients.read_text(), senders.read_text()) == before
    assert len(bley.run("allow", "--remove", "192.0.2.2", "<>", "192.0.2.1").splitlines()) == 4
    assert bley.run("allow", "--list") == "no entry\n"


def test_commands_at_the_same_time_lose_no_entry(tmp_path: Path) -> None:
    bley = Bley(tmp_path)
    entries = [f"192.0.2.{number}" for number in range(4)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda entry: bley.run("allow", entry), entries))
    shown = json.loads(bley.run("allow", "--list", "--json"))["entries"]
    assert sorted(each["entry"] for each in shown) == entries


def test_a_new_file_has_the_rights_of_the_others(tmp_path: Path) -> None:
    """Whatever the umask of the operator is, bley can read it if it can read bley.conf."""
    bley = Bley(tmp_path)
    bley.file.chmod(0o640)
    old = os.umask(0o077)
    try:
        bley.run("allow", "192.0.2.7", "--client")
    finally:
        os.umask(old)
    assert (tmp_path / "whitelist_clients.local").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, f"{USAGE}name entries, or --list; "),
        (
            ["mail.example.com"],
            2,
            f"{USAGE}mail.example.com may be a client or a sender or a recipient: add --client or ",
        ),
        (["192.0.2.7", "192.0.2.0/99"], 2, f"{USAGE}client: '192.0.2.0/99' is not an address or network: write it as"),
        (["1.2.3.4", "--until", "2020-01-01"], 2, f"{USAGE}Invalid value for '--until': 2020-01-01 is in the past\n"),
        (["1.2.3.4", "--until", "soon"], 2, f"{USAGE}Invalid value for '--until': soon is neither a date, as 20"),
        (["1.2.3.4", "--comment", "a\nb"], 2, f"{USAGE}Invalid value for '--comment': must be one line of printable"),
        (["--remove", "1.2.3.4"], 1, "Error: 1.2.3.4 is in no list of `bley allow`: --list shows them\n"),
        (["--remove", "10.0.0.1"], 1, "Error: 10.0.0.1 is in a file that bley does not change: remove {folder}/white"),
    ],
)
def test_wrong_input_changes_nothing(tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    bley = Bley(tmp_path, {"whitelist_clients": "10.0.0.1\n"})
    message = message.replace("{folder}", str(tmp_path))
    assert bley.run("allow", *arguments, status=status).startswith(message)
    assert not list(tmp_path.glob("*.local"))


def test_an_entry_that_is_hardly_meant_has_the_warning_of_the_daemon(tmp_path: Path) -> None:
    said = Bley(tmp_path).run("allow", "--sender", "postmaster")
    assert "postmaster: sender is exempt, by " in said
    assert (
        "warning: postmaster: is read as a domain, which does not exist: write postmaster@ for a local part\n" in said
    )
    assert "warning: ::/0: exempts every address of IPv6\n" in Bley(tmp_path).run("allow", "::/0")
    assert "warning" not in Bley(tmp_path).run("allow", "--sender", "postmaster@")


def test_a_link_to_an_empty_file_of_another_folder_is_followed(tmp_path: Path, today: date) -> None:
    """docs/dashboard.md: bley may not write below /etc."""
    bley, own = Bley(tmp_path), tmp_path / "lib"
    own.mkdir()
    (own / "senders").write_text("")
    (tmp_path / "whitelist_senders.local").symlink_to(own / "senders")
    bley.run("allow", "--sender", "example.com")
    assert (tmp_path / "whitelist_senders.local").is_symlink()
    head, entry = (own / "senders").read_text().splitlines()
    assert head.startswith("# The exemptions of `bley allow`")
    assert entry == f"example.com  # added {today}"


def test_an_end_that_is_no_date_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    bley = Bley(tmp_path)
    file = tmp_path / "whitelist_recipients.local"
    file.write_text("a@example.org # until 2026-02-30\n")
    fault = f"{file}:1: '2026-02-30' is not a date: write # until 2026-12-31\n"
    assert fault in bley.run("check-config", status=2)
    assert bley.run("allow", "192.0.2.7", status=2) == fault


def test_a_name_that_is_followed_is_a_client(tmp_path: Path) -> None:
    """One that does not resolve now has a warning, and one above the limit is refused before anything is written."""
    clients = "\n".join(f"dyn:h{number}.example.org" for number in range(98))
    with DnsServer({"home.example.org": {"A": ["198.51.100.7"]}}) as dns:
        bley = Bley(tmp_path, {"whitelist_clients": clients}, resolver=dns.address)
        file = tmp_path / "whitelist_clients.local"
        assert bley.run("allow", "dyn:Home.example.org.", "dyn:hmoe.example.org").splitlines() == [
            f"dyn:Home.example.org.: client is exempt, by {file}:2",
            f"dyn:hmoe.example.org: client is exempt, by {file}:3",
            "bley takes the change within 20 seconds, on this node; on other nodes, repeat the command",
            "warning: dyn:hmoe.example.org: does not resolve: it has no address",
        ]
        assert bley.run("allow", "dyn:home.example.org") == f"dyn:Home.example.org.: client is already in {file}:2\n"
        many = "client: 'dyn:more.example.org' is one too many: bley follows at most 100 names; write networks instead"
        assert bley.run("allow", "dyn:home.example.org", "dyn:more.example.org", status=2) == f"{USAGE}{many}\n"
        assert bley.run("allow", "--remove", "DYN:home.example.org").startswith("dyn:Home.example.org.: client removed")
        assert "dyn:hmoe.example.org" in bley.run("allow", "--list")
        sender = "sender: 'dyn:home.example.org' is about clients: it belongs in whitelist_clients_file"
        assert bley.run("allow", "--sender", "dyn:home.example.org", status=2) == f"{USAGE}{sender}\n"
