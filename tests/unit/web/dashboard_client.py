"""A client of the dashboard's handlers, without a server, on a history of the test."""

from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from bley.checks.lists.report import ListReport
from bley.core.history.search import StoredDecision
from bley.core.mail import Triplet
from bley.settings.file import load
from bley.web.actions import Actions
from bley.web.dashboard_data import DashboardData
from bley.web.downloads import Downloads
from bley.web.pages import Pages
from tests.fakes import NOON, FakeBley, FakeClock, FakeHistory

TRIPLET = Triplet("192.0.2.0/24", "a@example.com", "b@example.org")
VOID = frozenset({"meta", "link", "input", "br", "wbr"})


def decision(number: str = "1", **changes: Any) -> StoredDecision:
    """Return a deferral because of its HELO name, with evidence."""
    findings = {
        "helo": {"score": 2, "detail": "friend is not the client's name, which is unknown"},
        "dnsbl": {
            "score": 0,
            "lists": [{"list": "bl.example", "is": "bl.example does not list it", "says": "", "weight": 0}],
        },
    }
    stored = StoredDecision(
        number=number,
        at=NOON,
        outcome="greylist",
        reason="helo",
        client_address="192.0.2.1",
        client_name="unknown",
        helo_name="friend",
        sender=TRIPLET.sender,
        recipient=TRIPLET.recipient,
        instance="1.2.0",
        queue_id="4X",
        details={"triplet": list(TRIPLET), "standing": "new", "findings": findings, "wait_seconds": 300.0},
    )
    return stored._replace(**changes)


class DashboardClient:
    """Requests pages and downloads of a DashboardData."""

    def __init__(self, history: FakeHistory, lists: Sequence[ListReport] = ()) -> None:
        self.history, self.bley, self.connections = history, FakeBley(), 0
        self.bley.state = self.bley.state._replace(lists=list(lists))
        self.data = DashboardData(self.bley, FakeClock(), self._open)
        self.data.reconfigure(load())

    def _open(self, _: object) -> FakeHistory:
        self.connections += 1
        return self.history

    def _application(self) -> web.Application:
        application = web.Application()
        application.add_routes([*Pages(self.data, Actions(self.data)).routes(), *Downloads(self.data).routes()])
        return application

    async def stream(self, path: str) -> str:
        """Return the text of a streamed response, from a server."""
        async with TestClient(TestServer(self._application())) as http, http.get(path) as answer:
            assert answer.status == 200
            return await answer.text()

    async def get(self, path: str) -> web.Response:
        """Return the response of a handler; its exceptions are raised."""
        application = self._application()
        request = make_mocked_request("GET", path)
        match = await application.router.resolve(request)
        request._match_info = match
        match.add_app(application)
        answer = await match.handler(request)
        assert isinstance(answer, web.Response)
        return answer

    async def page(self, path: str) -> "Page":
        """Return the page, parsed."""
        return Page((await self.get(path)).text or "")


class Page(HTMLParser):
    """A parsed page; its tags must be closed in the reverse order of their opening."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = set[str](), set[str](), ""
        self.links = list[str]()
        self._open = list[str]()
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
