"""The refresh of the pages in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains

from tests.free_ports import free_port
from tests.integration.browser import Browser
from tests.integration.dashboard.site import Site, answer, ask, sessions
from tests.integration.database_server import wait_until
from tests.integration.running_bley import Bley

_LATER = """
Object.defineProperty(document, "visibilityState", { value: arguments[0], configurable: true });
performance.now = () => 60_000;
document.dispatchEvent(new Event("visibilitychange"));
"""
_NOT_GREEN = ("rgb(255, 180, 173)", "rgba(0, 0, 0, 0)")


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
            assert "check_policy_service" in browser.find("#setup").text
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
            ask(bley.port, sessions()[:1])
            wait_until(lambda: own.fetch("/decision/1.json")[0] == 200, "the decision is stored")
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

    def test_a_part_is_paused_while_the_pointer_is_on_its_link(self, browser: Browser, site: Site) -> None:
        with browser.hurrying(10):
            browser.open(site.url("/"))
            link, title = browser.find("#latest tbody a"), browser.find("h1")
            ActionChains(link.parent).move_to_element(link).perform()
            browser.wait(lambda: browser.find("#live").text == "Paused")
            ActionChains(title.parent).move_to_element(title).perform()
            browser.wait(lambda: browser.find("#live").text == "Live")

    def test_a_hidden_page_is_fetched_at_once_when_it_is_visible(self, browser: Browser, site: Site) -> None:
        with browser.hurrying(0.001):  # no interval ends within this test
            browser.open(site.url("/"))
            browser.requested()
            for state in ("hidden", "visible"):
                browser.run(_LATER, state)
            browser.wait(lambda: site.url("/") in browser.requested())

    def test_reduced_motion_turns_the_refresh_off(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        browser.run("localStorage.clear()")
        browser.prefer(reduced_motion="reduce")
        browser.open(site.url("/"))
        assert browser.find("#live").get_attribute("aria-pressed") == "false"

    @pytest.mark.parametrize("path", ["/", "/decision/1", "/search?q=example.org"])
    def test_a_bley_that_is_gone_grays_the_page_and_is_announced(
        self, browser: Browser, tmp_path: Path, path: str
    ) -> None:
        with Bley(tmp_path, web_listen="127.0.0.1:0") as bley:
            own = Site(bley)
            ask(bley.port, sessions()[:1])
            wait_until(lambda: own.fetch("/decision/1.json")[0] == 200, "the decision is stored")
            browser.open(own.url(path))
            banner = browser.find("#gone")
            assert banner.get_attribute("aria-live") == "assertive"
            assert banner.text == ""
            bley.stop()
            browser.wait(lambda: "bley does not answer; last heard" in banner.text)
            assert re.search(r"last heard \d\d:\d\d:\d\d UTC", banner.text)
            assert "grayscale(1)" in browser.run("return getComputedStyle(document.querySelector('main')).filter")
            assert browser.run("return getComputedStyle(document.querySelector('.lamp')).backgroundColor") in _NOT_GREEN
            assert browser.violations(["color-contrast"]) == []
            browser.open("about:blank")
            browser.faults()  # the connection was refused
            browser.requested()

    def test_the_page_says_when_bley_answers_again(self, browser: Browser, tmp_path: Path) -> None:
        port = free_port()
        with Bley(tmp_path, web_listen=f"127.0.0.1:{port}") as bley:
            own = Site(bley)
            browser.open(own.url("/"))
            browser.find("#live").click()  # also with the refresh turned off
            bley.stop()
            browser.wait(lambda: bool(browser.find("#gone").text))
            assert browser.find("#live").text == "No answer"
            bley.start()
            browser.wait(lambda: not browser.find("#gone").text)
            assert browser.find("#live").text == "Live"
            assert not browser.all(".gone")
            browser.find("#live").click()
            browser.open("about:blank")
            browser.faults()
            browser.requested()

    def test_a_decision_follows_its_mail(self, browser: Browser, tmp_path: Path) -> None:
        with Bley(tmp_path, web_listen="127.0.0.1:0", greylist_period="1s") as bley:
            own = Site(bley)
            deferred = [request for request in sessions() if request.client_name == "unknown"][:1]
            ask(bley.port, deferred)
            wait_until(lambda: own.fetch("/decision/1.json")[0] == 200, "the decision is stored")
            browser.open(own.url("/decision/1"))
            assert "passed on a retry" not in browser.find("#verdict").text
            wait_until(lambda: b"PREPEND" in answer(bley.port, deferred[0]), "the wait is over")
            browser.wait(lambda: "passed on a retry" in browser.find("#verdict").text)
            browser.open("about:blank")
            browser.requested()
