"""The actions of the dashboard: they are confirmed, done and audited, and no other site or program can cause one."""

import base64
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from bley.corrections.local_file import locked
from bley.settings.web_password import read_password_hash
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley
from tests.integration.stores import Servers
from tests.integration.test_web_access import make_password
from tests.integration.web.action_client import Operator, Page

MAIL = {"client_address": "198.51.100.7", "helo_name": "friend", "sender": "a@example.com"}
DUNNO = "action=DUNNO"
FORGOTTEN = "Done: 1 record forgotten; every node notices within 20 seconds."


def acting_bley(folder: Path, **settings: object) -> Bley:
    make_password(folder / "web")
    own = {"web_listen": "127.0.0.1:0", "web_password_file": "web", "web_actions": 1, "greylist_period": "1h"}
    return Bley(folder, **own | settings)


def defer(bley: Bley, operator: Operator, recipient: str = "b@example.org") -> str:
    """Let bley defer a mail; return the number of the decision, once it is stored."""
    before = operator.request("GET", f"/search.json?q={recipient}", headers={"Accept": "*/*"}).text
    number = len(json.loads(before)["decisions"]) if before.startswith("{") else before.count('"number"')
    assert "greylisted" in bley.ask(**MAIL, recipient=recipient)
    path = f"/search.json?q={recipient}"
    wait_until(lambda: operator.get(path).text.count('"number"') > number, "the decision is stored")
    found = re.search(r'"number": "?([\d-]+)', operator.get(path).text)
    assert found
    return found[1]


def audit(bley: Bley) -> list[dict[str, str]]:
    acts: list[dict[str, str]] = json.loads(bley.run("list", "--audit", "--json"))["audit"]
    return [act for act in acts if act["kind"] not in ("start", "reload")]


@pytest.fixture(scope="module")
def bley(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bley]:
    with acting_bley(tmp_path_factory.mktemp("bley")) as bley:
        yield bley


@pytest.fixture(scope="module")
def operator(bley: Bley) -> Operator:
    return Operator(bley)


@pytest.mark.parametrize(("workers", "engine"), [(1, "sqlite"), (2, "sqlite"), (1, "redis")])
def test_each_action_is_confirmed_done_and_audited(workers: int, engine: str, servers: Servers, tmp_path: Path) -> None:
    """A list file is read at once, not within 20 seconds."""
    url = f"sqlite:///{tmp_path}/bley.db" if engine == "sqlite" else servers.new_url(engine)
    with acting_bley(tmp_path, workers=workers, database=url, node_name="mx7") as bley:
        operator = Operator(bley)
        number = defer(bley, operator)
        links = re.findall(r'href="(/act/[^"]*)"', operator.get(f"/decision/{number}").text)
        assert len(links) == 6

        page = operator.get(f"/act/pass?decision={number}")
        assert "1 record passes at the next attempt, on all nodes. Let 1 record pass Cancel" in page.words
        assert f"bley pass -c {bley.file} --sender a@example.com --recipient b@example.org" in page.words
        assert "greylisted" in bley.ask(**MAIL, recipient="b@example.org")
        assert operator.act(f"/act/pass?decision={number}") == "Done: 1 record passes at the next attempt."
        assert bley.ask(**MAIL, recipient="b@example.org") == DUNNO
        assert "No record waits: 1 record passes already." in operator.get(f"/act/pass?decision={number}").words

        assert operator.act(f"/act/forget?decision={number}") == FORGOTTEN
        assert bley.run("list") == "0 records\n"

        file, link = tmp_path / "whitelist_senders.local", f"kind=sender&entry=example.com&decision={number}"
        page = operator.get(f"/act/allow?{link}")
        assert "Mail from sender example.com will never be delayed, whatever the checks find." in page.words
        assert f"This line goes to {file}:2: example.com # added 20" in page.words
        assert not file.exists()
        notice = operator.act(f"/act/allow?{link}", until="30", comment="call of Jane")
        assert notice.startswith("Done: example.com: sender is exempt until 20")
        other = "on the other nodes, run: bley allow -c"
        assert (f"{other} {bley.file} --until 20" in notice) == (engine != "sqlite")
        assert "not reloaded" not in notice
        assert re.search(r"^example\.com  # until 20.*, added 20.*: call of Jane$", file.read_text(), re.MULTILINE)
        wait_until(lambda: bley.ask(**MAIL, recipient="new@example.org") == DUNNO, "all workers read the file")
        page = operator.get(f"/act/allow?{link}")
        assert f"It is exempt already, by {file}:2." in page.words
        assert not page.has_form

        assert "example.com: sender removed from" in operator.act(f"/act/disallow?{link}")
        assert "example.com" not in file.read_text()
        wait_until(lambda: "greylisted" in bley.ask(**MAIL, recipient="new2@example.org"), "all workers read the file")

        assert [act["kind"] for act in audit(bley)] == ["allow", "allow", "forget", "pass"]
        assert {(act["who"], act["node"]) for act in audit(bley)} == {("bley from 127.0.0.1", "mx7")}
        triplet = "client 198.51.100.0/24, sender a@example.com, recipient b@example.org"
        assert audit(bley)[-1]["what"] == f"1 record passes at the next attempt: {triplet}"
        assert f"audit: forget by bley from 127.0.0.1: 1 record forgotten: {triplet}" in bley.log()
        assert "Traceback" not in bley.log()


def test_a_search_acts_on_the_records_that_its_form_showed(bley: Bley, operator: Operator) -> None:
    """Mail that came in between keeps waiting: the operator has not seen it."""
    for name in ("one", "two"):
        defer(bley, operator, f"{name}@search.example")
    page = operator.get("/act/pass?q=search.example")
    assert "2 records pass at the next attempt" in page.words
    defer(bley, operator, "three@search.example")
    sent = operator.send(page)
    assert (sent.status, sent.location.partition("done=")[0]) == (303, "/search?q=search.example&")
    assert [bley.ask(**MAIL, recipient=f"{name}@search.example") == DUNNO for name in ("one", "two", "three")] == [
        True,
        True,
        False,
    ]
    assert "Done: 2 records pass" in operator.get(sent.location).words
    assert operator.act("/act/forget?q=search.example") == FORGOTTEN.replace("1 record", "3 records")


PROOF = object()


@pytest.mark.parametrize(
    ("headers", "typed", "status", "words"),
    [
        ({"Authorization": ""}, {}, 401, "password"),
        ({"Authorization": PROOF}, {}, 403, "not the proof of bley's own commands"),
        ({"Origin": "https://evil.example"}, {}, 403, "the form was sent by another site"),
        ({"Origin": "null"}, {}, 403, "the form was sent by another site"),
        ({"Sec-Fetch-Site": "cross-site"}, {}, 403, "the form was sent by another site"),
        ({"Sec-Fetch-Site": "same-site"}, {}, 403, "the form was sent by another site"),
        ({}, {"token": ""}, 403, "nothing was changed: the form is older than an hour"),
        ({}, {"token": "9999999999.00"}, 403, "nothing was changed: the form is older than an hour"),
        ({}, {"token": "é.ü"}, 403, "nothing was changed: the form is older than an hour"),
        ({}, {"q": "other.example"}, 403, "nothing was changed: the form is older than an hour"),
        ({}, {"as_of": "9999-01-01"}, 403, "nothing was changed: the form is older than an hour"),
        ({}, {"more": "x"}, 403, "nothing was changed: the form is older than an hour"),
        ({}, {f"f{number}": "x" for number in range(30)}, 400, "the form is not complete, or not UTF-8"),
        ({}, {"comment": "x" * 20_000}, 413, ""),
        ({"Content-Type": "application/json"}, {}, 415, "send the form of the page"),
    ],
)
def test_only_the_form_of_an_operator_acts(
    bley: Bley, operator: Operator, headers: dict[str, object], typed: Mapping[str, str], status: int, words: str
) -> None:
    """Neither another site, nor a program without the password, nor a changed form."""
    if "only@example.org" not in bley.log():
        defer(bley, operator, "only@example.org")
    page = operator.get("/act/pass?q=only@example.org")
    assert page.has_form
    if headers.get("Authorization") is PROOF:
        headers = {"Authorization": f"Bearer {read_password_hash(bley.file.with_name('web')).proof}"}
    sent = operator.send(page, {name: str(value) for name, value in headers.items()}, **typed)
    assert sent.status == status, sent.words
    assert words.casefold() in sent.words.casefold()
    assert "greylisted" in bley.ask(**MAIL, recipient="only@example.org")


def test_the_origin_of_a_proxy_and_a_browser_are_our_own(bley: Bley, operator: Operator) -> None:
    defer(bley, operator, "origin@example.org")
    page = operator.get("/act/pass?q=origin@example.org")
    own = {"Origin": f"http://{operator.place}", "Sec-Fetch-Site": "same-origin"}
    assert operator.send(page, own).status == 303


def test_a_user_name_is_escaped_and_cut(bley: Bley, operator: Operator) -> None:
    defer(bley, operator, "named@example.org")
    headers = {"Authorization": basic_of(f"a\nb{'x' * 500}")}
    page = operator.request("GET", "/act/pass?q=named@example.org", headers=headers)
    assert operator.send(page, headers).status == 303
    assert audit(bley)[0]["who"] == f"a\\x0ab{'x' * 58} from 127.0.0.1"


def basic_of(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:correct horse".encode()).decode()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/act/pass", 400, "Name a decision or a search."),
        ("/act/pass?decision=1&q=x", 400, "Name a decision or a search."),
        ("/act/forget?decision=999999", 404, "There is no such decision"),
        ("/act/forget?decision=x", 404, "There is no such decision"),
        ("/act/allow?kind=x&entry=y", 400, "There is no list of kind 'x': use one of client, sender, recipient."),
        ("/act/allow?kind=client", 400, "An entry has 1 to 400 characters."),
        (f"/act/allow?kind=client&entry={'x' * 401}", 400, "An entry has 1 to 400 characters."),
        ("/act/allow?kind=client&entry=192.0.2.300/24", 409, "The action failed: client: '192.0.2.300/24'"),
        ("/act/allow?kind=sender&entry=a%20b", 409, "sender: 'a b' has several words: write one entry."),
        ("/act/allow?kind=sender&entry=a%0Ab", 409, "is not an entry."),
        ("/act/disallow?kind=sender&entry=nowhere.example", 409, "nowhere.example is in no list of `bley allow`"),
        (f"/act/forget?q={'x' * 401}", 400, "The search text may have at most 400 characters."),
        ("/act/pass?q=nobody.example", 200, "There is no such record"),
        ("/act/allow?kind=client&entry=unknown", 200, "exempts every client without a verified name"),
    ],
)
def test_a_wrong_address_is_one_clear_page(operator: Operator, path: str, status: int, words: str) -> None:
    page = operator.get(path)
    assert page.status == status, page.words
    assert words in page.words
    assert page.has_form == ("unknown" in path)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"until": "31"}, "The action failed: choose one of the ends."),
        ({"comment": "x" * 201}, "a comment is one line of at most 200 printable characters."),
        ({"comment": "a\nb"}, "a comment is one line of at most 200 printable characters."),
    ],
)
def test_what_was_typed_is_kept_if_it_is_refused(
    bley: Bley, operator: Operator, typed: dict[str, str], words: str
) -> None:
    page = operator.get(
        f"/act/allow?kind=sender&entry={words.split()[0].lower()}{len(typed.get('comment', ''))}.example"
    )
    sent = operator.send(page, {}, **({"until": "30", "comment": "a reason"} | typed))
    assert sent.status == 409
    assert words in sent.words
    assert ('value="30" selected' in sent.text) == ("until" not in typed)
    assert ('value="a reason"' in sent.text) == ("comment" not in typed)
    assert not bley.file.with_name("whitelist_senders.local").exists()
    fixed = Page(sent.status, "", sent.text, page.path)
    assert operator.send(fixed, until="7", comment="").status == 303
    bley.file.with_name("whitelist_senders.local").unlink()


def test_a_store_that_is_locked_changes_nothing_and_the_form_can_be_sent_again(bley: Bley, operator: Operator) -> None:
    defer(bley, operator, "locked@example.org")
    page = operator.get("/act/pass?q=locked@example.org")
    other = sqlite3.connect(bley.file.with_name("bley.db"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        sent = operator.send(page)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert sent.status == 503
    assert "bley.db: database is locked" in sent.words
    assert operator.send(Page(503, "", sent.text, page.path)).status == 303
    wait_until(lambda: bley.ask(**MAIL, recipient="locked@example.org") == DUNNO, "it passes")


def test_a_list_file_that_cannot_be_written_shows_the_command_instead(tmp_path: Path) -> None:
    """Its folder is gone; without the right to write it, docs/dashboard.md has the remedy."""
    (tmp_path / "whitelist_senders.local").symlink_to(tmp_path / "gone/senders")
    with acting_bley(tmp_path) as bley:
        page = Operator(bley).get("/act/allow?kind=sender&entry=example.com")
        assert page.status == 409
        assert f"{tmp_path}/gone/senders: No such file or directory." in page.words
        assert (
            f"Nothing was changed. Back The command that does the same: bley allow -c {bley.file} --sender example.com"
            in page.words
        )


def test_settings_that_bley_cannot_read_again_are_named(tmp_path: Path) -> None:
    """The line is in the file, but bley could not take it."""
    with acting_bley(tmp_path) as bley:
        bley.file.write_text(bley.file.read_text() + "nonsense = 1\n")
        notice = Operator(bley).act("/act/allow?kind=sender&entry=example.com")
        assert "bley has not reloaded yet: its log has the reason" in notice
        assert "example.com" in (tmp_path / "whitelist_senders.local").read_text()


def test_a_client_that_disconnects_stops_no_action(bley: Bley, operator: Operator) -> None:
    """It waits for the lock of the list files meanwhile."""
    page, file = (
        operator.get("/act/allow?kind=sender&entry=gone.example"),
        bley.file.with_name("whitelist_senders.local"),
    )
    with locked(bley.file.parent):
        operator.send_and_leave(page)
        wait_until(lambda: operator.get("/healthz").status == 200, "bley answers meanwhile")
    wait_until(lambda: file.exists() and "gone.example" in file.read_text(), "the action is done")
    assert "Traceback" not in bley.log()


def test_a_client_that_disconnects_within_the_form_does_nothing(bley: Bley, operator: Operator) -> None:
    page, file = operator.get("/act/allow?kind=client&entry=192.0.2.77"), bley.file.with_name("whitelist_clients.local")
    operator.send_and_leave(page, missing=1)
    assert operator.get("/healthz").status == 200
    assert not file.exists()
    assert "Traceback" not in bley.log()


@pytest.mark.parametrize("setting", [0, ""])
def test_actions_are_off_unless_they_are_set(tmp_path: Path, setting: object) -> None:
    settings = {"web_actions": setting} if setting != "" else {}
    make_password(tmp_path / "web")
    with Bley(tmp_path, web_listen="127.0.0.1:0", web_password_file="web", **settings) as bley:
        operator = Operator(bley)
        number = defer(bley, operator)
        assert "/act/" not in operator.get(f"/decision/{number}").text
        assert "/act/" not in operator.get("/search?q=example.org").text
        assert operator.get(f"/act/pass?decision={number}").status == 403
        assert operator.request("POST", "/act/pass", "").status == 405


def test_a_reload_can_end_the_actions(tmp_path: Path) -> None:
    with acting_bley(tmp_path) as bley:
        operator = Operator(bley)
        defer(bley, operator)
        page = operator.get("/act/pass?q=example.org")
        bley.write_settings(web_actions=0)
        bley.reload()
        assert operator.send(page).status == 405
        assert operator.get("/act/pass?q=example.org").status == 403


def test_with_privacy_only_domains_and_clients_can_be_exempted(tmp_path: Path) -> None:
    """The store has no addresses that a list file could contain, and the audit gets none."""
    with acting_bley(tmp_path, privacy="keyed-hash") as bley:
        operator = Operator(bley)
        bley.ask(**MAIL, recipient="jane@example.org")
        wait_until(lambda: operator.get("/decision/1.json").status == 200, "the decision is stored")
        links = re.findall(r'href="/act/([^"]*)"', operator.get("/decision/1").text)
        assert [link.replace("&amp;", "&").partition("&decision")[0] for link in links] == [
            "pass?decision=1",
            "allow?kind=sender&entry=example.com",
            f"allow?kind=client&entry={quote('198.51.100.7')}",
            "forget?decision=1",
        ]
        assert operator.act("/act/pass?q=jane@example.org") == "Done: 1 record passes at the next attempt."
        operator.act("/act/allow?kind=recipient&entry=jane@example.org")
        assert "jane" not in bley.run("list", "--audit")
