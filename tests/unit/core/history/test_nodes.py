"""Counts by node, and the figures that are computed from them."""

from collections import Counter
from datetime import timedelta

import pytest

from bley.core.decision import Decision, DecisionEntry
from bley.core.history.nodes import REQUEST_KINDS, figures_by_node, node_keys
from bley.core.history.statistics import Count, figures
from bley.core.mail import Request
from bley.core.reasons import Reason
from tests.fakes import NOON


def _entry(reason: Reason, outcome: str = "pass", node: str = "mx1", minutes: int | None = None) -> DecisionEntry:
    delayed = None if minutes is None else timedelta(minutes=minutes)
    decision = Decision(Request(), reason, defers=outcome != "pass", delayed=delayed)
    return DecisionEntry(NOON, outcome, decision, "s", "r", node=node)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entry", "kinds"),
    [
        (_entry(Reason.CLEAN), ["node-passed"]),
        (_entry(Reason.WAITED, minutes=7), ["node-waited", "node-delay-600"]),
        (_entry(Reason.HELO, "greylist"), ["node-deferred"]),
        (_entry(Reason.EARLY, "greylist"), ["node-early"]),
        (_entry(Reason.HELO, "would-defer"), ["node-deferred"]),
        (_entry(Reason.EARLY, "would-defer"), ["node-early"]),
        (_entry(Reason.CLEAN, node=""), []),
    ],
)
def test_each_request_has_one_count_of_its_node_and_a_delayed_one_its_delay(
    entry: DecisionEntry, kinds: list[str]
) -> None:
    assert list(node_keys(entry)) == [(kind, "mx1") for kind in kinds]
    assert sum(kind in REQUEST_KINDS for kind in kinds) == bool(entry.node)


def test_the_figures_of_each_node_are_those_of_its_own_mail() -> None:
    entries = [
        *[_entry(Reason.CLEAN)] * 5,
        *[_entry(Reason.HELO, "greylist")] * 3,
        _entry(Reason.EARLY, "greylist"),
        *[_entry(Reason.WAITED, minutes=7)] * 2,
        _entry(Reason.KNOWN, node="mx2"),
    ]
    counts = Counter(Count(60, 0, *key) for entry in entries for key in node_keys(entry))
    found = figures_by_node(counts)
    assert list(found) == ["mx1", "mx2"]
    one = found["mx1"]
    assert (one.requests, one.undelayed, one.first_deferrals, one.early_retries, one.came_back) == (11, 5, 3, 1, 2)
    assert one.median_delay_seconds == 600
    assert (found["mx2"].requests, found["mx2"].median_delay_seconds) == (1, None)


def test_counts_by_node_are_no_part_of_the_figures_of_all_mail() -> None:
    counts = {Count(60, 0, kind, "mx1"): 7 for kind in (*REQUEST_KINDS, "node-delay-600")}
    assert figures(counts).requests == 0
    assert figures_by_node({Count(60, 0, "pass", "clean"): 7}) == {}
