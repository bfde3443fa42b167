"""The counts of decisions, and the figures that are computed from them."""

from datetime import timedelta

import pytest

from bley.core.decision import Decision, Outcome
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check, FindingKind
from bley.core.history.statistics import DELAY_BOUNDS, Count, Figures, count_keys, figures
from bley.core.mail import Request
from bley.core.reasons import Reason

_HOUR = 3600


def _counts(**numbers: int) -> dict[Count, int]:
    """Return counts: `greylist_helo=2` is two deferrals by helo, and so on."""
    return {
        Count(_HOUR, 0, *name.replace("would_defer", "would-defer").split("_", 1)): number
        for name, number in numbers.items()
    }


class TestCounted:
    @pytest.mark.parametrize("outcome", ["pass", "greylist", "would-defer"])
    def test_a_decision_counts_by_its_outcome_and_reason(self, outcome: Outcome) -> None:
        assert list(count_keys(Decision(Request(), Reason.EARLY), outcome)) == [(outcome, "early")]

    def test_a_stranger_counts_by_what_was_found_too(self) -> None:
        evidence: Evidence = {
            Check.HELO: Finding(2, "", kind=FindingKind.HELO_MISMATCH),
            Check.DYNAMIC: Finding(0, ""),
            Check.SPF: Finding(None, ""),
            Check.DNSBL: Finding(3, ""),
            Check.DNSWL: Finding(0, ""),
        }
        decision = Decision(Request(), Reason.DNSBL, defers=True, evidence=evidence)
        assert list(count_keys(decision, "greylist")) == [
            ("greylist", "dnsbl"),
            ("found", "helo-mismatch"),
            ("found", "dnsbl"),
        ]

    @pytest.mark.parametrize(
        ("seconds", "bound"),
        [(0, "60"), (60, "60"), (60.001, "300"), (301, "600"), (86400, "86400"), (86401, "longer")],
    )
    def test_who_has_waited_counts_by_how_long(self, seconds: float, bound: str) -> None:
        decision = Decision(Request(), Reason.WAITED, delayed=timedelta(seconds=seconds))
        assert list(count_keys(decision, "pass")) == [("pass", "waited"), ("delay", bound)]

    def test_every_name_fits_into_the_store(self) -> None:
        assert max(len(word) for word in (*Reason, *FindingKind, *Check)) <= 32
        assert not any(" " in word for word in (*Reason, *FindingKind, *Check))


class TestFigures:
    def test_a_mail_is_counted_once_however_often_it_is_tried(self) -> None:
        """Six passed at once; three of four deferred ones passed on a retry, after nine further attempts."""
        found = figures(
            _counts(pass_known=4, pass_clean=2, greylist_helo=3, greylist_dnsbl=1, greylist_early=6, pass_waited=3)
        )
        assert (found.undelayed, found.first_deferrals, found.came_back, found.not_come_back) == (6, 4, 3, 1)
        assert (found.early_retries, found.requests) == (6, 19)
        assert found.undelayed_share == 0.6

    def test_what_would_be_deferred_counts_as_deferred(self) -> None:
        found = figures(_counts(would_defer_helo=1, pass_clean=1))
        assert (found.deferred, found.undelayed_share) == ({"helo": 1}, 0.5)

    def test_more_may_come_back_than_were_deferred(self) -> None:
        """Mails that were deferred before this time."""
        assert figures(_counts(pass_waited=3, greylist_helo=1)).not_come_back == 0

    def test_reasons_of_all_slots_add_up_the_most_frequent_first(self) -> None:
        counts = {Count(60, start, "pass", name): 1 for start in range(0, 180, 60) for name in ("clean",)}
        found = figures({Count(60, 0, "pass", "known"): 1, **counts})
        assert list(found.passed.items()) == [("clean", 3), ("known", 1)]

    def test_nothing_is_no_share_and_no_delay(self) -> None:
        found = figures({})
        assert found == Figures()
        assert (found.requests, found.undelayed_share, found.median_delay_seconds) == (0, None, None)

    @pytest.mark.parametrize(
        ("delays", "median"),
        [
            ({300: 1}, 300),
            ({300: 1, 600: 1}, 300),
            ({300: 1, 600: 2}, 600),
            ({600: 1, "longer": 1}, 600),
            ({600: 1, "longer": 2}, None),
            ({"longer": 1}, None),
        ],
    )
    def test_the_median_delay_is_a_bound(self, delays: dict[int | str, int], median: int | None) -> None:
        counts = {Count(_HOUR, 0, "delay", str(bound)): number for bound, number in delays.items()}
        found = figures(counts)
        assert found.median_delay_seconds == median
        assert found.delays == {str(bound): number for bound, number in delays.items()}

    def test_delays_are_in_their_order(self) -> None:
        counts = {Count(_HOUR, 0, "delay", name): 1 for name in ("longer", *map(str, reversed(DELAY_BOUNDS)))}
        assert list(figures(counts).delays) == [*map(str, DELAY_BOUNDS), "longer"]
