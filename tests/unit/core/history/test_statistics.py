"""The counts of decisions, and the figures that are computed from them."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bley.core.decision import Decision, Outcome
from bley.core.evidence import Evidence, Finding
from bley.core.findings import CAUSES, REASONS, REPEATED, AnyReason, Check, FindingKind
from bley.core.history.statistics import DELAY, DELAY_BOUNDS, CauseFigures, Count, Figures, count_keys, figures
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

    @pytest.mark.parametrize(
        ("reason", "cause", "also"),
        [
            (Reason.WAITED, "helo", [("delay:helo", "600")]),
            (Reason.WAITED, "dnsbl bl.example", [("delay:dnsbl", "600"), ("dnsbl-back", "bl.example")]),
            pytest.param(Reason.WAITED, "", [("delay", "600")], id="an older record"),
            pytest.param(Reason.WAITED, "x" * 255, [("delay", "600")], id="no reason of this bley"),
            (Reason.EARLY, "helo", [("early", "helo")]),
            (Reason.CLIENT_BAD, "dnsbl bl.example", [("client-bad", "dnsbl")]),
            (Reason.EARLY, "", []),
            (Reason.HELO, "helo", []),
            (Reason.KNOWN, "helo", []),
        ],
    )
    def test_it_counts_by_why_it_was_first_deferred(
        self, reason: Reason, cause: str, also: list[tuple[str, str]]
    ) -> None:
        delayed = timedelta(minutes=6) if reason is Reason.WAITED else None
        _, *more = count_keys(Decision(Request(), reason, delayed is None, cause=cause, delayed=delayed), "pass")
        assert more == also

    def test_every_name_fits_into_the_store(self) -> None:
        assert max(len(f"{DELAY}:{reason}") for reason in CAUSES) <= 32
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


class TestCauses:
    """The reasons for which mail was first deferred, and how much of it came back."""

    def test_each_has_its_mail_its_retries_and_the_mail_that_came_back(self) -> None:
        counts = {
            ("greylist", "helo"): 10, ("greylist", "client-bad"): 5, ("greylist", "early"): 4,
            ("client-bad", "helo"): 2, ("client-bad", "dnsbl"): 3, ("early", "helo"): 4,
            ("delay:helo", "300"): 2, ("delay:helo", "600"): 1, ("pass", "waited"): 3,
        }  # fmt: skip
        found = figures({Count(_HOUR, 0, *key): number for key, number in counts.items()})
        assert found.by_cause == {"helo": CauseFigures(12, 4, {"300": 2, "600": 1}), "dnsbl": CauseFigures(3)}
        helo = found.by_cause["helo"]
        assert (helo.came_back, helo.came_back_share, helo.median_delay_seconds) == (3, 0.25, 300)
        assert found.deferred == {"helo": 10, "client-bad": 5, "early": 4}
        assert found.delays == {"300": 2, "600": 1}

    def test_counts_of_an_older_bley_have_no_cause(self) -> None:
        counts = {("greylist", "client-bad"): 2, ("would-defer", "early"): 3, ("delay", "300"): 1, ("delay:x", "60"): 1}
        found = figures({Count(_HOUR, 0, *key): number for key, number in counts.items()})
        assert found.by_cause == {
            "client-bad": CauseFigures(2),
            "unknown": CauseFigures(0, 3, {"300": 1}),
            "x": CauseFigures(0, 0, {"60": 1}),
        }
        assert found.delays == {"60": 1, "300": 1}

    def test_more_that_came_back_than_were_deferred_is_no_share(self) -> None:
        """The mail was deferred before the time asked for."""
        assert CauseFigures(1, 0, {"300": 2}).came_back_share is None
        assert CauseFigures(0, 0, {"300": 2}).came_back_share is None
        assert CauseFigures(0).came_back_share is None
        assert CauseFigures(2, 0, {"300": 2}).came_back_share == 1

    def test_a_kind_of_a_newer_bley_is_no_deferral(self) -> None:
        assert figures({Count(_HOUR, 0, "of-a-newer-bley", "helo"): 1}) == Figures()

    @given(st.lists(st.tuples(st.sampled_from([*Reason, *FindingKind]), st.sampled_from(["", "x", *REASONS]))))
    def test_their_numbers_add_up_to_those_of_all_mail(self, decided: list[tuple[AnyReason, str]]) -> None:
        counts = Counter[Count]()
        for reason, cause in decided:
            delayed = timedelta(hours=1) if reason is Reason.WAITED else None
            defers = reason in {*CAUSES, *REPEATED}
            decision = Decision(Request(), reason, defers, cause=cause, delayed=delayed)
            for kind, name in count_keys(decision, "greylist" if defers else "pass"):
                counts[Count(60, 0, kind, name)] += 1
        found = figures(counts)
        causes = found.by_cause.values()
        assert sum(each.deferred for each in causes) == found.first_deferrals
        assert sum(each.early_retries for each in causes) == found.early_retries
        assert sum(each.came_back for each in causes) == found.came_back
