"""What the pages are made from."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import pytest

from bley.core.errors import StoreError
from bley.core.greylist import Record, Status
from bley.core.history.outcome import OutcomeKind
from bley.core.history.periods import PERIODS, Period
from bley.core.history.statistics import Count
from bley.web.dashboard_data import OverviewData
from bley.web.decision_search import read_decision_search
from tests.fakes import NOON, FakeHistory
from tests.unit.web.dashboard_client import TRIPLET, DashboardClient, decision

pytestmark = pytest.mark.leaps

DAY = PERIODS["24h"]


class CountingHistory(FakeHistory):
    """Counts who asks."""

    asked = 0
    is_closed = False

    async def counts(self, period: Period, now: datetime) -> Mapping[Count, int]:
        self.asked += 1
        await asyncio.sleep(0.01)
        return {}

    async def close(self) -> None:
        self.is_closed = True


async def test_nothing_connects_until_somebody_looks() -> None:
    looking = DashboardClient(FakeHistory())
    assert looking.opened == 0
    await looking.source.overview(DAY)
    assert looking.opened == 1
    await looking.source.close()


async def test_many_who_look_at_the_same_time_cost_as_much_as_one() -> None:
    history = CountingHistory()
    source = DashboardClient(history).source
    first, second = await asyncio.gather(source.overview(DAY), source.overview(DAY))
    assert first is second
    assert await source.overview(DAY) is first
    assert history.asked == 1
    await source.overview(PERIODS["1h"])
    assert history.asked == 2
    await source.close()


async def test_who_goes_away_takes_nobody_s_answer_along() -> None:
    source = DashboardClient(CountingHistory()).source
    one, other = asyncio.create_task(source.overview(DAY)), asyncio.create_task(source.overview(DAY))
    await asyncio.sleep(0)
    one.cancel()
    assert isinstance(await other, OverviewData)
    await source.close()


async def test_a_store_that_is_away_is_an_answer() -> None:
    history = FakeHistory()
    history.error = "disk I/O error"
    source = DashboardClient(history).source
    assert str(await source.overview(DAY)) == "disk I/O error"
    with pytest.raises(StoreError):
        await source.found(read_decision_search({}))


async def test_close_lets_go_of_the_store() -> None:
    history = CountingHistory()
    source = DashboardClient(history).source
    await source.overview(DAY)
    await source.close()
    assert history.is_closed


async def test_records_are_looked_for_only_on_the_first_page_of_a_search() -> None:
    source = DashboardClient(
        FakeHistory([decision("2"), decision("1")], {TRIPLET: Record(Status.CLEAN, NOON, NOON)})
    ).source
    assert len((await source.found(read_decision_search({"q": "example.com"}))).records) == 1
    assert (await source.found(read_decision_search({"q": "example.com", "before": "2"}))).records == []
    assert (await source.found(read_decision_search({}))).records == []


async def test_what_became_of_a_deferral_is_told_and_of_a_pass_there_is_nothing_to_tell() -> None:
    source = DashboardClient(FakeHistory([decision()], {TRIPLET: Record(Status.GREYLISTED, NOON, NOON)})).source
    became = await source.deferral_outcome(decision())
    assert became is not None
    assert became.kind is OutcomeKind.WAITING
    assert await source.deferral_outcome(decision(outcome="pass", reason="known")) is None
