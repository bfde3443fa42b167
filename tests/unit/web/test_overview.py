"""The values that the overview shows."""

from datetime import timedelta

from bley.core.greylist import Record, Status, Timing
from bley.core.history.periods import PERIODS
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.settings.sections import Timings
from bley.store.history import WaitingTriplets
from bley.web.dashboard_data import OverviewData
from bley.web.overview import SERIES, Overview, build_overview
from bley.web.waiting import waiting_rows
from tests.fakes import NOON

SLOT = int(NOON.timestamp())


def overview(counts: dict[tuple[str, str], int]) -> Overview:
    """The overview of a day with these counts in its last slot."""
    counted = {Count(1200, SLOT, kind, name): number for (kind, name), number in counts.items()}
    return build_overview(
        OverviewData(PERIODS["24h"], NOON, counted, WaitingTriplets(0, []), []), Timings(Timing(), [])
    )


def test_a_slot_has_a_number_of_each_series_and_leads_to_its_decisions() -> None:
    day = overview({("pass", "known"): 5, ("pass", "waited"): 2, ("greylist", "helo"): 3, ("greylist", "early"): 1})
    assert len(day.slots) == 72
    last = day.slots[-1]
    assert dict(last.numbers) == dict(zip(SERIES, (5, 2, 3, 1), strict=True))
    assert last.link == "/search?since=2026-11-23T12%3A00%3A00Z&until=2026-11-23T12%3A20%3A00Z"
    assert sum(sum(slot.numbers.values()) for slot in day.slots[:-1]) == 0


def test_a_bar_tells_its_slot() -> None:
    title = overview({("pass", "known"): 5}).slots_chart.bars[-1].title
    assert title == "2026-11-23 12:00 to 12:20 UTC\npassed at once: 5"
    assert overview({}).slots_chart.bars[-1].title.endswith("\nnothing")


def test_words_claim_no_deferral_while_bley_observes() -> None:
    day = overview({("would-defer", "helo"): 3, ("pass", "known"): 1})
    assert day.observes
    assert day.series["deferred"] == "would be deferred"
    assert day.slots_chart.bars[-1].title.endswith("would pass at once: 1\nwould be deferred: 3")
    assert overview({("greylist", "helo"): 1}).series == SERIES


def test_reasons_have_words_a_share_and_their_decisions() -> None:
    (known,) = overview({("pass", "known"): 1}).passed
    assert (known.words, known.share) == ("the triplet passed before", 1.0)
    assert known.link == "/search?reason=known&outcome=pass&range=24h"


def test_deferrals_have_what_became_of_the_mail() -> None:
    """An early retry counts for the reason of the first deferral."""
    (helo, dnsbl) = overview(
        {
            ("greylist", "helo"): 3,
            ("would-defer", "dnsbl"): 1,
            ("greylist", "early"): 2,
            ("early", "helo"): 2,
            ("pass", "waited"): 2,
            ("delay:helo", "300"): 1,
            ("delay:helo", "600"): 1,
        }
    ).deferred
    assert (helo.name, helo.words, helo.link) == ("helo", "the HELO name does not fit", "/search?reason=helo&range=24h")
    assert (helo.figures.deferred, helo.figures.came_back, helo.figures.early_retries) == (3, 2, 2)
    assert (helo.share, helo.delayed_share, helo.median_delay) == (0.75, 1.0, "5\N{NO-BREAK SPACE}min")
    assert (dnsbl.figures.came_back, dnsbl.delayed_share, dnsbl.median_delay) == (0, 0.0, "")


def test_what_was_found_is_measured_by_the_strangers_that_were_judged() -> None:
    counts = {("pass", "known"): 100, ("pass", "clean"): 3, ("greylist", "helo"): 1, ("greylist", "early"): 9}
    (found,) = overview({**counts, ("found", "helo-mismatch"): 1}).found
    assert found.share == 0.25


def test_an_axis_of_delays_has_no_holes() -> None:
    delays = overview({("delay", "300"): 3, ("delay", "longer"): 1}).delays
    assert len(delays) == 12
    assert [each.number for each in delays] == [0, 3, *[0] * 9, 1]
    assert delays[-1].longest_seconds is None


def test_half_may_have_taken_longer_than_can_be_told() -> None:
    assert overview({("delay", "300"): 3}).median_delay == "5\N{NO-BREAK SPACE}min"
    assert overview({("delay", "longer"): 3}).median_delay == "more than 1\N{NO-BREAK SPACE}d"
    assert overview({}).median_delay == ""


def test_those_that_wait_stand_before_those_whose_wait_is_over() -> None:
    over, waiting, clean = (Triplet(name, "a@example.com", "b@example.org") for name in ("over", "waiting", "clean"))
    long_ago = NOON - timedelta(hours=1)
    records = [
        (clean, Record(Status.CLEAN, NOON, NOON)),
        (over, Record(Status.GREYLISTED, long_ago, NOON)),
        (waiting, Record(Status.GREYLISTED, NOON, NOON, 2)),
    ]
    rows = waiting_rows(records, Timings(Timing(), []), NOON)
    assert [row.triplet.client for row in rows] == ["waiting", "clean", "over"]
    assert rows[0].left == 7 * 60


def _compared(before: dict[tuple[str, str], int] | None, now: dict[tuple[str, str], int]) -> Overview:
    def counted(counts: dict[tuple[str, str], int]) -> dict[Count, int]:
        return {Count(1200, SLOT, kind, name): number for (kind, name), number in counts.items()}

    data = OverviewData(PERIODS["24h"], NOON, counted(now), WaitingTriplets(0, []), [])
    return build_overview(data._replace(before=None if before is None else counted(before)), Timings(Timing(), []))


def test_a_period_is_compared_with_the_one_before_of_the_same_mode() -> None:
    """In mode = observe all mail comes back, which says nothing about the time when some was deferred."""
    deferred, observed = {("greylist", "helo"): 3}, {("would-defer", "helo"): 3}
    passed = {("pass", "clean"): 1, ("pass", "waited"): 1, ("delay", "300"): 1}
    found = _compared(passed, deferred)
    assert found.before is not None
    assert (found.before.came_back, found.median_before) == (1, "5\N{NO-BREAK SPACE}min")
    assert _compared(None, deferred).before is None
    assert _compared(observed, deferred).before is None
    assert _compared(deferred, observed).before is None
    assert _compared(observed, observed).before is not None


def test_nodes_have_a_row_each_if_there_are_several() -> None:
    one = {("node-passed", "mx1"): 5, ("node-deferred", "mx1"): 2}
    assert overview(one).nodes == []
    first, second = overview({**one, ("node-waited", "mx2"): 1, ("node-delay-600", "mx2"): 1}).nodes
    assert (first.node, first.figures.requests, first.figures.first_deferrals, first.median_delay) == ("mx1", 7, 2, "")
    assert (second.figures.came_back, second.median_delay) == (1, "10\N{NO-BREAK SPACE}min")
    assert second.link == "/search?node=mx2&range=24h"
