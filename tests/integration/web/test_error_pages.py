"""Errors have the words of bley: what failed, what to do, and a link back."""

import base64
import logging
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bley.core.errors import StoreError
from bley.ports import utc_now
from bley.settings.file import load
from bley.settings.web_password import hash_password
from bley.web.dashboard_data import DashboardData
from tests.fakes import FakeHistory
from tests.integration.web.site import Answer, Site

BROWSER = {"Accept": "text/html,*/*"}


class _FailingHistory(FakeHistory):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._raised = error

    def _fail_if_wanted(self) -> None:
        raise self._raised


def _check(answer: Answer, status: int, *words: str) -> None:
    assert answer.status == status
    assert answer.type.startswith("text/html")
    text = re.sub(r"\s+", " ", answer.text)
    HTMLParser().feed(text)
    title = re.search(r"<title>([^<]*)", text)
    assert title
    assert "bley" in title[1]
    assert str(status) not in title[1]
    assert '<a href="/">' in text
    for each in words:
        assert each in text, each


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nothing", 404, ("bley has no such page", "Correct the address")),
        ("/decision/99", 404, ("There is no such decision, or it was removed after log_days.",)),
        ("/?range=2h", 400, ("bley does not understand this address", "There is no range", "use one of 1h")),
        ("/search?since=%3Cb%3E", 400, ("Since is not a time", "&lt;b&gt;")),
    ],
)
async def test_a_wrong_address(
    site: Site, monkeypatch: pytest.MonkeyPatch, path: str, status: int, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(DashboardData.__init__, "__defaults__", (utc_now, lambda _: FakeHistory()))
    answer = await site.get(path, **BROWSER)
    _check(answer, status, *words)
    assert "/static/style.css" in answer.text


async def test_a_store_that_is_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    history = _FailingHistory(StoreError("/var/lib/bley/bley.db: disk I/O error"))
    monkeypatch.setattr(DashboardData.__init__, "__defaults__", (utc_now, lambda _: history))
    answer = await site.get("/search", **BROWSER)
    _check(answer, 503, "The store of bley is unavailable", "disk I/O error", "Mail is still answered")


async def test_a_defect_is_logged_with_its_traceback(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    history = _FailingHistory(ZeroDivisionError("secret"))
    monkeypatch.setattr(DashboardData.__init__, "__defaults__", (utc_now, lambda _: history))
    with caplog.at_level(logging.ERROR):
        answer = await site.get("/search", **BROWSER)
    _check(answer, 500, "bley has a defect", "Its log has the details")
    assert "secret" not in answer.text
    assert any(record.exc_info and "/search" in record.getMessage() for record in caplog.records)


async def test_a_wrong_method_names_the_right_ones(site: Site) -> None:
    answer = await site.get("/", method="POST", **BROWSER)
    _check(answer, 405, "can only be read", "Use GET or HEAD.")
    assert "/static" not in answer.text


async def test_a_wrong_host(site: Site) -> None:
    answer = await site.get("/", host="evil.example", **BROWSER)
    _check(answer, 403, "bley refuses this request", "Use the address of web_listen, localhost, or a name in web_hosts")
    assert "/static" not in answer.text


class TestPassword:
    @pytest.fixture(autouse=True)
    def password(self, site: Site) -> None:
        """Require a password."""
        site.web.prepare(replace(load(), web_password=hash_password("right"))).commit()

    async def test_its_refusal_says_what_to_do(self, site: Site) -> None:
        """The page appears when the user cancels the browser's dialog."""
        answer = await site.get("/", **BROWSER)
        _check(answer, 401, "The dashboard of bley requires its password", "Reload the page", "bley web-password FILE")
        assert "/static" not in answer.text  # the style sheet is refused too

    async def test_an_unknown_page_is_refused_alike(self, site: Site) -> None:
        assert (await site.get("/nothing", **BROWSER)).text == (await site.get("/", **BROWSER)).text

    async def test_the_dialog_still_appears(self, site: Site) -> None:
        assert (await site.get("/")).text == "password required\n"

    async def test_with_the_password_an_error_has_the_head_of_the_dashboard(self, site: Site) -> None:
        authorization = "Basic " + base64.b64encode(b"jane:right").decode()
        answer = await site.get("/nothing", Authorization=authorization, **BROWSER)
        _check(answer, 404, "bley has no such page", "/static/style.css")
