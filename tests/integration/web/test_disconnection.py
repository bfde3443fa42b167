"""A query to the store ends when its client disconnects, and does not delay a stop."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NoReturn

import pytest

from bley.core.greylist import Record
from bley.core.history.periods import Period
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.ports import utc_now
from bley.web.dashboard_data import DashboardData
from tests.fakes import FakeHistory
from tests.integration.web.site import Site

WAIT_SECONDS = 10.0


class EndlessHistory(FakeHistory):
    """Its searches never end."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.ended = asyncio.Event(), asyncio.Event()

    async def decisions(
        self, query: DecisionQuery, limit: int, before: str = "", enough: int | None = None
    ) -> Sequence[StoredDecision]:
        return await self._search_forever()

    async def decision(self, number: str) -> StoredDecision | None:
        return await self._search_forever()

    async def counts(self, period: Period, now: datetime, kinds: Collection[str] = ()) -> Mapping[Count, int]:
        return await self._search_forever()

    async def records(
        self, query: RecordQuery, limit: int, seconds: float | None = None
    ) -> Sequence[tuple[Triplet, Record]]:
        return await self._search_forever()

    async def _search_forever(self) -> NoReturn:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError("unreachable")


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> EndlessHistory:
    history = EndlessHistory()
    monkeypatch.setattr(DashboardData.__init__, "__defaults__", (utc_now, lambda _: history))
    return history


async def _ask(site: Site, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = site.web.place.removeprefix("http://").rstrip("/").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return reader, writer


@pytest.mark.parametrize(
    "path",
    ["/search?q=::1", "/search.csv?q=::1", "/search/records.json?q=::1", "/", "/decision/1", "/overview/slots.csv"],
)
async def test_a_search_ends_when_its_client_disconnects(history: EndlessHistory, site: Site, path: str) -> None:
    _, writer = await _ask(site, path)
    async with asyncio.timeout(WAIT_SECONDS):
        await history.started.wait()
        writer.close()
        await history.ended.wait()
        await writer.wait_closed()


@pytest.mark.parametrize("path", ["/search?q=::1", "/"])
async def test_a_stop_does_not_wait_for_a_search(history: EndlessHistory, site: Site, path: str) -> None:
    """The client still gets a response."""
    reader, writer = await _ask(site, path)
    async with asyncio.timeout(WAIT_SECONDS):
        await history.started.wait()
        await site.web.close()
        assert history.ended.is_set()
        assert (await reader.readline()).startswith((b"HTTP/1.1 503", b"HTTP/1.1 200"))
        writer.close()
        with contextlib.suppress(OSError):  # bley has closed it
            await writer.wait_closed()
