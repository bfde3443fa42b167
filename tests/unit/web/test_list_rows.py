"""The rows of the table that shows which DNS list earns its place."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from bley.core.history.periods import PERIODS
from bley.core.history.statistics import Count
from bley.settings.settings import Settings
from bley.store.history import WaitingTriplets
from bley.web.dashboard_data import OverviewData
from bley.web.health_summary import Level, ListSummary
from bley.web.list_rows import ListRow, list_rows
from tests.fakes import NOON, WELL_LIST

_NOON = int(NOON.timestamp())
_HEALTH = [ListSummary(WELL_LIST, Level.GOOD, "well", 10, 0.3)]


def _rows(start: datetime = NOON, *, observes: bool = False, numbers: Mapping[str, int]) -> list[ListRow]:
    """Return the rows of 28 days with these counts of zen.spamhaus.org, which is configured and well."""
    first = int(start.timestamp())
    counts = {Count(28_800, first, kind, WELL_LIST["name"]): number for kind, number in numbers.items()}
    counts |= {Count(28_800, _NOON, "dnsbl-queries", "old.example"): 3}
    data = OverviewData(PERIODS["28d"], NOON, {}, WaitingTriplets(0, []), [], of_lists=counts)
    settings = Settings.model_validate({"dnsbls": "zen.spamhaus.org, bl.example", "dnswls": ""})
    return list_rows(data, settings, _HEALTH, observes=observes)


def test_each_list_has_its_health_beside_its_figures() -> None:
    """Also one without counts, and one that was removed."""
    states = {row.figures.name: (row.state, row.figures.queries) for row in _rows(numbers={"dnsbl-queries": 7})}
    assert states == {"zen.spamhaus.org": ("well", 7), "bl.example": ("", 0), "old.example": ("removed", 3)}


def test_a_list_that_was_added_within_the_range_says_since_when_it_is_counted() -> None:
    """But not one without mail in the first hours of the range."""
    start = PERIODS["28d"].since(NOON)
    for late, shown in ((timedelta(hours=8), False), (timedelta(days=2), True)):
        first = start + late
        row, *_ = _rows(first, numbers={"dnsbl-queries": 7})
        assert row.counted_since == (first if shown else None)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [({"list-ms-20": 3}, "up to 20 ms"), ({"list-ms-slower": 3}, "more than 2 s"), ({}, "\N{EN DASH}")],
)
def test_the_median_is_the_bound_that_covers_half_of_the_answers(numbers: dict[str, int], words: str) -> None:
    row, *_ = _rows(numbers=numbers)
    assert row.median.replace("\N{NO-BREAK SPACE}", " ") == words


def test_remarks_are_sentences_with_the_numbers_of_the_page() -> None:
    numbers = {"dnsbl-queries": 2000, "dnsbl-alone": 20, "dnsbl-back": 10, "dnsbl-errors": 200}
    row, *_ = _rows(numbers=numbers)
    assert [each[:22] for each in row.remarks] == ["10 of 20 mails that it", "10.0\u202f% of its queries "]
    assert all(each.endswith(".") for each in row.remarks)
    row, *_ = _rows(observes=True, numbers=numbers)
    assert len(row.remarks) == 1
