"""The story of a mail on the pages of its decisions, and the copy buttons, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from bley.core.mail import Request
from tests.integration.browser import Browser
from tests.integration.dashboard.site import Site, answer, overflow
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley

REQUEST = Request("RCPT", "", "192.0.2.1", "unknown", "friend", "a@example.com", "b@example.org")
PATHS = ["/decision/1", "/decision/2", "/decision/3"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start bley with a mail that was deferred, retried too early, and passed after `bley pass`."""
    with Bley(tmp_path_factory.mktemp("told"), web_listen="127.0.0.1:0", greylist_period="12h") as bley:
        site = Site(bley)
        for _ in range(2):
            assert b"DEFER" in answer(bley.port, REQUEST)
        wait_until(lambda: site.fetch("/decision/2.json")[0] == 200, "both deferrals are stored")
        bley.run("pass", "--sender", "a@example.com", "--recipient", "b@example.org")
        assert b"DUNNO" in answer(bley.port, REQUEST)
        wait_until(lambda: site.fetch("/decision/4.json")[0] == 200, "the pass is stored")
        yield site


def test_each_decision_of_a_mail_leads_to_the_others(browser: Browser, site: Site) -> None:
    """With the evidence of the deferral, and with what ends such delays."""
    browser.open(site.url("/decision/1"))
    words = [line.text.replace("\n", " ") for line in browser.all(".story li")]
    for text, part in zip(words, ("helo this decision", "early", "released", "known"), strict=True):
        assert text.endswith(part)
    assert "passed before that at" in browser.find(".outcome-words").text
    assert "by `bley pass`" in browser.find(".outcome-words").text
    for place, link in enumerate([each.get_attribute("href") for each in browser.all(".story-time a")], start=2):
        assert link == site.url(f"/decision/{place}")
        browser.open(link)
        assert browser.find(".story [aria-current]").text.startswith(browser.find("h1 time").text)
        assert "friend" in browser.find("#evidence").text
        assert "bley allow" in browser.find("#main").text
        assert "would have exempted 1 deferred mail of the last 28 days" in browser.find("#main").text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, site: Site, path: str, scheme: str) -> None:
    browser.prefer(color_scheme=scheme)
    browser.open(site.url(path))
    assert browser.violations() == []


@pytest.mark.parametrize("width", [320, 360, 768])
@pytest.mark.parametrize("path", PATHS)
def test_no_page_is_wider_than_its_window(browser: Browser, site: Site, path: str, width: int) -> None:
    browser.resize(width, 740)
    browser.open(site.url(path))
    assert overflow(browser) == 0


def test_without_javascript_there_is_the_story_and_no_button(browser: Browser, site: Site) -> None:
    browser.disable_scripts(disabled=True)
    browser.open(site.url("/decision/1"))
    assert len(browser.all(".story li")) == 4
    assert browser.all("button.copy") == []


class TestCopy:
    def test_a_line_is_copied_by_the_keyboard(self, browser: Browser, site: Site) -> None:
        """The button says so, and screen readers too; the focus stays."""
        browser.open(site.url("/decision/1"))
        button = browser.find("#advice button.copy")
        command = browser.find("#advice pre.line").text
        assert button.get_attribute("aria-label") == f"Copy {command}"
        browser.run("arguments[0].focus()", button)
        button.send_keys(Keys.ENTER)
        browser.wait(lambda: button.text == "Copied")
        assert browser.run("return document.activeElement === arguments[0]", button)
        assert browser.run("return document.querySelector('p.unseen[role=status]').textContent") == "Copied"
        field = browser.find("#q")
        field.send_keys(Keys.CONTROL, "v")
        assert field.get_attribute("value") == command

    def test_a_page_without_a_clipboard_copies_too(self, browser: Browser, site: Site) -> None:
        """One by HTTP from another machine, say."""
        browser.open(site.url("/decision/1"))
        browser.run("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        button = browser.find("#advice button.copy")
        button.click()
        browser.wait(lambda: button.text in ("Copied", "Selected"))

    def test_a_refresh_keeps_the_buttons(self, browser: Browser, tmp_path: Path) -> None:
        """A retry arrives while the page of the deferral is open; its wait stays."""
        with browser.hurrying(25), Bley(tmp_path, web_listen="127.0.0.1:0", greylist_period="12h") as bley:
            own = Site(bley)
            answer(bley.port, REQUEST)
            wait_until(lambda: own.fetch("/decision/1.json")[0] == 200, "the decision is stored")
            browser.open(own.url("/decision/1"))
            buttons = len(browser.all("button.copy"))
            assert buttons > 3
            assert "still waiting" in browser.find(".outcome-words").text
            answer(bley.port, REQUEST)
            browser.wait(lambda: len(browser.all(".story li")) == 2)
            assert len(browser.all("button.copy")) == buttons
            browser.open("about:blank")
            browser.requested()


def test_the_lines_for_the_mail_server_have_buttons(browser: Browser, tmp_path: Path) -> None:
    with Bley(tmp_path, web_listen="127.0.0.1:0") as bley:
        browser.open(Site(bley).url("/"))
        names = [each.get_attribute("aria-label") for each in browser.all("#setup button.copy")]
        assert names == ["Copy Lines for Postfix", "Copy Lines for Exim"]
        browser.open("about:blank")
        browser.requested()
