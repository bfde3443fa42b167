"""The counts that all engines get in the same form."""

from datetime import UTC, datetime

from bley.core.history.domain_counts import DAY_SECONDS
from bley.core.history.list_counts import LIST_SPANS
from bley.core.history.statistics import Count
from bley.store.engine import LIFETIMES, SPANS, counts_per_span

_HOUR = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())
_MINUTE = _HOUR // 60


def test_a_minute_s_decisions_count_for_it_and_for_its_hour() -> None:
    assert counts_per_span({(_MINUTE + 34, "greylist", "dnsbl"): 2}) == {
        Count(60, _HOUR + 34 * 60, "greylist", "dnsbl"): 2,
        Count(3600, _HOUR, "greylist", "dnsbl"): 2,
    }


def test_minutes_of_an_hour_add_up_and_other_hours_do_not() -> None:
    counts = counts_per_span({(_MINUTE + minute, "pass", "known"): 1 for minute in (-1, 0, 1, 59, 60)})
    assert {count.start: number for count, number in counts.items() if count.seconds == 3600} == {
        _HOUR - 3600: 1,
        _HOUR: 3,
        _HOUR + 3600: 1,
    }
    assert [number for count, number in counts.items() if count.seconds == 60] == [1] * 5


def test_outcomes_and_reasons_are_counted_apart() -> None:
    counts = counts_per_span(
        {(_MINUTE, "pass", "known"): 1, (_MINUTE, "pass", "clean"): 2, (_MINUTE, "greylist", "known"): 3}
    )
    hours = {(count.kind, count.name): number for count, number in counts.items() if count.seconds == 3600}
    assert hours == {("pass", "known"): 1, ("pass", "clean"): 2, ("greylist", "known"): 3}


def test_every_span_that_has_a_lifetime_is_counted() -> None:
    """And the other way round: counts without a lifetime would never be purged. Domains have another function."""
    kinds = [("pass", "known"), ("dnsbl-alone", "bl.example")]
    counts = counts_per_span({(_MINUTE, *kind): 1 for kind in kinds})
    assert {count.seconds for count in counts} == set(LIFETIMES) - {DAY_SECONDS}


def test_lists_have_spans_of_their_own() -> None:
    """So that their many names do not slow down the queries of decisions."""
    assert counts_per_span(
        {(_MINUTE + 34, "dnsbl-alone", "bl.example"): 2, (_MINUTE + 29, "list-ms-5", "bl.example"): 1}
    ) == {
        Count(600, _HOUR + 30 * 60, "dnsbl-alone", "bl.example"): 2,
        Count(600, _HOUR + 20 * 60, "list-ms-5", "bl.example"): 1,
        Count(28_800, _HOUR - 4 * 3600, "dnsbl-alone", "bl.example"): 2,
        Count(28_800, _HOUR - 4 * 3600, "list-ms-5", "bl.example"): 1,
        Count(604_800, _HOUR // 604_800 * 604_800, "dnsbl-alone", "bl.example"): 2,
        Count(604_800, _HOUR // 604_800 * 604_800, "list-ms-5", "bl.example"): 1,
    }
    assert not set(SPANS) & set(LIST_SPANS)


def test_nothing_is_no_counts() -> None:
    assert counts_per_span({}) == {}
