"""The table that shows which DNS list earns its place, in a real browser, and its downloads."""

import asyncio
import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bley.core.mail import Request
from bley.settings.database import parse_database
from bley.store.engine import counts_per_span
from bley.store.opening import open_engine
from tests.dns_server import DnsServer
from tests.integration.browser import Browser
from tests.integration.dashboard.site import Site, ask, overflow
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley
from tests.integration.test_lists import entries, on

_NUMBERS = {
    "strict.example.net": {"dnsbl-queries": 5000, "dnsbl-listed": 90, "dnsbl-alone": 30, "dnsbl-back": 25},
    "copy.example.net": {"dnsbl-queries": 5000, "dnsbl-listed": 900, "dnsbl-errors": 700, "list-ms-20": 5000},
    "old.example.net": {"dnsbl-queries": 300, "dnsbl-listed": 3, "list-ms-slower": 300},
    "a-list-with-a-very-long-name.and-a-second-long-part.example.net": {"dnswl-queries": 5000, "dnswl-alone": 12_345},
}
_LISTS = list(_NUMBERS)


async def _count(file: Path) -> None:
    """Count these events in the store a day ago, and some mail."""
    minute = int(time.time()) // 60 - 1440
    counts = {(minute, kind, name): number for name, of_kind in _NUMBERS.items() for kind, number in of_kind.items()}
    engine = open_engine(parse_database(f"sqlite:///{file}"))
    await engine.prepare()
    await engine.add_decisions([], counts_per_span({**counts, (minute, "greylist", "dnsbl"): 50}))
    await engine.close()


@pytest.fixture(scope="module", params=["enforce", "observe"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("lists")
    asyncio.run(_count(folder / "bley.db"))
    strict, copy, _, allowing = _LISTS
    world = {name: entry for zone in (strict, copy, allowing) for name, entry in entries(zone).items()}
    with (
        DnsServer(world) as dns,
        Bley(folder, **on(dns, dnsbls=f"{strict} {copy}", dnswls=allowing, mode=request.param)) as bley,
    ):
        site = Site(bley)
        ask(
            bley.port,
            [Request("RCPT", "", "192.0.2.1", "mail.example.org", "mail.example.org", "a@b.example", "c@d.example")],
        )
        wait_until(lambda: site.fetch("/decision/1.json")[0] == 200, "the decision is stored")
        yield site


def _observes(site: Site) -> bool:
    return "mode = observe" in site.fetch("/")[1]


def test_the_overview_shows_it_without_a_click(browser: Browser, site: Site) -> None:
    browser.open(site.url("/?range=28d"))
    table = browser.find("#lists table")
    observes = _observes(site)
    assert ("Would decide alone" in table.text, "Decided alone" in table.text) == (observes, not observes)
    rows = {row.find_element("css selector", "th").text.split()[0]: row.text for row in browser.all("#lists tbody tr")}
    assert list(rows) == _LISTS
    assert ("it likely delays good mail" in rows["strict.example.net"]) is not observes
    assert "so bley decides the same without it" in rows["copy.example.net"]
    assert "14.0\u202f% of its queries had no usable answer." in rows["copy.example.net"]
    assert "up to 20 ms" in rows["copy.example.net"]
    assert "removed from the settings" in rows["old.example.net"]
    assert "well" in rows["strict.example.net"]


def test_the_reason_leads_to_it(browser: Browser, site: Site) -> None:
    browser.open(site.url("/?range=28d"))
    link = browser.find(".causes a[href='#lists']")
    assert link.text == "which list?"
    browser.run("arguments[0].click()", link)
    assert browser.run("return document.activeElement.id") == "lists"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, site: Site, scheme: str) -> None:
    browser.prefer(color_scheme=scheme)
    browser.open(site.url("/?range=28d"))
    assert browser.violations() == []


@pytest.mark.parametrize("width", [320, 360, 768, 1000, 1280])
def test_it_is_not_wider_than_its_window(browser: Browser, site: Site, width: int) -> None:
    browser.resize(width, 740)
    browser.open(site.url("/?range=28d"))
    assert overflow(browser) == 0
    wide = browser.run("const card = document.querySelector('#lists'); return card.scrollWidth - card.clientWidth")
    assert wide == 0


def test_its_downloads_have_the_figures_of_the_range(site: Site) -> None:
    of_month, of_hour = (
        json.loads(site.fetch(f"/overview/list-figures.json?range={name}")[1]) for name in ("28d", "1h")
    )
    assert [each["list"] for each in of_month] == _LISTS
    names = ("setting", "queries", "alone", "came_back", "came_back_share", "errors")
    assert [of_month[0][name] for name in names] == ["dnsbls", 5001, 30, 25, 25 / 30, 0]
    assert {each["list"]: each["queries"] for each in of_hour} == dict.fromkeys([*_LISTS[:2], _LISTS[3]], 1)
    status, text = site.fetch("/overview/list-figures.csv?range=28d")
    assert status == 200
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["list"], row["state"]) for row in rows][2] == ("old.example.net", "removed")
    assert rows[3]["came_back"] == ""
    assert site.fetch("/overview/list-figures.csv?range=2h")[0] == 400
