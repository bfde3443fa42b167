"""What the address of a page asks for."""

import contextlib
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bley.core.triplet import TripletRules
from bley.web.decision_search import read_decision_search, read_period
from tests.fakes import NOON


def test_nothing_means_all() -> None:
    query = read_decision_search({}).query(TripletRules(), NOON)
    assert (query.search, query.reasons, query.outcome, query.since, query.until) == (None, frozenset(), "", None, None)


def test_all_parameters_can_be_combined() -> None:
    search = read_decision_search({"q": " example.com ", "reason": "helo", "outcome": "greylist", "range": "1h"})
    query = search.query(TripletRules(), NOON)
    assert query.search is not None
    assert query.search.word == "example.com"
    assert (query.reasons, query.outcome) == (frozenset(["helo"]), "greylist")
    assert query.since == NOON + timedelta(minutes=1) - timedelta(hours=1)


@pytest.mark.parametrize("text", ["2026-11-26T14:00Z", "2026-11-26T14:00", "2026-11-26T15:00+01:00"])
def test_times_are_utc_if_they_say_nothing_else(text: str) -> None:
    query = read_decision_search({"since": text, "until": text}).query(TripletRules(), NOON)
    assert query.since == query.until == datetime(2026, 11, 26, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("0001-01-01T00:00+14:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        ("1969-12-31T23:59Z", datetime(1969, 12, 31, 23, 59, tzinfo=UTC)),
        ("9999-12-31T23:59-14:00", datetime.max.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_any_instant_that_can_be_written_is_accepted(text: str, instant: datetime) -> None:
    query = read_decision_search({"since": text, "until": text}).query(TripletRules(), NOON)
    assert query.since == query.until == instant


@given(
    st.dictionaries(
        st.sampled_from(["q", "since", "until", "before", "range", "reason", "outcome"]),
        st.text()
        | st.datetimes(timezones=st.timezones() | st.none()).map(datetime.isoformat)
        | st.integers().map(str)
        | st.from_regex(r"[0-9]{1,19}(-[0-9]{1,19})?", fullmatch=True),
    )
)
def test_any_query_is_read_or_refused(query: dict[str, str]) -> None:
    """Nothing but ValueError, which is answered with 400."""
    with contextlib.suppress(ValueError):
        read_decision_search(query).query(TripletRules(), NOON)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"reason": "heloo"}, "there is no reason 'heloo': see docs/reasons.md"),
        ({"outcome": "x"}, "there is no outcome 'x': use one of pass, greylist, would-defer"),
        ({"range": "2h"}, "there is no range '2h': use one of 1h, 12h, 24h, 7d, 28d, 365d"),
        ({"since": "yesterday"}, "since is not a time: 'yesterday'; write 2026-11-26T14:00Z"),
        ({"until": "1"}, "until is not a time: '1'; write 2026-11-26T14:00Z"),
        ({"before": "x"}, "there is no decision 'x'"),
        ({"before": "1" * 19}, f"there is no decision '{'1' * 19}'"),
        ({"q": "x" * 401}, "the search text may have at most 400 characters"),
    ],
)
def test_what_is_wrong_is_said(query: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        read_decision_search(query)


def test_a_link_keeps_the_query_and_begins_with_the_newest() -> None:
    search = read_decision_search({"q": "a&b", "reason": "helo", "before": "17"})
    assert search.url(range="7d") == "/search?q=a%26b&reason=helo&range=7d"
    assert search.url(before="3") == "/search?q=a%26b&reason=helo&before=3"
    assert read_decision_search({}).url() == "/search"


def test_the_range_is_a_day_if_none_is_named() -> None:
    assert read_period({}).name == read_period({"range": ""}).name == "24h"
    assert read_period({"range": "365d"}).name == "365d"
