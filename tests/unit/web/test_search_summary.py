"""The summary on the page of a search."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bley.core.history.domain_counts import DAY_SECONDS
from bley.core.history.statistics import Count
from tests.fakes import NOON, FakeHistory
from tests.unit.web.dashboard_client import DashboardClient, decision


def _text(text: str) -> str:
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


async def test_decisions_of_several_nodes() -> None:
    decisions = [decision(str(number), node=f"mx{number % 2}") for number in (4, 3, 2, 1)]
    page = await DashboardClient(FakeHistory(decisions)).page("/search?q=example.org")
    text = _text(page.text)
    assert "All 4 requests that match, since 2026-11-23 12:00:00 UTC." in text
    assert "mx0" in text
    assert "/search?q=example.org&node=mx1" in page.links
    assert "/search?q=example.org&reason=helo" in page.links


async def test_of_many_the_newest_are_summed_up() -> None:
    decisions = [decision(str(number)) for number in range(1200, 0, -1)]
    page = await DashboardClient(FakeHistory(decisions)).page("/search?q=example.org")
    assert "The newest 1\u202f000 requests that match" in page.text
    assert "/search?q=example.org&before=1151" in page.links


async def test_a_domain_has_its_counts_of_a_year() -> None:
    today = int(NOON.timestamp()) // DAY_SECONDS * DAY_SECONDS
    counts = {
        Count(DAY_SECONDS, today - 300 * DAY_SECONDS, "to-pass", "example.org"): 7,
        Count(DAY_SECONDS, today, "to-helo", "example.org"): 2,
        Count(DAY_SECONDS, today - DAY_SECONDS, "to-cut", "*"): 9,
    }
    page = await DashboardClient(FakeHistory([decision()], counts=counts)).page("/search?q=example.org")
    text = _text(page.text)
    assert "Counted by day (UTC) for example.org" in text
    assert "on 1 of these days it may have had some mail to it that is not counted" in text
    assert "Mail to example.org 9 7 2 0 0" in text


async def test_the_nodes_of_a_domain_are_those_of_its_decisions() -> None:
    """The counts of a day have no node, so the figures of the nodes stand apart."""
    today = int(NOON.timestamp()) // DAY_SECONDS * DAY_SECONDS
    counts = {Count(DAY_SECONDS, today, "to-pass", "example.org"): 9}
    decisions = [decision(str(number), node=f"mx{number % 2}") for number in (2, 1)]
    text = _text((await DashboardClient(FakeHistory(decisions, counts=counts)).page("/search?q=example.org")).text)
    assert "Mail to example.org 9 9 0 0 0" in text
    by_node = text[text.index("By node") :]
    assert "All 2 requests that match, since 2026-11-23 12:00:00 UTC." in by_node
    assert "mx0 1" in by_node


@pytest.mark.parametrize(("query", "days"), [("range=28d", 29), ("since=2026-11-03&until=2026-11-13", 10), ("", 301)])
async def test_the_chart_of_a_domain_has_the_days_that_were_asked_for(query: str, days: int) -> None:
    today = int(NOON.timestamp()) // DAY_SECONDS * DAY_SECONDS
    counts = {Count(DAY_SECONDS, today - ago * DAY_SECONDS, "to-pass", "example.org"): 1 for ago in (0, 15, 300)}
    page = await DashboardClient(FakeHistory([decision()], counts=counts)).page(f"/search?q=example.org&{query}")
    assert len([link for link in page.links if "T00%3A00" in link]) == days


async def test_decisions_of_more_than_four_weeks_have_a_bar_for_each_day() -> None:
    """A month is the default of log_days."""
    decisions = [decision("2"), decision("1", at=NOON - timedelta(days=29))]
    page = await DashboardClient(FakeHistory(decisions)).page("/search?q=a@example.com")
    assert len([link for link in page.links if "T00%3A00" in link]) == 30


async def test_in_mode_observe_nothing_was_deferred() -> None:
    site = DashboardClient(FakeHistory([decision(outcome="would-defer")]))
    settings = site.data.configuration.settings.model_copy(update={"mode": "observe"})
    site.data.reconfigure(replace(site.data.configuration, settings=settings))
    text = _text((await site.page("/search?q=example.org")).text)
    assert "Would be deferred" in text
    assert "Came back" not in text
    assert "delay" not in text


async def test_nothing_found_has_no_summary() -> None:
    page = await DashboardClient(FakeHistory()).page("/search?q=example.org")
    assert "Summary" not in page.text
