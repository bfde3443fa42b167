"""The mail that is perhaps delayed wrongly, in a real browser: by keyboard, on phones, without JavaScript."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.webdriver.common.keys import Keys

from bley.core.greylist import Lifetimes, Sighting, Status
from bley.core.history.domain_counts import DAY_SECONDS
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.settings.database import parse_database
from bley.store.opening import open_engine
from tests.integration.browser import Browser
from tests.integration.dashboard.site import Site, overflow
from tests.integration.web.test_actions import MAIL, acting_bley

RETRIED, PASSED, FORGED, SPAM = "retried@x.example", "anna@mail.boss.example", "a@gmail.com", 600
COUNTS = {
    ("from-pass", "boss.example"): 12,
    ("from-delay-3600", "boss.example"): 6,
    ("from-helo", "boss.example"): 8,
    ("from-pass", "gmail.com"): 90,
    ("from-delay-600", "gmail.com"): 5,
    ("from-delay-600", "forged.example"): 4,
    ("from-dnsbl", "forged.example"): 400,
    ("from-delay-300", "<>"): 3,
    ("from-delay-300", "*"): 2,
}


def _waiting(sender: str, seen: datetime, attempts: int = 0) -> list[Sighting]:
    first = Sighting(Triplet("192.0.2.0/24", sender, "jane@example.org"), Status.GREYLISTED, seen, Lifetimes())
    return [first, *([first._replace(attempts=1)] * attempts)]


async def _fill(file: Path) -> None:
    """Let spam wait that is newer than all mail that is delayed wrongly."""
    now = datetime.now(UTC)
    wrong = {RETRIED: 3, FORGED: 0, PASSED: 0, "": 1}
    sightings = [each for sender, retries in wrong.items() for each in _waiting(sender, now - _HOUR, retries)]
    sightings += [each for number in range(SPAM) for each in _waiting(f"a@spam{number}.example", now)]
    engine = open_engine(parse_database(f"sqlite:///{file}"))
    await engine.prepare()
    await engine.transact(sightings, [])
    day = int(now.timestamp()) // DAY_SECONDS * DAY_SECONDS
    counts = {Count(DAY_SECONDS, day, kind, name): number for (kind, name), number in COUNTS.items()}
    await engine.add_decisions([], counts)
    await engine.close()


_HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Site]:
    """Start bley with this store, and log in."""
    folder = tmp_path_factory.mktemp("bley")
    asyncio.run(_fill(folder / "bley.db"))
    with acting_bley(folder) as bley:
        bley.ask(**MAIL, recipient="b@example.org")  # so that a mail server has asked
        site = Site(bley)
        chromium.open(f"http://jane:{quote('correct horse')}@{site.place}/search")
        yield site
        chromium.open("about:blank")


@pytest.fixture
def page(browser: Browser, site: Site) -> Browser:
    browser.open(site.url("/"))
    browser.wait(lambda: bool(browser.all("#waiting table")))
    return browser


def _texts(browser: Browser, selector: str) -> list[str]:
    return [each.text for each in browser.all(selector)]


def test_the_mail_that_is_delayed_wrongly_is_first_and_the_number_of_all_is_shown(page: Browser) -> None:
    """The spam is newer. The forged sender has more mail that passed, but is of a large provider."""
    assert _texts(page, "#waiting table:first-of-type td[data-label=Why] > span:first-child") == [
        "Retried 3 times",
        "Retried once",
        "18 mails of boss.example passed in 28 days",
        "95 mails of gmail.com passed in 28 days, a large provider",
    ]
    senders = _texts(page, "#waiting td[data-label=From]")
    assert senders == [RETRIED, "<>", PASSED, FORGED]
    assert f"{SPAM + 5} greylisted triplets" in page.find("#waiting").text


def test_the_domains_have_the_line_that_would_end_their_delays(page: Browser) -> None:
    assert _texts(page, ".delayed tbody th") == ["boss.example", "gmail.com", "forged.example"]
    lines = _texts(page, ".delayed pre")
    assert [line.partition("--sender ")[2] for line in lines] == ["boss.example", "spf:forged.example"]
    words = page.find("#waiting").text
    assert "20 mails came back after the wait. 3 of them had the null sender" in words
    assert "It would have exempted 8 deferred mails of the last 28 days." in words
    assert "No line for a large provider" in words


def test_a_row_has_its_links_and_its_button_by_the_arrow_keys(page: Browser) -> None:
    row = page.find(".delayed tbody tr")
    link, button = row.find_element("css selector", "a"), row.find_element("css selector", "button")
    page.run("arguments[0].focus()", link)
    page.type(Keys.ARROW_RIGHT)
    assert page.run("return document.activeElement === arguments[0]", button)
    assert button.get_attribute("tabindex") == "-1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 360])
def test_it_is_accessible_at_each_width(page: Browser, width: int, scheme: str) -> None:
    page.resize(width, 780)
    page.prefer(color_scheme=scheme)
    assert overflow(page) == 0
    assert page.violations() == []


def test_it_works_without_scripts(page: Browser, site: Site) -> None:
    page.disable_scripts(disabled=True)
    page.open(site.url("/"))
    assert _texts(page, "#waiting td[data-label=From]")[0] == RETRIED
    assert page.find(".delayed pre").text.endswith("--sender boss.example")


def test_both_tables_can_be_downloaded(page: Browser) -> None:
    waiting = json.loads(_fetch(page, "/overview/waiting.json"))
    assert [(row["sender"], row["early_retries"], row["domain_passed"]) for row in waiting] == [
        (RETRIED, 3, 0),
        ("", 1, 0),
        (PASSED, 0, 18),
        (FORGED, 0, 95),
    ]
    first, *_ = csv.DictReader(io.StringIO(_fetch(page, "/overview/domains.csv?range=28d")))
    assert (first["sender_domain"], first["came_back"], first["share"]) == ("boss.example", "6", "0.3")


_GET = "const r = new XMLHttpRequest(); r.open('GET', arguments[0], false); r.send(); return r.responseText"


def _fetch(browser: Browser, path: str) -> str:
    text: str = browser.run(_GET, path)
    return text


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("Let it pass now", "1 record passes at the next attempt"),
        ("Never delay it", "Mail from sender boss.example will never be delayed"),
    ],
)
def test_a_row_leads_to_its_action(page: Browser, link: str, words: str) -> None:
    page.run(
        "[...document.querySelectorAll('#waiting a')].find(a => a.textContent.startsWith(arguments[0])).click()", link
    )
    page.wait(lambda: bool(page.all("form.act button")))
    assert words in page.find("main").text
