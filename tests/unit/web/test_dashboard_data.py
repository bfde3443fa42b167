"""The data of the pages."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import pytest

from bley.core.errors import StoreError
from bley.core.greylist import Record, Status
from bley.core.history.delayed_mail import DomainMail
from bley.core.history.domain_counts import DAY_SECONDS
from bley.core.history.nodes import NODE_PASSED
from bley.core.history.outcome import OutcomeKind
from bley.core.history.periods import PERIODS, ComparedCounts, Period
from bley.core.history.silence import Silence
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.web.dashboard_data import OverviewData
from bley.web.decision_search import read_decision_search
from bley.web.silences import SilenceWatch
from tests.fakes import NOON, FakeHistory
from tests.unit.web.dashboard_client import TRIPLET, DashboardClient, decision

pytestmark = pytest.mark.leaps

DAY = PERIODS["24h"]


class CountingHistory(FakeHistory):
    """Counts queries: those of the period, of the pauses, of the hours of the nodes, and of the sums of domains."""

    queries = pauses = hours_of_nodes = sums = 0
    is_closed = False

    async def counts(self, period: Period, now: datetime, kinds: Collection[str] = ()) -> Mapping[Count, int]:
        self.pauses += not kinds
        self.hours_of_nodes += bool(kinds)
        return {}

    async def compared_counts(self, period: Period, now: datetime) -> ComparedCounts:
        self.queries += 1
        await asyncio.sleep(0.01)
        return ComparedCounts({})

    async def domain_mail(self, names: Collection[str], since: datetime, until: datetime) -> Mapping[str, DomainMail]:
        self.sums += 1
        return await super().domain_mail(names, since, until)

    async def close(self) -> None:
        self.is_closed = True


async def test_the_store_is_connected_at_the_first_request() -> None:
    client = DashboardClient(FakeHistory())
    assert client.connections == 0
    await client.data.overview(DAY)
    assert client.connections == 1
    await client.data.close()


async def test_concurrent_requests_share_a_query() -> None:
    history = CountingHistory([decision()])
    data = DashboardClient(history).data
    first, second = await asyncio.gather(data.overview(DAY), data.overview(DAY))
    assert first is second
    assert await data.overview(DAY) is first
    assert history.queries == 1
    await data.overview(PERIODS["1h"])
    assert history.queries == 2
    await data.close()


@pytest.mark.parametrize(("hours", "queries"), [(0, 0), (1.9, 0), (2, 1)])
async def test_the_usual_pauses_are_read_only_in_a_silence(hours: float, queries: int) -> None:
    history = CountingHistory([decision(at=NOON - timedelta(hours=hours))])
    await DashboardClient(history).data.overview(DAY)
    assert history.pauses == queries


async def test_the_hours_of_the_nodes_are_read_every_five_minutes() -> None:
    history, now = CountingHistory([decision()]), NOON
    watch = SilenceWatch()
    for minutes, queries in ((0, 1), (4.9, 1), (5, 2), (9.9, 2), (-30, 3)):
        await watch.find(history, [decision(at=now + timedelta(minutes=minutes))], now + timedelta(minutes=minutes))
        assert history.hours_of_nodes == queries, minutes


async def test_the_silence_of_one_node_ends_with_its_next_request() -> None:
    """It has usually requests every hour, and so does the other node, which goes on."""
    hours = [int(NOON.timestamp()) - 3600 * ago for ago in range(1, 100)]
    counts = {Count(3600, start, NODE_PASSED, "mx1"): 1 for start in hours}
    counts |= {Count(3600, start, NODE_PASSED, "mx2"): 1 for start in hours[5:]}
    history, watch = FakeHistory(counts=counts), SilenceWatch()
    latest = [decision(node="mx1")]
    (silence,) = await watch.find(history, latest, NOON)
    assert (silence.node, silence.length) == ("mx2", timedelta(hours=5))
    assert await watch.find(history, [*latest, decision(node="mx2", at=NOON - timedelta(hours=1))], NOON) == []
    overview = await DashboardClient(FakeHistory(latest, counts=counts)).data.overview(DAY)
    assert isinstance(overview, OverviewData)
    assert (overview.silences, overview.has_requests) == ([silence], True)


async def test_an_operators_release_is_no_request() -> None:
    history = FakeHistory([decision("2", reason="released", outcome="pass")])
    found = await DashboardClient(history).data.overview(DAY)
    assert isinstance(found, OverviewData)
    assert found.silences == [Silence(None)]


def _of_day(kind: str, name: str) -> Count:
    return Count(DAY_SECONDS, int(NOON.timestamp()) // DAY_SECONDS * DAY_SECONDS, kind, name)


async def test_the_triplets_that_wait_are_those_suspected_to_do_so_wrongly() -> None:
    """They were retried, or mail of their sender's domain passed."""
    senders = {"retried@x.example": 1, "new@x.example": 0, "again@mail.shop.example": 0, "": 0}
    records = {
        Triplet("192.0.2.0/24", sender, "b@example.org"): Record(Status.GREYLISTED, NOON, NOON, attempts)
        for sender, attempts in senders.items()
    }
    counts = {
        _of_day("from-pass", "shop.example"): 5,
        _of_day("from-pass", "<>"): 5,
        _of_day("from-helo", "x.example"): 5,
    }
    found = await DashboardClient(FakeHistory(records=records, counts=counts)).data.overview(DAY)
    assert isinstance(found, OverviewData)
    assert found.waiting.number == 4
    assert [triplet.sender for triplet, _ in found.waiting.records] == ["retried@x.example", "again@mail.shop.example"]
    assert found.delayed.mail["shop.example"].passed == 5


async def test_what_is_known_of_domains_is_read_once_a_minute() -> None:
    history = CountingHistory(counts={_of_day("from-delay-300", "shop.example"): 2})
    data = DashboardClient(history).data
    for seconds, queries in ((0, 1), (30, 1), (31, 2)):
        await asyncio.sleep(seconds)
        found = await data.overview(DAY)
        assert isinstance(found, OverviewData)
        assert [each.name for each in found.delayed.most.domains] == ["shop.example"]
        assert history.sums == queries
    await data.close()


async def test_a_cancelled_request_does_not_cancel_the_others() -> None:
    data = DashboardClient(CountingHistory()).data
    one, other = asyncio.create_task(data.overview(DAY)), asyncio.create_task(data.overview(DAY))
    await asyncio.sleep(0)
    one.cancel()
    assert isinstance(await other, OverviewData)
    await data.close()


async def test_an_unavailable_store_is_a_result_of_the_overview() -> None:
    history = FakeHistory()
    history.error = "disk I/O error"
    data = DashboardClient(history).data
    assert str(await data.overview(DAY)) == "disk I/O error"
    with pytest.raises(StoreError):
        await data.search(read_decision_search({}))


async def test_close_disconnects_from_the_store() -> None:
    history = CountingHistory()
    data = DashboardClient(history).data
    await data.overview(DAY)
    await data.close()
    assert history.is_closed


async def test_records_are_searched_only_for_the_first_page_and_on_demand() -> None:
    data = DashboardClient(
        FakeHistory([decision("2"), decision("1")], {TRIPLET: Record(Status.CLEAN, NOON, NOON)})
    ).data
    wanted = {"q": "example.com", "records": "1"}
    assert len((await data.search(read_decision_search(wanted))).records) == 1
    assert (await data.search(read_decision_search({"q": "example.com"}))).records == []
    assert (await data.search(read_decision_search({**wanted, "before": "2"}))).records == []
    assert (await data.search(read_decision_search({"records": "1"}))).records == []


async def test_a_decision_has_the_story_of_its_mail() -> None:
    """With the triplets of its records."""
    data = DashboardClient(FakeHistory([decision()], {TRIPLET: Record(Status.GREYLISTED, NOON, NOON)})).data
    story, stored_under = await data.story(decision())
    assert story.outcome is not None
    assert story.outcome.kind is OutcomeKind.WAITING
    assert stored_under == [TRIPLET]
