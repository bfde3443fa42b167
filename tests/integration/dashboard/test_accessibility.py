"""The pages for every window, color scheme and device, in a real browser."""

import re
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from bley.core.mail import Request
from tests.free_ports import free_port
from tests.integration.browser import Browser
from tests.integration.dashboard.site import PATHS, Site, ask, overflow
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley

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

    @pytest.mark.parametrize("width", [360, 1280])
    def test_no_sender_makes_a_page_wider_than_its_window(self, browser: Browser, tmp_path: Path, width: int) -> None:
        sender = f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.com"
        long = Request("RCPT", "", "192.0.2.7", "x" * 250, "y" * 250, sender, f"{'c' * 200}@example.org")
        with Bley(tmp_path, web_listen="127.0.0.1:0") as bley:
            own = Site(bley)
            ask(bley.port, [long])
            wait_until(lambda: own.fetch("/decision/1.json")[0] == 200, "the decision is stored")
            browser.resize(width, 740)
            wide = {}
            for path in (
                "/",
                "/search?q=192.0.2.7",
                "/decision/1",
                f"/search?q={sender}",
                f"/search?reason={'z' * 300}",
            ):
                browser.open(own.url(path))
                wide[path] = overflow(browser)
            browser.open("about:blank")
            browser.faults()  # the last one is status 400
            browser.requested()
        assert set(wide.values()) == {0}, wide

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
        links_of_rows = (each.find_elements("css selector", "a") for each in browser.all("table.cards tbody tr"))
        if first := next((links for links in links_of_rows if len(links) > 1), []):
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

    @pytest.mark.parametrize("width", [360, 1280])
    def test_axe_finds_nothing_while_bley_observes(self, browser: Browser, tmp_path: Path, width: int) -> None:
        """The overview has a further card then, with the lines that exempt whose mail came again."""
        stranger = Request("RCPT", "", "192.0.2.7", "unknown", "friend", "a@example.com", "b@example.org")
        with Bley(
            tmp_path, web_listen=f"127.0.0.1:{free_port()}", mode="observe", greylist_period="0", greylist_penalty="0"
        ) as bley:
            ask(bley.port, [stranger])
            ask(bley.port, [stranger])
            bley.stop()  # writes the counts by domain, which may wait ten seconds
            begun = len(bley.log())
            bley.start()
            bley.wait_log("dashboard at", since=begun)
            own = Site(bley)
            browser.resize(width, 740)
            browser.open(own.url("/"))
            assert "1 mail came again" in browser.find("#observed").text
            assert browser.find("#observed pre").text.endswith("--sender example.com")
            assert browser.violations() == []
            assert overflow(browser) == 0
            browser.prefer(color_scheme="dark")
            assert browser.violations(["color-contrast"]) == []
            browser.open("about:blank")
            browser.requested()
