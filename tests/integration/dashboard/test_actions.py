"""Each action in a real browser, after which a real Postfix delivers; by keyboard, on phones, without JavaScript."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.integration.browser import Browser
from tests.integration.dashboard.site import Site, overflow
from tests.integration.database_server import wait_until
from tests.integration.postfix import Postfix
from tests.integration.running_bley import Bley
from tests.integration.web.action_client import Operator
from tests.integration.web.test_actions import acting_bley

DEFERRED, ACCEPTED = 450, 250
CLIENT = "198.51.100.7"

_CLICK = "[...document.querySelectorAll('#actions a')].find(a => a.textContent.startsWith(arguments[0])).click()"
"""One script, since a refresh replaces the links."""


class Mailer:
    """A bley with a Postfix, and the page of the last decision in a browser."""

    def __init__(self, bley: Bley, postfix: Postfix, browser: Browser) -> None:
        self.bley, self.browser = bley, browser
        self._postfix, self._site, self._operator = postfix, Site(bley), Operator(bley)

    def url(self, path: str) -> str:
        return self._site.url(path)

    def log_in(self) -> None:
        self.browser.open(f"http://jane:{quote('correct horse')}@{self._site.place}/search")

    def send(self, sender: str, recipient: str = "b@example.org", client: str = CLIENT) -> int:
        """Send a mail; return the code of the reply to RCPT."""
        with self._postfix.session(client_address=client, helo_name="friend") as smtp:
            [reply] = smtp.send(sender, [recipient])
        return reply.code

    def delivered(self) -> int:
        return len(self._postfix.delivered())

    def wait_delivered(self, number: int) -> None:
        self._postfix.wait_delivered(number)

    def open_decision(self, sender: str) -> None:
        """Open the page of the newest decision about this sender, once it is stored."""
        query = f"?q={quote(sender)}"
        wait_until(lambda: sender in self._operator.get(f"/search.json{query}").text, "it is stored")
        self.browser.open(self.url(f"/search{query}"))
        self.browser.find("tbody th a").click()

    def confirm(self, words: str) -> str:
        """Choose the action whose link begins with these words, and confirm it; return the notice."""
        self.browser.run(_CLICK, words)
        self.browser.wait(lambda: bool(self.browser.all("form.act button")))
        self.browser.find("form.act button").click()
        return self.notice()

    def notice(self) -> str:
        """Return the notice of what was done, as soon as the page that shows it is loaded."""
        self.browser.wait(lambda: bool(self.browser.all(".done")))
        return self.browser.find(".done").text


@pytest.fixture(scope="module")
def mailer(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailer]:
    with acting_bley(tmp_path_factory.mktemp("acting")) as bley, Postfix(f"inet:127.0.0.1:{bley.port}") as postfix:
        mailer = Mailer(bley, postfix, chromium)
        chromium.resize(1280, 800)
        chromium.prefer(color_scheme="light", reduced_motion="no-preference")
        mailer.log_in()
        yield mailer
        chromium.open("about:blank")


@pytest.mark.parametrize(
    ("action", "sender", "recipient", "client", "notice"),
    [
        ("Let it pass now", "a@one.example", "b@example.org", CLIENT, "Done: 1 record passes at the next attempt."),
        ("Never delay this sender", "a@two.example", "b@example.org", CLIENT, "Done: a@two.example: sender is exempt"),
        ("Never delay the sender's domain", "a@three.example", "b@example.org", CLIENT, "Done: three.example: sender"),
        ("Never delay this recipient", "a@four.example", "c@example.org", CLIENT, "Done: c@example.org: recipient is"),
        ("Never delay this client", "a@five.example", "b@example.org", "203.0.113.5", "Done: 203.0.113.5: client is"),
    ],
)
def test_after_an_action_postfix_delivers(
    mailer: Mailer, action: str, sender: str, recipient: str, client: str, notice: str
) -> None:
    """The first mail after the exemption passes, also of a new triplet."""
    assert mailer.send(sender, recipient, client) == DEFERRED
    mailer.open_decision(sender)
    number = mailer.delivered()
    assert mailer.confirm(action).startswith(notice)
    assert mailer.send(sender, recipient, client) == ACCEPTED
    mailer.wait_delivered(number + 1)


def test_forgotten_mail_waits_again(mailer: Mailer) -> None:
    sender = "a@six.example"
    assert mailer.send(sender) == DEFERRED
    mailer.open_decision(sender)
    assert mailer.confirm("Let it pass").startswith("Done")
    assert mailer.send(sender) == ACCEPTED
    mailer.open_decision(sender)
    assert mailer.confirm("Forget this mail").startswith("Done: 1 record forgotten")
    # bley takes the deletion from the store within 20 seconds.
    wait_until(lambda: mailer.send(sender) == DEFERRED, "it waits again")


def test_the_keyboard_is_enough(mailer: Mailer) -> None:
    """Tab to the link, Enter; Tab to the button, Enter."""
    browser, sender = mailer.browser, "a@seven.example"
    assert mailer.send(sender) == DEFERRED
    mailer.open_decision(sender)
    for wanted in ("Let it pass now", "Let 1 record pass"):
        browser.find("body").click()
        for _ in range(60):
            if browser.press_tab().accessible_name == wanted:
                break
        browser.type(Keys.ENTER)
    assert mailer.notice() == "Done: 1 record passes at the next attempt."
    assert mailer.send(sender) == ACCEPTED


def test_it_works_without_javascript(mailer: Mailer) -> None:
    browser, sender = mailer.browser, "a@eight.example"
    assert mailer.send(sender) == DEFERRED
    browser.disable_scripts(disabled=True)
    try:
        mailer.open_decision(sender)
        browser.find("#actions").find_element(By.PARTIAL_LINK_TEXT, "the sender's domain").click()
        browser.find("#comment").send_keys("call of Jane")
        browser.find("#until option[value='30']").click()
        browser.find("form.act button").click()
        assert "eight.example: sender is exempt until 20" in mailer.notice()
    finally:
        browser.disable_scripts(disabled=False)
    assert "call of Jane" in mailer.bley.file.with_name("whitelist_senders.local").read_text()
    assert mailer.send(sender) == ACCEPTED


def test_every_page_of_an_action_is_accessible_and_narrow(mailer: Mailer) -> None:
    """axe finds nothing in both color schemes, and no page is wider than a phone."""
    browser, sender = mailer.browser, f"{'a' * 60}@{'b' * 60}.nine.example"
    assert mailer.send(sender) == DEFERRED
    mailer.open_decision(sender)
    pages = [browser.url, *browser.run("return [...document.querySelectorAll('#actions a')].map(a => a.href)")]
    assert len(pages) == 7
    pages += [mailer.url("/act/allow?kind=client&entry=x_y"), mailer.url("/search?q=nine.example")]
    found: list[str] = []
    for page in pages:
        browser.resize(360, 780)
        browser.open(page)
        found += [f"{page} is wider than 360 px"] if overflow(browser) else []
        found += browser.violations()
        browser.prefer(color_scheme="dark")
        found += browser.violations(["color-contrast"])
        browser.prefer(color_scheme="light")
    mailer.open_decision(sender)
    mailer.confirm("Let it pass now")
    found += browser.violations()
    found += ["the notice is wider than 360 px"] if overflow(browser) else []
    browser.resize(1280, 800)
    assert found == []
