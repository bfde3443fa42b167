"""The slots of each period."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bley.core.history.periods import PERIODS, Period, slots
from bley.core.history.statistics import Count
from bley.store.engine import SPANS
from bley.store.history import span_of

_NOW = datetime(2026, 11, 26, 14, 37, 12, 5, tzinfo=UTC)


@pytest.mark.parametrize("period", PERIODS.values(), ids=PERIODS)
class TestPeriods:
    def test_the_slots_are_whole_and_the_last_one_holds_now(self, period: Period) -> None:
        found = slots(period, _NOW, {})
        assert len(found) * period.slot == period.length
        assert found[0].start == period.since(_NOW)
        assert found[-1].start <= _NOW < found[-1].start + period.slot
        assert {later.start - slot.start for slot, later in pairwise(found)} == {period.slot}

    def test_slots_begin_where_a_clock_in_utc_says(self, period: Period) -> None:
        midnight = datetime(2026, 11, 26, tzinfo=UTC)
        assert (period.since(_NOW) - midnight) % period.slot == timedelta(0)

    def test_its_counts_are_kept_so_long(self, period: Period) -> None:
        span = span_of(period)
        assert SPANS[span] > period.length
        assert period.slot.total_seconds() % span == 0

    def test_what_happened_is_in_its_slot(self, period: Period) -> None:
        first, last = int(period.since(_NOW).timestamp()), int((period.since(_NOW) + period.length).timestamp())
        step = int(period.slot.total_seconds())
        counts = {Count(step, start, "pass", "clean"): start for start in (first, last - step)}
        found = slots(period, _NOW, counts)
        assert [number for number, slot in enumerate(found) if slot.figures.requests] == [0, len(found) - 1]
        assert found[-1].figures.passed == {"clean": last - step}


def test_at_the_very_start_of_a_slot_that_one_is_the_last() -> None:
    hour = datetime(2026, 11, 26, 14, tzinfo=UTC)
    assert slots(PERIODS["1h"], hour, {})[-1].start == hour
