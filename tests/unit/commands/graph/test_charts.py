"""What the charts say: bands of the right words, numbers in the right slots, time in the right words."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bley.commands.graph.charts import SHOWN, Chart, charts, in_words, numbered, ticks
from bley.core.history.periods import PERIODS, Period, slots
from bley.core.history.statistics import FOUND, Count
from tests.fakes import NOON

NOW = NOON + timedelta(minutes=47)


def drawn(period: Period, what: Mapping[tuple[int, str, str], int], now: datetime = NOW) -> dict[str, Chart]:
    """The charts by their kinds, of what happened so many slots before the one that holds `now`."""
    step = int(period.slot.total_seconds())
    last = int(now.timestamp()) // step * step
    counts = {Count(step, last - step * ago, kind, name): number for (ago, kind, name), number in what.items()}
    return {chart.kind: chart for chart in charts(period, now, slots(period, now, counts))}


MIXED = {
    (0, "pass", "known"): 1000,
    (1, "pass", "clean"): 200,
    (0, "pass", "waited"): 5,
    (2, "greylist", "helo"): 20,
    (2, "greylist", "dnsbl"): 30,
    (1, "would-defer", "helo"): 2,
    (0, "greylist", "early"): 7,
    (2, FOUND, "helo-mismatch"): 25,
    (2, FOUND, "dnsbl"): 30,
    (0, "delay", "600"): 5,
}


@pytest.mark.parametrize("period", SHOWN, ids=lambda period: period.name)
class TestSlots:
    def test_the_last_one_holds_now_and_all_of_the_period_is_there(self, period: Period) -> None:
        chart = drawn(period, MIXED)["mail"]
        assert chart.edges[-2] <= NOW.timestamp() < chart.edges[-1]
        assert chart.edges[-1] - chart.edges[0] == period.length.total_seconds()
        assert all(len(band.numbers) == len(chart.edges) - 1 for band in chart.bands)

    def test_what_happened_is_in_its_own(self, period: Period) -> None:
        at_once, waited, deferred, early = drawn(period, MIXED)["mail"].bands
        assert [band.numbers[-3:] for band in (at_once, waited, deferred, early)] == [
            [0, 200, 1000], [0, 0, 5], [50, 2, 0], [0, 0, 7],
        ]  # fmt: skip

    def test_at_the_first_instant_of_one_that_one_is_the_last(self, period: Period) -> None:
        midnight = datetime(2026, 11, 26, tzinfo=UTC)
        assert drawn(period, {}, midnight)["mail"].edges[-2] == midnight.timestamp()

    def test_time_is_written_within_the_chart_and_no_closer_than_it_can_be_read(self, period: Period) -> None:
        """At any hour of a year."""
        closest = period.length.total_seconds() / 14
        for hours in range(0, 366 * 24, 97):
            edges = drawn(period, {}, NOW + timedelta(hours=hours))["mail"].edges
            written, marked = ticks(period, edges)
            places = [at for at, _ in written]
            assert 4 <= len(written) <= 13
            assert all(edges[0] <= at <= edges[-1] for at in (*places, *marked))
            assert all(later - at > closest for at, later in pairwise(places))


class TestTicks:
    @pytest.mark.parametrize(
        ("name", "first", "count"),
        [
            ("12h", ["02:00\n26 Nov", "04:00\n", "06:00\n"], 6),
            ("24h", ["15:00\n25 Nov", "18:00\n", "21:00\n", "00:00\n26 Nov", "03:00\n"], 8),
            ("7d", ["Fri 20 Nov", "Sat 21 Nov"], 7),
            ("28d", ["Mon 2 Nov", "Mon 9 Nov", "Mon 16 Nov", "Mon 23 Nov"], 4),
            ("365d", ["Dec\n2025", "Jan\n2026", "Feb\n"], 12),
        ],
    )
    def test_they_say_when_it_was_in_utc(self, name: str, first: list[str], count: int) -> None:
        edges = drawn(PERIODS[name], {}, datetime(2026, 11, 26, 13, 47, tzinfo=UTC))["mail"].edges
        written, _ = ticks(PERIODS[name], edges)
        assert [text for _, text in written][: len(first)] == first
        assert len(written) == count

    def test_they_stand_where_they_say(self) -> None:
        written, _ = ticks(PERIODS["24h"], drawn(PERIODS["24h"], {})["mail"].edges)
        for at, text in written:
            assert f"{datetime.fromtimestamp(at, UTC):%H:%M}" == text.partition("\n")[0]


class TestBands:
    def test_mail_that_passed_after_its_wait_is_told_from_mail_that_passed_at_once(self) -> None:
        chart = drawn(PERIODS["7d"], MIXED)["mail"]
        assert {band.name: band.total for band in chart.bands} == {
            "passed at once": 1200,
            "passed after its wait": 5,
            "deferred": 52,
            "early retries": 7,
        }

    def test_reasons_and_findings_are_the_words_of_the_log_the_most_frequent_first(self) -> None:
        found = drawn(PERIODS["7d"], MIXED)
        assert [(band.name, band.total) for band in found["deferred"].bands] == [
            ("dnsbl", 30), ("helo", 22), ("early", 7),
        ]  # fmt: skip
        assert [(band.name, band.total) for band in found["found"].bands] == [("dnsbl", 30), ("helo-mismatch", 25)]

    def test_a_word_has_the_same_style_in_all_periods(self) -> None:
        """However frequent it is."""
        styles = {}
        for period in SHOWN:
            for name in ("helo", "dnsbl"):
                chart = drawn(period, MIXED | {(0, "greylist", name): 99})["deferred"]
                styles[period, name] = {band.name: band.style for band in chart.bands}
        first, *others = styles.values()
        assert all(each == first for each in others)


class TestWords:
    def test_the_title_says_what_when_and_how_much(self) -> None:
        titles = {kind: chart.title for kind, chart in drawn(PERIODS["28d"], MIXED).items()}
        assert titles == {
            "mail": "Outcomes of mail in the last 28 days: 1,264 requests",
            "deferred": "Reasons of deferrals in the last 28 days: 59 deferrals",
            "found": "Findings of the checks in the last 28 days: 55 findings",
        }

    def test_the_description_has_all_figures(self) -> None:
        found = drawn(PERIODS["24h"], MIXED)
        assert found["mail"].description == (
            "Outcomes of mail in the last 24 hours: 1,264 requests; passed at once: 1,200 (94.9%), "
            "passed after its wait: 5 (0.4%), deferred: 52 (4.1%), early retries: 7 (0.6%)."
        )
        assert found["found"].description.endswith("55 findings; dnsbl: 30, helo-mismatch: 25.")

    def test_no_mail_is_said(self) -> None:
        assert {chart.empty_text for chart in drawn(PERIODS["12h"], {}).values()} == {"no mail in this period"}
        assert {chart.bands for chart in drawn(PERIODS["12h"], {}).values()} == {()}

    def test_mail_of_which_nothing_was_deferred_or_found_is_mail(self) -> None:
        found = drawn(PERIODS["12h"], {(0, "pass", "known"): 1})
        assert found["deferred"].description == (
            "Reasons of deferrals in the last 12 hours: 0 deferrals; no deferrals in this period."
        )
        assert found["found"].empty_text == "no findings in this period"
        assert found["mail"].title.endswith(": 1 request")

    def test_durations_and_numbers(self) -> None:
        assert [in_words(period.length) for period in SHOWN] == [
            "12 hours", "24 hours", "7 days", "28 days", "365 days",
        ]  # fmt: skip
        steps = [drawn(period, {})["mail"].step for period in SHOWN]
        assert steps == ["10 minutes", "20 minutes", "2 hours", "8 hours", "a day"]
        assert [numbered(number, "mail") for number in (0, 1, 2000)] == ["0 mails", "1 mail", "2,000 mails"]
