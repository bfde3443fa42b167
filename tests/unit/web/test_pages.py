"""Pages and downloads, on a store in memory."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from bley.core.errors import StoreError
from bley.core.greylist import Record, Status
from bley.core.history.domain_counts import DAY_SECONDS
from bley.core.history.statistics import Count
from bley.settings.file import load
from bley.web.actions import Actions
from bley.web.pages import Pages
from tests.fakes import ILL_LIST, NOON, WELL_LIST, FakeHistory
from tests.unit.web.dashboard_client import TRIPLET, DashboardClient, decision

SLOT = int(NOON.timestamp())
DAY = SLOT // DAY_SECONDS * DAY_SECONDS
COUNTS = {
    Count(1200, SLOT, "pass", "known"): 1500,
    Count(1200, SLOT, "pass", "clean"): 50,
    Count(1200, SLOT, "pass", "waited"): 20,
    Count(1200, SLOT, "greylist", "helo"): 100,
    Count(1200, SLOT, "greylist", "early"): 30,
    Count(1200, SLOT, "found", "helo-mismatch"): 75,
    Count(1200, SLOT, "delay", "600"): 20,
    Count(DAY_SECONDS, DAY, "from-delay-600", "shop.example"): 15,
    Count(DAY_SECONDS, DAY, "from-helo", "shop.example"): 16,
    Count(DAY_SECONDS, DAY, "from-delay-600", "<>"): 5,
}
WAITING = {TRIPLET: Record(Status.GREYLISTED, NOON, NOON, 2)}


def client() -> DashboardClient:
    return DashboardClient(
        FakeHistory([decision(str(number)) for number in range(60, 0, -1)], WAITING, COUNTS), [WELL_LIST, ILL_LIST]
    )


class TestOverview:
    async def test_it_names_the_mail_and_the_domains_that_are_delayed_wrongly(self) -> None:
        text = (await client().page("/")).text
        for words in (
            "1 greylisted triplet was seen within the longest wait",
            "Retried 2 times",
            "Counted by day (UTC), since",
            "20 mails came back after the wait. 5 of them had the null sender",
            "bley allow --sender shop.example",
            "It would have exempted 16 deferred mails of the last 28 days.",
            "75.0",
        ):
            assert words in text, words

    async def test_in_mode_observe_its_words_claim_no_delay(self, tmp_path: Path) -> None:
        site = client()
        file = tmp_path / "bley.conf"
        file.write_text("[bley]\nmode = observe\n", encoding="utf-8")
        site.data.reconfigure(load(file))
        text = (await site.page("/")).text
        for words in (
            "Came again 2 times",
            "20 mails came again after the wait",
            "It would have exempted 16 mails of the last 28 days that would have been deferred.",
        ):
            assert words in text, words
        for words in ("etried", "came back"):
            assert words not in text[text.index("Which mail is waiting?", 2000) :], words

    async def test_without_a_suspicion_the_number_that_waits_is_shown(self) -> None:
        records = {TRIPLET: Record(Status.GREYLISTED, NOON, NOON)}
        page = await DashboardClient(FakeHistory([decision()], records, {})).page("/")
        assert "1 greylisted triplet was seen" in page.text
        assert "None of them was retried, and no mail of their senders" in page.text
        assert "/search?outcome=greylist&range=12h" in page.links

    async def test_it_shows_the_figures_of_the_store(self) -> None:
        text = (await client().page("/")).text
        for words in (
            "1\u202f700",
            "1\u202f550",
            "98.7",
            "80 of 100 deferred mails",
            "20 came back, 1.3",
            "half within 10\u00a0min",
            "helo-mismatch",
            "50.0",
            "10\u00a0min",
            "7\u00a0min",
            "2026-11-23 12:00:00",
        ):
            assert words in text, words

    async def test_it_says_of_no_mail_that_it_waited_if_all_passed(self) -> None:
        """In `mode = observe`; in a period with real deferrals, all are named so."""
        counts = {Count(1200, SLOT, "would-defer", "helo"): 3, Count(1200, SLOT, "pass", "waited"): 1}
        for more, words in (({}, "Came again after the wait"), (COUNTS, "Passed after the wait")):
            text = (await DashboardClient(FakeHistory([], WAITING, {**counts, **more}), []).page("/")).text
            shown = [
                each for each in ("Came again after the wait", "Passed after the wait") if re.search(rf"{each}\d", text)
            ]
            assert shown == [words]

    async def test_each_list_is_shown_with_its_fault_and_the_remedy(self) -> None:
        text = (await client().page("/")).text
        assert "bley answers, but 1 of 2 DNS lists is set aside." in text
        assert "it is empty; remove it" in text

    async def test_without_lists_there_is_no_table_of_them(self) -> None:
        site = client()
        assert "Which DNS list earns its place?" in (await site.page("/")).text
        configuration = site.data.configuration
        settings = configuration.settings.model_copy(update={"dnsbls": (), "dnswls": ()})
        site.data.reconfigure(replace(configuration, settings=settings))
        page = (await site.page("/")).text
        assert "Which DNS list earns its place?" not in page

    async def test_without_the_store_the_rest_is_shown(self) -> None:
        site = client()
        site.history.error = "disk I/O error"
        text = (await site.page("/")).text
        assert "The store is unavailable" in text
        assert "disk I/O error" in text
        assert "zen.spamhaus.org" in text

    async def test_without_workers_the_rest_is_shown(self) -> None:
        site = client()
        site.bley.lives = False
        text = (await site.page("/")).text
        assert "No worker of bley answers." in text
        assert "1\u202f700" in text

    async def test_a_range_without_mail_is_not_a_fault(self) -> None:
        text = (await DashboardClient(FakeHistory([decision()])).page("/")).text
        assert "None: no triplet is waiting." in text
        assert "None in this range." in text

    async def test_before_the_first_request_it_shows_how_to_connect_the_mail_server(self) -> None:
        """Instead of empty charts."""
        page = await DashboardClient(FakeHistory()).page("/")
        assert "bley answers, but the mail server has never asked it." in page.text
        assert "check_policy_service { inet:127.0.0.1:1337, default_action=DUNNO }" in page.text
        assert "readsocket{inet:127.0.0.1:1337}" in page.text
        assert "Requests and reasons" not in page.text

    async def test_a_silence_of_hours_is_a_fault_on_a_busy_machine(self) -> None:
        counts = {Count(3600, SLOT - 3600 * hour, "pass", "known"): 5 for hour in range(3, 100)}
        site = DashboardClient(FakeHistory([decision(at=NOON - timedelta(hours=3))], {}, counts))
        text = (await site.page("/")).text.replace("\N{NO-BREAK SPACE}", " ")
        assert "bley answers, but the mail server has not asked for 3 h." in text
        assert "The last request came at 2026-11-23 09:00:00 UTC; usually it asks every hour." in text
        assert "Requests and reasons" in text

    async def test_an_unknown_range_is_a_bad_request(self) -> None:
        with pytest.raises(web.HTTPBadRequest) as caught:
            await client().get("/?range=2h")
        assert caught.value.text == "there is no range '2h': use one of 1h, 12h, 24h, 7d, 28d, 365d\n"

    @pytest.mark.leaps
    async def test_it_is_rendered_once_for_all_tabs_that_show_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """For less than the time between two refreshes; of the request, only the range and the open tables count."""
        site, rendered = client(), list[str]()

        async def render(_: str, **values: Any) -> str:
            rendered.append(values["period"].name)
            return f"page {len(rendered)}"

        async def shown(range_: str, **headers: str) -> str | None:
            path = f"/?range={range_}"
            answer = await pages._show_overview(make_mocked_request("GET", path, headers=headers))
            return answer.text

        monkeypatch.setattr("bley.web.pages.render", render)
        pages = Pages(site.data, Actions(site.data))
        closed = {"Bley-Open": "no-such-table"}
        assert await shown("24h") == await shown("24h", **{"User-Agent": "other", "Cookie": "a=b"}) == "page 1"
        assert await shown("7d") == "page 2"
        assert await shown("24h", **closed) == await shown("24h", **{"Bley-Open": ""}) == "page 3"
        await asyncio.sleep(3)
        assert await shown("24h") == "page 1"
        await asyncio.sleep(2)
        assert await shown("24h") == "page 4"
        pages.reconfigure()
        assert await shown("24h") == "page 5"

    async def test_browsers_do_not_cache_it(self) -> None:
        assert (await client().get("/")).headers["Cache-Control"] == "no-store"


class TestSearch:
    async def test_older_decisions_are_on_the_next_page(self) -> None:
        site = client()
        page = await site.page("/search?q=example.org")
        (older,) = [link for link in page.links if "before" in link]
        assert older == "/search?q=example.org&before=11"
        assert not [
            link
            for link in (await site.page(older)).links
            if "before=" in link and "csv" not in link and "json" not in link
        ]

    async def test_a_search_without_results_describes_what_can_be_searched(self) -> None:
        text = (await client().page("/search?q=nobody.example")).text
        assert "No decision matches." in text
        assert "Decisions are stored for 30\N{NO-BREAK SPACE}d" in text

    async def test_records_are_shown_on_demand(self) -> None:
        site = client()
        page = await site.page("/search?q=nobody.example")
        assert "/search?q=nobody.example&records=1#records" in page.links
        assert "No record matches." not in page.text
        assert "No record matches." in (await site.page("/search?q=nobody.example&records=1")).text

    async def test_an_incomplete_search_says_so(self) -> None:
        """And links to the older decisions."""
        site = DashboardClient(FakeHistory([decision("9")]))
        site.history.unfinished = "7"
        page = await site.page("/search?q=example.org")
        text = page.text.replace("\N{NO-BREAK SPACE}", " ")
        assert "The search stopped after 10 s and is incomplete. Narrow it by a range" in text
        assert "/search?q=example.org&before=7" in page.links
        for path in ("/search/records.csv", "/search/records.json"):
            assert (await site.get(f"{path}?q=example.org")).headers["Bley-Search"] == "unfinished"

    async def test_a_complete_search_does_not(self) -> None:
        assert "The search stopped" not in (await client().page("/search?q=example.org")).text
        assert "Bley-Search" not in (await client().get("/search/records.json?q=example.org")).headers

    async def test_an_unavailable_store_is_an_error(self) -> None:
        site = client()
        site.history.error = "gone"
        with pytest.raises(StoreError):
            await site.get("/search")


class TestDecision:
    async def test_it_shows_request_evidence_outcome_and_log_line(self) -> None:
        text = (await client().page("/decision/1")).text
        for words in (
            "deferred",
            "The HELO name does not fit",
            "friend is not the client's name, which is unknown",
            "bl.example does not list it",
            "still waiting, 7 min left",
            "192.0.2.0/24",
            "Or exempt this client's address: bley allow --client 192.0.2.1",
            "rfc_threshold = 2",
            "client_address=192.0.2.1, sender=a@example.com, recipient=b@example.org, why=helo, helo=2 dnsbl=0",
        ):
            assert words in text, words

    @pytest.mark.parametrize(("outcome", "words"), [("would-defer", "would pass"), ("greylist", "passes")])
    async def test_only_a_deferred_mail_waits_for_a_retry(self, outcome: str, words: str) -> None:
        page = await DashboardClient(FakeHistory([decision(outcome=outcome)])).page("/decision/1")
        assert f"A retry {words} after 5\N{NO-BREAK SPACE}min" in page.text

    async def test_an_exempt_one_names_the_entry(self) -> None:
        exempt = decision(outcome="pass", reason="exempt-client", details={"entry": "/etc/bley/whitelist_clients:3: x"})
        text = (await DashboardClient(FakeHistory([exempt])).page("/decision/1")).text
        assert "/etc/bley/whitelist_clients:3: x" in text
        assert "The decision did not need the triplet." in text
        assert "No check ran" in text

    @pytest.mark.parametrize("number", ["0", "99", "1-1"])
    async def test_a_missing_one_is_not_found(self, number: str) -> None:
        with pytest.raises(web.HTTPNotFound):
            await client().get(f"/decision/{number}")


class TestDownloads:
    @pytest.mark.parametrize(
        ("path", "rows"),
        [
            ("/overview/lists", 2),
            ("/overview/list-figures", 3),
            ("/overview/slots", 72),
            ("/overview/deferred", 2),
            ("/overview/passed", 3),
            ("/overview/found", 1),
            ("/overview/delays", 12),
            ("/overview/waiting", 1),
            ("/overview/domains", 1),
            ("/search/records", 0),
        ],
    )
    async def test_each_table_comes_in_both_formats(self, path: str, rows: int) -> None:
        site = client()
        data = json.loads((await site.get(f"{path}.json")).text or "")
        assert len(data) == rows
        answer = await site.get(f"{path}.csv")
        assert (answer.text or "").count("\r\n") == rows + 1
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="bley-')

    async def test_a_decision_has_its_evidence_and_log_line(self) -> None:
        data = json.loads((await client().get("/decision/1.json")).text or "")
        assert data["findings"]["helo"]["score"] == 2
        assert data["log"].startswith("action=greylist, ")
        assert "name,value\r\nnumber,1\r\n" in ((await client().get("/decision/1.csv")).text or "")

    async def test_records_have_the_seconds_that_are_left(self) -> None:
        (row,) = json.loads((await client().get("/search/records.json?q=example.org")).text or "")
        assert row["left_seconds"] == 420
