"""The summary of a search, from decisions or from the counts of a domain."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bley.core.history.domain_counts import DAY_SECONDS, DomainCounts
from bley.core.history.search import DecisionQuery, Search, StoredDecision
from bley.core.history.statistics import Count
from bley.core.history.summary import counted_domain, first_day, summarize, summarize_domain
from bley.core.triplet import TripletRules
from tests.fakes import NOON

_DAY = timedelta(days=1)
_RULES = TripletRules()


def _decision(reason: str = "helo", minutes: int = 0, **changes: Any) -> StoredDecision:
    outcome = "greylist" if reason in ("helo", "early") else "pass"
    texts = dict.fromkeys(StoredDecision._fields, "")
    at = NOON - timedelta(minutes=minutes)
    stored = StoredDecision(**{**texts, "at": at, "outcome": outcome, "reason": reason, "details": {}})  # type: ignore[arg-type]
    return stored._replace(**changes)


def test_decisions_are_summed_up() -> None:
    waited = _decision("waited", details={"delay_seconds": 400.0})
    found = summarize([waited, _decision("early", 3), _decision("released", 4), _decision(minutes=7)], is_complete=True)
    figures = found.figures
    assert (figures.requests, figures.first_deferrals, figures.came_back, figures.early_retries) == (3, 1, 1, 1)
    assert figures.median_delay_seconds == 600
    assert (found.number, found.since, found.nodes) == (3, NOON - timedelta(minutes=7), {})


def test_several_nodes_have_figures_of_their_own() -> None:
    nodes = summarize([_decision(node="mx2"), _decision("clean", node="mx1"), _decision(node="mx2")], is_complete=True)
    assert {node: figures.requests for node, figures in nodes.nodes.items()} == {"mx1": 1, "mx2": 2}


def test_no_decision_has_no_start() -> None:
    assert summarize([], is_complete=True).since is None


@pytest.mark.parametrize(
    ("query", "domain"),
    [
        (DecisionQuery(Search("Example.ORG", _RULES)), "example.org"),
        (DecisionQuery(Search("@bücher.example", _RULES)), "xn--bcher-kva.example"),
        (DecisionQuery(Search("example.org", _RULES), since=NOON - 7 * _DAY), "example.org"),
        (DecisionQuery(Search("example.org", _RULES), since=NOON - 6 * _DAY), ""),
        (DecisionQuery(Search("example.org", _RULES), since=NOON - 9 * _DAY, until=NOON - 8 * _DAY), ""),
        (DecisionQuery(Search("jane@example.org", _RULES)), ""),
        (DecisionQuery(Search("192.0.2.1", _RULES)), ""),
        (DecisionQuery(Search("4XyZ", _RULES)), ""),
        (DecisionQuery(Search("example.org", _RULES), reasons=frozenset(["helo"])), ""),
        (DecisionQuery(Search("example.org", _RULES), outcome="pass"), ""),
        (DecisionQuery(Search("example.org", _RULES), node="mx1"), ""),
        (DecisionQuery(), ""),
    ],
)
def test_counts_answer_a_search_for_a_domain_alone(query: DecisionQuery, domain: str) -> None:
    assert counted_domain(query, NOON) == domain


def test_the_days_are_whole() -> None:
    assert first_day(DecisionQuery(since=NOON), NOON) == NOON.replace(hour=0)
    assert first_day(DecisionQuery(), NOON) == (NOON - timedelta(days=366)).replace(hour=0)


def test_a_domain_has_figures_of_each_side_and_day() -> None:
    today = int(NOON.timestamp()) // DAY_SECONDS * DAY_SECONDS
    yesterday = today - DAY_SECONDS
    counts = {
        Count(DAY_SECONDS, today, "to-pass", "example.org"): 5,
        Count(DAY_SECONDS, yesterday, "to-helo", "example.org"): 2,
        Count(DAY_SECONDS, yesterday, "from-pass", "example.org"): 1,
        Count(DAY_SECONDS, today, "from-cut", "*"): 3,
    }
    found = summarize_domain(DomainCounts("example.org", yesterday, counts), NOON - 300 * _DAY)
    assert found
    assert {side: figures.requests for side, figures in found.sides.items()} == {"to": 7, "from": 1}
    assert {start: figures.requests for start, figures in found.days.items()} == {today: 5, yesterday: 2}
    assert found.uncertain_days == {"from": 1}
    assert found.since == datetime.fromtimestamp(yesterday, UTC)


def test_a_domain_without_counts_has_no_summary() -> None:
    assert summarize_domain(DomainCounts("example.org", 0, {}), NOON) is None
