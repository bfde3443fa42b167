"""The dashboard in a real browser, of a real bley with requests of real sessions."""

import csv
import gzip
import http.client
import io
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.keys import Keys

from bley.core.mail import Request
from bley.core.wire import encode_request
from tests.integration.browser import Browser
from tests.integration.database_server import wait_until
from tests.integration.postfix import Postfix
from tests.integration.running_bley import WAIT_SECONDS, Bley

SESSIONS = Path(__file__).parent.parent / "data/sessions.jsonl.gz"
ATTRIBUTES = ("client_address", "client_name", "helo_name", "sender", "recipient")


def sessions() -> list[Request]:
    with gzip.open(SESSIONS, "rt", encoding="utf-8") as lines:
        told = [json.loads(line) for line in lines]
    return [Request("RCPT", **{name: each[name] for name in ATTRIBUTES}) for each in told]


def ask(port: int, requests: list[Request]) -> None:
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as peer:
        for request in requests:
            peer.sendall(encode_request(request))
            assert peer.recv(4096).startswith(b"action=")


class Site:
    """A bley's dashboard."""

    def __init__(self, bley: Bley) -> None:
        self.place = bley.wait_log(r"dashboard at http://([^/]+)/")[1]

    def url(self, path: str) -> str:
        return f"http://{self.place}{path}"

    def fetch(self, path: str) -> tuple[int, str]:
        peer = http.client.HTTPConnection(self.place, timeout=WAIT_SECONDS)
        peer.request("GET", path)
        response = peer.getresponse()
        text = response.read().decode()
        peer.close()
        return response.status, text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start bley with three hundred strangers; fifty of them retry too early, and wait until the last test."""
    with Bley(tmp_path_factory.mktemp("bley"), web_listen="127.0.0.1:0", greylist_period="12h") as bley:
        requests = sessions()
        ask(bley.port, requests + requests[:50])
        site = Site(bley)
        last = f"/decision/{len(requests) + 50}.json"
        wait_until(lambda: site.fetch(last)[0] == 200, "all decisions are stored")
        yield site


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser, site: Site) -> Iterator[Browser]:
    """Check that pages requested nothing from other servers, and that the console is empty."""
    chromium.open("about:blank")  # so that requests of the previous test do not count
    chromium.disable_scripts(disabled=False)
    chromium.resize(1280, 800)
    chromium.prefer(color_scheme="light", reduced_motion="no-preference")
    chromium.faults()
    chromium.requested()
    yield chromium
    assert chromium.faults() == []
    assert {urlsplit(url).netloc for url in chromium.requested()} <= {site.place}


def overflow(browser: Browser) -> int:
    """Return by how many pixels the page is too wide."""
    wide: int = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide


_TAB_STOPS = """
return [...document.querySelectorAll("a, button, input, summary, [tabindex]")]
    .filter(each => each.tabIndex >= 0 && each.checkVisibility() && !each.closest("svg")).length
"""
_BROKEN_PIECES = """
const broken = [];
for (const cell of document.querySelectorAll("table.cards tbody :is(th, td)")) {
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    for (const word of texts.currentNode.data.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map(each => Math.round(each.top)));
      if (lines.size > 1 && !/[-]/.test(word[0])) broken.push(word[0]);
    }
  }
}
return broken;
"""


def _luminance(color: str) -> float:
    """Return the relative luminance of an `rgb(…)` (WCAG 2.1)."""
    parts = [int(number) / 255 for number in re.findall(r"\d+", color)[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


PATHS = [
    "/",
    "/?range=365d",
    "/search",
    "/search?q=uwaterloo.ca",
    "/search?q=nobody.example",
    "/decision/1",
    "/nothing",
]


class TestClickingThrough:
    def test_the_overview_answers_each_question(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        assert [title.text for title in browser.all("h2")] == [
            "Is bley well?",
            "What does it do now?",
            "What does it save?",
            "Which mail is waiting?",
            "The latest decisions",
        ]
        assert browser.find(".sentence").text == "bley is well: store and resolver answer."
        figures = dict(
            zip([e.text for e in browser.all("#now dt")], [e.text for e in browser.all("#now dd")], strict=True)
        )
        numbers = {name: int(text) for name, text in figures.items()}
        assert numbers["Requests"] == 350
        assert numbers["Requests"] == sum(number for name, number in numbers.items() if name != "Requests")
        assert numbers["Deferred"] > 50
        assert browser.all("#waiting tbody tr")
        assert len(browser.all("#latest tbody tr")) == 12

    def test_a_range_is_a_link_away(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        assert browser.find(".ranges [aria-current]").text == "24h"
        browser.link("1h").click()
        assert browser.url == site.url("/?range=1h")
        assert browser.find(".ranges [aria-current]").text == "1h"
        assert len(browser.all("#slots-figures tbody tr")) == 60

    def test_a_reason_leads_to_its_decisions_and_one_of_these_to_its_evidence(
        self, browser: Browser, site: Site
    ) -> None:
        browser.open(site.url("/"))
        browser.link("helo").click()
        reasons = {element.text for element in browser.all("tbody .reason")}
        assert reasons == {"helo"}
        browser.find("tbody th a").click()
        assert browser.find("h1").text.startswith("Decision of ")
        assert "helo=2" in browser.find(".line").text or "why=helo" in browser.source
        titles = [title.text for title in browser.all("h2")]
        assert titles == ["Verdict", "If this was wrong", "Request", "Triplet", "Evidence", "Log line"]
        assert "still waiting" in browser.find(".outcome-words").text

    def test_the_search_field_finds_decisions_and_records(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        wanted = sessions()[0]
        browser.find("#q").send_keys(f"{wanted.client_address}\n")
        assert browser.find("h1").text == f"Decisions matching {wanted.client_address}"
        assert browser.find("#q").get_attribute("value") == wanted.client_address
        rows = browser.all("[aria-labelledby=found-title] tbody tr")
        assert len(rows) == 2
        assert all(wanted.client_address in row.text for row in rows)

    def test_older_decisions_are_a_link_away(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/search"))
        newest = browser.find("tbody th a").get_attribute("href")
        browser.link("older").click()
        assert browser.find("tbody th a").get_attribute("href") != newest
        browser.link("newest").click()
        assert browser.url == site.url("/search")

    def test_a_search_without_results_describes_what_can_be_searched(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/search?q=nobody.example"))
        assert "No decision matches." in browser.source
        assert "stored for 30 d" in browser.find(".hint").text

    def test_the_figures_behind_a_chart_open(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        table = browser.find("#delays-figures table")
        assert not table.is_displayed()
        browser.find("#delays-figures summary").click()
        assert table.is_displayed()


class TestLive:
    @pytest.fixture(autouse=True)
    def hurrying(self, browser: Browser) -> Iterator[None]:
        """A page refreshes itself every 0.2 s in place of 5."""
        with browser.hurrying(25):
            yield

    def test_the_page_refreshes_and_can_be_stopped(self, browser: Browser, tmp_path: Path) -> None:
        with Bley(tmp_path, web_listen="127.0.0.1:0") as bley:
            own = Site(bley)
            browser.open(own.url("/"))
            assert "None yet." in browser.find("#latest").text
            ask(bley.port, sessions()[:3])
            browser.wait(lambda: len(browser.all("#latest tbody tr")) == 3)
            button = browser.find("#live")
            assert button.get_attribute("aria-pressed") == "true"
            button.click()
            assert button.get_attribute("aria-pressed") == "false"
            browser.open("about:blank")
            browser.requested()

    def test_it_shows_that_the_store_goes_away_and_comes_back(self, browser: Browser, tmp_path: Path) -> None:
        with Bley(tmp_path, web_listen="127.0.0.1:0") as bley:
            own = Site(bley)
            browser.open(own.url("/"))
            (tmp_path / "bley.db").rename(tmp_path / "away.db")
            browser.wait(lambda: bool(browser.all("#away")))
            assert "the store is unavailable" in browser.find(".sentence").text
            (tmp_path / "away.db").rename(tmp_path / "bley.db")
            browser.wait(lambda: bool(browser.all("#now")))
            assert browser.find(".sentence").text == "bley is well: store and resolver answer."
            browser.open("about:blank")
            browser.requested()

    @pytest.mark.parametrize(
        "focused", ["#latest tbody tr:nth-child(2) a", "#slots-figures summary", "#slots-figures a"]
    )
    def test_a_part_with_the_focus_refreshes_and_keeps_it(self, browser: Browser, tmp_path: Path, focused: str) -> None:
        with Bley(tmp_path, web_listen="127.0.0.1:0") as bley:
            own = Site(bley)
            requests = [request for request in sessions()[:8] if request.client_address]
            ask(bley.port, requests[:3])
            wait_until(lambda: own.fetch("/decision/3.json")[0] == 200, "the decisions are stored")
            browser.open(own.url("/"))
            browser.run("document.querySelector('#slots-figures').open = true")
            browser.run("window.mine = document.querySelector(arguments[0]); window.mine.focus()", focused)
            ask(bley.port, requests[3:6])
            browser.wait(lambda: len(browser.all("#latest tbody tr")) == 6)
            browser.wait(lambda: browser.find("#now dd").text == "6")
            cells = "#slots-figures tbody td:not(:empty)"
            browser.wait(lambda: sum(int(cell.text) for cell in browser.all(cells)) == 6)
            assert browser.run("return document.activeElement === window.mine && window.mine.isConnected")
            assert browser.find("#live").text == "Live"
            browser.open("about:blank")
            browser.requested()

    def test_it_says_that_a_selected_part_is_paused(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        browser.run("getSelection().selectAllChildren(document.querySelector('#latest tbody tr'))")
        browser.wait(lambda: browser.find("#live").text == "Paused")
        browser.run("getSelection().removeAllRanges()")
        browser.wait(lambda: browser.find("#live").text == "Live")

    def test_reduced_motion_turns_the_refresh_off(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        browser.run("localStorage.clear()")
        browser.prefer(reduced_motion="reduce")
        browser.open(site.url("/"))
        assert browser.find("#live").get_attribute("aria-pressed") == "false"


def test_several_workers_are_shown_as_one(browser: Browser, tmp_path: Path) -> None:
    with Bley(tmp_path, web_listen="127.0.0.1:0", workers=2) as bley:
        own = Site(bley)
        for request in sessions()[:6]:
            ask(bley.port, [request])
        browser.wait(lambda: len(json.loads(own.fetch("/search.json")[1])) == 6)
        browser.open(own.url("/"))
        assert browser.find("#now dd").text == "6"
        assert browser.find(".sentence").text == "bley is well: store and resolver answer."
        browser.open("about:blank")
        browser.requested()


def test_a_reload_changes_the_settings_of_the_pages(tmp_path: Path) -> None:
    with Bley(tmp_path, web_listen="127.0.0.1:0", greylist_period="5m") as bley:
        own = Site(bley)
        ask(bley.port, [request for request in sessions() if request.client_name == "unknown"][:1])
        wait_until(lambda: "The wait is 5\N{NO-BREAK SPACE}min" in own.fetch("/")[1], "the decision is shown")
        bley.write_settings(greylist_period="20m")
        bley.reload()
        assert "The wait is 20\N{NO-BREAK SPACE}min" in own.fetch("/")[1]


class TestAccessibility:
    @pytest.mark.parametrize("path", PATHS[:-1])
    def test_it_works_without_javascript(self, browser: Browser, site: Site, path: str) -> None:
        browser.disable_scripts(disabled=True)
        browser.open(site.url(path))
        assert browser.find("h1").text
        assert not browser.find("#live").is_displayed()

    @pytest.mark.parametrize("path", PATHS[:-1])
    @pytest.mark.parametrize("width", [360, 768, 1280])
    def test_no_page_is_wider_than_its_window(self, browser: Browser, site: Site, path: str, width: int) -> None:
        browser.resize(width, 740)
        browser.open(site.url(path))
        assert overflow(browser) == 0

    def test_it_has_a_dark_color_scheme(self, browser: Browser, site: Site) -> None:
        grounds = set()
        for scheme in ("light", "dark"):
            browser.prefer(color_scheme=scheme)
            browser.open(site.url("/"))
            grounds.add(browser.run("return getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 2

    def test_keys_lead_from_the_skip_link_through_the_head_into_the_page(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        names = [browser.press_tab().accessible_name for _ in range(8)]
        assert names[0] == "Skip to the content"
        assert names[1] == "bley"
        assert names[2:4] == ["Overview", "Decisions"]
        assert names[4].startswith("Address, domain")
        assert names[5:8] == ["Search", "Live", "1h"]
        browser.open(site.url("/"))
        browser.press_tab()
        browser.type("\n")
        assert browser.run("return document.activeElement.id") == "main"

    def test_skip_links_lead_to_each_part(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        for link in browser.all(".jumps a"):
            part = (link.get_attribute("href") or "").partition("#")[2]
            browser.run("arguments[0].click()", link)
            assert browser.run("return document.activeElement.id") == part

    @pytest.mark.parametrize(("path", "most"), [("/", 80), ("/search?q=.ca", 130), ("/decision/1", 35)])
    def test_each_row_of_a_table_is_one_tab_stop(self, browser: Browser, site: Site, path: str, most: int) -> None:
        """The arrow keys lead to the other links of the row."""
        browser.open(site.url(path))
        assert browser.run(_TAB_STOPS) <= most
        for rows in browser.all("table.cards tbody"):
            for row in rows.find_elements("css selector", "tr")[:3]:
                assert len(row.find_elements("css selector", "a:not([tabindex])")) <= 1
        if first := browser.all("table.cards tbody a"):
            browser.run("arguments[0].focus()", first[0])
            browser.type(Keys.ARROW_RIGHT)
            assert browser.run("return document.activeElement === arguments[0]", first[1])
            browser.type(Keys.ARROW_LEFT)
            assert browser.run("return document.activeElement === arguments[0]", first[0])

    @pytest.mark.parametrize("path", ["/", "/search?q=.ca"])
    @pytest.mark.parametrize("width", [320, 768, 1000])
    def test_names_and_addresses_break_only_at_their_separators(
        self, browser: Browser, site: Site, path: str, width: int
    ) -> None:
        browser.resize(width, 740)
        browser.open(site.url(path))
        assert browser.run(_BROKEN_PIECES) == []
        assert overflow(browser) == 0

    @pytest.mark.parametrize("path", ["/", "/decision/310", "/search?q=.ca&since=2026-01-01T00:00Z"])
    def test_no_page_shows_an_instant_in_the_form_of_programs(self, browser: Browser, site: Site, path: str) -> None:
        browser.open(site.url(path))
        browser.run("document.querySelectorAll('pre').forEach(line => line.remove())")
        assert re.findall(r"\d{4}-\d\d-\d\dT\S*", browser.run("return document.body.textContent")) == []

    @pytest.mark.parametrize("media", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"media": "print"}])
    def test_the_bars_differ_in_lightness(self, browser: Browser, site: Site, media: dict[str, str]) -> None:
        """For gray print, and for readers who do not see the difference in hue."""
        browser.prefer(**media)
        browser.open(site.url("/"))
        fills = [
            browser.run(f"return getComputedStyle(document.querySelector('.legend .fill-{name}')).fill")
            for name in ("undelayed", "deferred")
        ]
        lighter, darker = sorted((_luminance(fill) for fill in fills), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) > 2

    @pytest.mark.parametrize("path", PATHS[:-1])
    def test_axe_finds_nothing(self, browser: Browser, site: Site, path: str) -> None:
        """Contrast, names, landmarks, tables: axe-core, WCAG 2.1 A and AA. On a dark page only contrast differs."""
        browser.open(site.url(path))
        assert browser.violations() == []
        browser.prefer(color_scheme="dark")
        assert browser.violations(["color-contrast"]) == []

    def test_axe_would_find_something(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        browser.run("document.querySelector('label[for=q]').remove(); document.documentElement.lang = ''")
        assert {violation.partition(":")[0] for violation in browser.violations()} >= {"html-has-lang"}


class TestSafety:
    def test_a_sender_that_is_a_script_is_text(self, browser: Browser, tmp_path: Path) -> None:
        script = "<script>document.title='owned'</script>"
        with (
            Bley(tmp_path, web_listen="127.0.0.1:0") as bley,
            Postfix(f"inet:127.0.0.1:{bley.port}") as postfix,
            postfix.session(client_address="192.0.2.1", helo_name="friend") as smtp,
        ):
            smtp.send(f'"{script}"@example.com', ["b@example.org"])
            own = Site(bley)
            browser.wait(lambda: "owned" in own.fetch("/search.json")[1])
            for path in ("/", "/search", "/search?q=example.com", "/decision/1"):
                browser.open(own.url(path))
                assert script in browser.find("main").text
                assert browser.run("return document.title") != "owned"
                assert all(each.get_attribute("src") for each in browser.all("script"))
            browser.open("about:blank")
            assert script in own.fetch("/decision/1.json")[1]
            assert {urlsplit(url).netloc for url in browser.requested()} <= {own.place, ""}

    def test_a_foreign_name_is_not_answered(self, site: Site) -> None:
        peer = http.client.HTTPConnection(site.place, timeout=WAIT_SECONDS)
        peer.request("GET", "/", headers={"Host": "evil.example"})
        assert peer.getresponse().status == 403
        peer.close()


class TestDownloads:
    def test_each_download_link_works(self, browser: Browser, site: Site) -> None:
        links = []
        for path in ("/", "/search?q=uwaterloo.ca", "/decision/1"):
            browser.open(site.url(path))
            links += [link.get_attribute("href") or "" for link in browser.all(".downloads a")]
        assert len(links) >= 18
        for link in links:
            parts = urlsplit(link)
            status, text = site.fetch(f"{parts.path}?{parts.query}")
            assert status == 200, link
            if parts.path.endswith(".json"):
                json.loads(text)
            elif parts.path.endswith(".csv"):
                assert len({len(row) for row in csv.reader(io.StringIO(text))}) == 1

    def test_downloads_have_the_figures_of_the_page(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        shown = [row.text.split() for row in browser.all("#now .reasons tbody tr")]
        told = json.loads(site.fetch("/overview/deferred.json")[1])
        assert [row["reason"] for row in told] == [words[0] for words in shown][: len(told)]
