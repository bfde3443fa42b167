"""The dashboard in a real browser, of a real bley with requests of real sessions."""

import csv
import http.client
import io
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from tests.integration.browser import Browser
from tests.integration.dashboard.site import Site, ask, overflow, sessions
from tests.integration.database_server import wait_until
from tests.integration.postfix import Postfix
from tests.integration.running_bley import WAIT_SECONDS, Bley

BERLIN = ZoneInfo("Europe/Berlin")
_TIMES = "return [...document.querySelectorAll('main time')].map(t => [t.dateTime, t.textContent, t.title])"


def _in_berlin(iso: str, shown: str) -> str:
    """Return the instant as the page should show it; a text with a zone has that of the instant."""
    at = datetime.fromisoformat(iso).astimezone(BERLIN)
    zone = f" GMT+{1 if at.tzname() == 'CET' else 2}" if "GMT" in shown else ""
    return f"{at:%Y-%m-%d %H:%M:%S}{zone}"


class TestClickingThrough:
    def test_the_overview_answers_each_question(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/"))
        assert [title.text for title in browser.all("h2")] == [
            "Is bley well?",
            "What does it do?",
            "Is it worth it?",
            "Requests and reasons",
            "Delayed mail",
            "Which mail is waiting?",
            "The latest decisions",
        ]
        assert browser.find(".sentence").text == "bley is well: store and resolver answer."
        work, worth = (each.text for each in browser.all("#summary .gist"))
        assert work.startswith("350 requests: ")
        assert re.search(r"\d+ of \d+ deferred mails .* did not come back; \d+ of them still may", worth)
        figures = dict(
            zip([e.text for e in browser.all("#now dt")], [e.text for e in browser.all("#now dd")], strict=True)
        )
        numbers = {name: int(text) for name, text in figures.items()}
        assert numbers["Requests"] == 350
        assert numbers["Requests"] == sum(number for name, number in numbers.items() if name != "Requests")
        assert numbers["Deferred"] > 50
        assert browser.all("#waiting tbody tr")
        assert len(browser.all("#latest tbody tr")) == 12

    @pytest.mark.parametrize("size", [(1280, 800), (360, 740)])
    def test_the_first_screen_answers_whether_it_is_well_and_worth_it(
        self, browser: Browser, site: Site, size: tuple[int, int]
    ) -> None:
        browser.resize(*size)
        browser.open(site.url("/"))
        for answer in (browser.find(".sentence"), *browser.all("#summary .gist")):
            assert answer.rect["y"] + answer.rect["height"] <= size[1]
        assert not browser.find("#health-parts .parts").is_displayed()

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
        browser.wait(lambda: browser.find("h1").text == f"Decisions matching {wanted.client_address}")
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

    def test_a_mark_on_the_chart_leads_to_the_settings_that_changed(self, browser: Browser, site: Site) -> None:
        """In words, too: in the list below the chart, and at its slot in the table of figures."""
        browser.open(site.url("/?range=1h"))
        browser.wait(lambda: "reload on mx2" in browser.source)
        link = browser.all("#now .change[href]")[-1].get_dom_attribute("href") or ""
        row = browser.find(f"#{link.partition('#')[2]}")
        assert "node_name: from mx1 to mx2" in row.text
        browser.find("#slots-figures summary").click()
        assert any("on mx1" in each.text for each in browser.all("#slots-figures tbody th"))

    def test_nodes_are_compared_and_lead_to_their_decisions(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/?range=1h"))
        browser.link("mx2").click()
        assert browser.url == site.url("/search?node=mx2&range=1h")
        assert "node mx2" in browser.find(".chips").text
        browser.find("tbody th a").click()
        assert "mx2" in browser.find("#request").text
        browser.open(site.url("/search"))
        assert "any node" not in browser.source


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


class TestTimes:
    @pytest.fixture(autouse=True)
    def berlin(self, browser: Browser) -> Iterator[None]:
        """Show the pages in the zone of Berlin."""
        browser.move_to("Europe/Berlin")
        yield
        browser.run("try { localStorage.removeItem('zone') } catch {}")
        browser.move_to("")

    @pytest.mark.parametrize("path", ["/", "/?range=365d", "/search?q=.ca", "/decision/310", "/nothing"])
    def test_they_are_in_the_zone_of_the_reader_and_in_utc_by_one_button(
        self, browser: Browser, site: Site, path: str
    ) -> None:
        """Each has UTC in its title; the button is remembered on all pages."""
        browser.open(site.url(path))
        local = browser.run(_TIMES)
        assert all(shown == _in_berlin(iso, shown) for iso, shown, _ in local)
        assert all(title == f"{iso[:10]} {iso[11:19]} UTC" for iso, _, title in local)
        assert "Europe/Berlin" in browser.find(".foot").text
        browser.resize(320, 740)
        assert overflow(browser) == 0
        browser.find("#zone").click()
        for _ in range(2):
            utc = browser.run(_TIMES)
            assert len(utc) == len(local)
            assert all(shown.removesuffix(" UTC") == f"{iso[:10]} {iso[11:19]}" for iso, shown, _ in utc)
            assert "All times are UTC." in browser.find(".foot").text
            assert browser.find("#zone").get_attribute("aria-pressed") == "true"
            browser.open(site.url(path))
        browser.find("#zone").click()
        again = browser.run(_TIMES)  # the summary of a search may begin at another decision than before
        assert all(shown == _in_berlin(iso, shown) for iso, shown, _ in again)
        browser.faults()  # /nothing is status 404

    def test_axes_and_tooltips_too_but_links_and_downloads_stay_in_utc(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/?range=1h"))
        slots = browser.run(
            "return [...document.querySelectorAll('a.slot')].map(a => [a.getAttribute('href'), a.textContent])"
        )
        for href, words in slots:
            since = datetime.fromisoformat(parse_qs(urlsplit(href).query)["since"][0])
            assert words.strip().startswith(f"{since.astimezone(BERLIN):%Y-%m-%d %H:%M} to ")
            assert words.strip().splitlines()[0].endswith((" GMT+1", " GMT+2", " CET", " CEST"))
        labels = browser.run(
            "return [...document.querySelectorAll('[data-at]')].map(e => [e.dataset.at, e.textContent])"
        )
        assert labels
        assert all(f"{datetime.fromisoformat(at).astimezone(BERLIN):%H:%M}" == text for at, text in labels)
        assert browser.find("figcaption").text.endswith("local time")
        rows = json.loads(site.fetch("/overview/slots.json?range=1h")[1])
        assert all(row["from"].endswith("Z") for row in rows)

    def test_a_slot_in_which_summer_time_begins_or_ends_names_both_zones(self, browser: Browser, site: Site) -> None:
        browser.open(site.url("/?range=365d"))
        titles = browser.run("return [...document.querySelectorAll('a.slot title')].map(e => e.textContent)")
        changes = [each for each in titles if re.match(r"[\d-]+ [\d:]+ \S+ to [\d-]+ [\d:]+ \S+\n", each)]
        assert len(changes) in {1, 2}  # one is before the first slot on the day of its anniversary

    def test_a_refresh_keeps_the_zone(self, browser: Browser, tmp_path: Path) -> None:
        with Bley(tmp_path, web_listen="127.0.0.1:0") as bley, browser.hurrying(25):
            own = Site(bley)
            browser.open(own.url("/"))
            ask(bley.port, sessions()[:2])
            browser.wait(lambda: len(browser.all("#latest tbody tr")) == 2)
            times = browser.run(_TIMES)
            assert len(times) >= 2
            assert all(shown == _in_berlin(iso, shown) for iso, shown, _ in times)
            browser.open("about:blank")
            browser.requested()

    def test_without_javascript_they_are_in_utc(self, browser: Browser, site: Site) -> None:
        browser.disable_scripts(disabled=True)
        browser.open(site.url("/search"))
        time = browser.find("tbody time")
        at = time.get_attribute("datetime") or ""
        assert time.text == f"{at[:10]} {at[11:19]}"
        assert not browser.find("#zone").is_displayed()
        browser.disable_scripts(disabled=False)

    def test_a_reader_in_utc_has_no_button(self, browser: Browser, site: Site) -> None:
        browser.move_to("UTC")
        browser.open(site.url("/"))
        assert not browser.find("#zone").is_displayed()


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
        shown = [row.text.split() for row in browser.all("#now .causes tbody tr")]
        told = json.loads(site.fetch("/overview/deferred.json")[1])
        assert [row["reason"] for row in told] == [words[0] for words in shown][: len(told)]
