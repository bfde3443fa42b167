"""`bley replay` on the decisions of a running bley, and on every engine."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bench.plausible_mail import fill

from bley.commands.replay.command import replay_decisions
from bley.core.findings import JUDGED
from bley.core.history.search import DecisionQuery
from bley.settings.file import load
from tests.dns_server import DnsServer
from tests.fakes import NOON
from tests.integration.running_bley import WAIT_SECONDS, Bley
from tests.integration.stores import ENGINES, OpenStore, OpenStores
from tests.integration.test_lists import V4, entries, on

STRANGER = {"client_address": "198.51.100.7", "helo_name": "friend", "recipient": "b@example.org"}
SERVER = {"client_address": V4, "client_name": "mail.example.net", "helo_name": "mail.example.net"}


@pytest.fixture(scope="module")
def bley(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bley]:
    """A bley that judged by a list, by the HELO name, by its cache, and by a list file."""
    folder = tmp_path_factory.mktemp("bley")
    lists = {"whitelist_senders": "exempt.example\n"}
    with (
        DnsServer(entries("bl.example", V4)) as dns,
        Bley(folder, lists, **on(dns, dnsbls="bl.example", cache_valid="60", check_names="1", use_spf="1")) as bley,
    ):
        for sender in ("a@example.com", "a@example.com", "b@example.com"):
            bley.ask(**STRANGER, sender=sender)
        bley.wait_log("reason=early")
        bley.ask(**SERVER, sender="c@example.com", recipient="b@example.org")
        bley.ask(**SERVER, sender="d@exempt.example", recipient="b@example.org")
        clean = SERVER | {
            "client_address": "203.0.113.5",
            "client_name": "mx.example.edu",
            "helo_name": "mx.example.edu",
        }
        for _ in range(2):
            bley.ask(**clean, sender="e@example.com", recipient="b@example.org")
        bley.decisions(at_least=7)
        yield bley


def replayed(bley: Bley, *options: str, at_least: int = 7, **settings: str) -> Any:
    """Return the document, once that many decisions are stored; with changed settings in a new file."""
    new = bley.file.with_name("new.conf")
    changed = "".join(f"{key} = {value}\n" for key, value in settings.items())
    kept = [line for line in bley.file.read_text().splitlines() if line.partition(" =")[0] not in settings]
    new.write_text("\n".join(kept) + "\n" + changed)
    document: Any = {"decisions": 0}
    for _ in range(int(WAIT_SECONDS)):
        document = json.loads(bley.run("replay", "--json", *options) if not settings else
                              run_with(bley, new, "--json", *options))  # fmt: skip
        if document["decisions"] >= at_least:
            break
    return document


def run_with(bley: Bley, file: Path, *options: str, status: int = 0) -> str:
    """Run the command with this settings file."""
    own, bley.file = bley.file, file
    try:
        return bley.run("replay", *options, status=status)
    finally:
        bley.file = own


def test_the_settings_in_force_change_nothing(bley: Bley) -> None:
    document = replayed(bley)
    assert document["first_attempts"] == document["unchanged"] == 5
    assert {(each["then"], each["now"]) for each in document["changes"]} == {
        (name, name) for name in ("helo", "early", "client-bad", "dnsbl", "exempt-sender", "clean", "known")
    }
    assert (document["limits"], document["not_judged"], document["open"]["number"]) == ([], {}, 0)
    assert (document["is_complete"], document["observed"]) == (True, False)


def test_other_settings_show_what_they_change(bley: Bley) -> None:
    document = replayed(bley, rfc_threshold="9", use_spf="0")
    assert document["newly_passing"]["number"] == 2
    assert {(each["then"], each["now"]): each["number"] for each in document["changes"] if each["deferred_then"]} == {
        ("helo", "clean"): 1,
        ("client-bad", "client-good"): 1,
        ("early", "known"): 1,
        ("dnsbl", "dnsbl"): 1,
    }
    examples = [(each["reason"], each["new_reason"], each["sender"]) for each in document["newly_passing"]["examples"]]
    assert examples == [("helo", "clean", "a@example.com"), ("client-bad", "client-good", "b@example.com")]


def test_what_was_not_queried_is_named(bley: Bley) -> None:
    document = replayed(bley, dnsbls="bl.example, new.example", rfc_threshold="5", check_timeout="3s")
    assert document["limits"] == [
        "new.example was not queried then: here it lists nothing",
        "check_timeout: facts that were late then are unknown here too",
    ]
    assert (document["open"]["number"], document["open"]["missing"]) == (2, {"SPF": 2})


def test_a_mail_that_is_not_exempt_any_more_is_not_judged(bley: Bley) -> None:
    document = replayed(bley, whitelist_senders_file="")
    assert document["not_judged"] == {"exempt-sender": 1}
    [limit] = document["limits"]
    assert "whitelist_senders had 1 entry then, and is not read now: list files are searched in the folder of" in limit


def test_the_page_names_the_changes_with_examples(bley: Bley) -> None:
    replayed(bley, rfc_threshold="9", use_spf="0")
    page = run_with(bley, bley.file.with_name("new.conf"))
    assert (
        "5 first attempts of mail, without known mail and retries:\n0 would newly be deferred.\n"
        "2 would newly pass; 0 of them came back then, and 2 did not." in page
    )
    assert "helo then, clean by these settings" in page
    assert "unknown [198.51.100.7], HELO friend, from <a@example.com> to <b@example.org>" in page
    assert "would newly pass: 2 of 2" in page


def test_a_limit_reads_the_latest_decisions(bley: Bley) -> None:
    replayed(bley)
    document = json.loads(bley.run("replay", "--json", "--limit", "2"))
    assert (document["decisions"], document["is_complete"]) == (2, False)
    assert "the latest ones: --limit reads more" in bley.run("replay", "--limit", "2")


def test_the_store_may_be_that_of_another_file(bley: Bley, tmp_path: Path) -> None:
    new = tmp_path / "new.conf"
    new.write_text(f"[bley]\ndbpath = {tmp_path}\nrfc_threshold = 9\n")
    assert "no such file" in run_with(bley, new, status=1).lower()
    replayed(bley)
    assert json.loads(run_with(bley, new, "--store", str(bley.file), "--json"))["decisions"] == 7


def test_a_fault_of_the_new_settings_is_named(bley: Bley, tmp_path: Path) -> None:
    """As by `bley check-config`."""
    new = tmp_path / "new.conf"
    new.write_text("[bley]\nrfc_threshold = x\n")
    assert f"{new}:2: rfc_threshold = x: is not a whole number" in run_with(bley, new, status=2)
    assert "--since 500000d" in bley.run("replay", "--since", "500000d", status=2)


class TestEngines:
    @pytest_asyncio.fixture(params=ENGINES, loop_scope="module")
    async def both(self, request: pytest.FixtureRequest, stores: OpenStores) -> OpenStore:
        store = await stores.empty(request.param)
        await fill(store.engine, NOON, timedelta(days=2), 1500)
        return store

    @pytest.mark.asyncio(loop_scope="module")
    async def test_every_engine_has_the_same_decisions(self, both: OpenStore, tmp_path: Path) -> None:
        """They are read in several pages, each of them once."""
        (tmp_path / "same.conf").write_text(
            "[bley]\ndnsbls = zen.spamhaus.org\ndnswls =\nuse_spf = 0\ncheck_names = 0\n"
        )
        (tmp_path / "mild.conf").write_text(
            "[bley]\ndnsbls = zen.spamhaus.org\ndnswls =\nuse_spf = 0\ncheck_names = 0\nrfc_threshold = 9\n"
        )
        since = NOON - timedelta(days=3)
        pages: list[int] = []
        same = await replay_decisions(both.history, load(tmp_path / "same.conf"), since, NOON, 10_000, pages.append)
        mild = await replay_decisions(both.history, load(tmp_path / "mild.conf"), since, NOON, 10_000)
        stored = await both.history.decisions(DecisionQuery(), 10_000)
        assert same.tally.read == sum(pages) == len(stored)
        assert len(pages) > 1, "a search that takes long ends earlier, with a part of a page"
        first = [each for each in stored if each.reason in JUDGED]
        assert same.unchanged == same.tally.first_attempts == len(first) > 500
        by_findings = [each for each in first if each.defers and each.reason != "dnsbl"]
        assert mild.tally.newly_passing.number == len(by_findings) > 100
        assert mild.tally.newly_deferred.number == 0
