"""A request counts for the domains of its sender and its recipient; a stranger cannot choose how many there are."""

from datetime import UTC, datetime, timedelta

import pytest

from bley.core.decision import Decision, Outcome
from bley.core.findings import REASONS
from bley.core.history import domain_counts
from bley.core.history.domain_counts import (
    DAY_SECONDS,
    REST,
    SIDES,
    DomainAdmission,
    DomainCounts,
    all_kinds,
    counted_domains,
    days_of,
    domain_events,
    kinds_of,
    passing_kinds,
    split_domains,
)
from bley.core.history.statistics import Count
from bley.core.mail import Request
from bley.core.reasons import Reason


class TestNames:
    @pytest.mark.parametrize(
        ("sender", "recipient", "names"),
        [
            ("a@example.com", "b@example.org", [("to", "example.org"), ("from", "example.com")]),
            ("a@bounce.news.example.com", "b@example.org", [("to", "example.org"), ("from", "example.com")]),
            ("", "b@example.org", [("to", "example.org"), ("from", "<>")]),
            ("a@b.ex", "b@cs.example.org", [("to", "example.org"), ("to", "cs.example.org"), ("from", "b.ex")]),
            ("a@B\u00fccher.Example", "b@EXAMPLE.org", [("to", "example.org"), ("from", "xn--bcher-kva.example")]),
            ("a@co.uk", "postmaster", [("from", "co.uk")]),
            ("a@localhost", "b@intranet", [("to", "intranet"), ("from", "localhost")]),
        ],
    )  # fmt: skip
    def test_a_mail_has_those_of_both_sides(self, sender: str, recipient: str, names: list[tuple[str, str]]) -> None:
        assert split_domains(counted_domains(sender, recipient)) == names

    @pytest.mark.parametrize("domain", ["[192.0.2.1]", "", "a b", "x\ny", "*", "<>", 254 * "x", "\u00fc" * 400])
    def test_what_is_no_domain_is_not_counted(self, domain: str) -> None:
        """Names of counts are ASCII without blanks, at most 253 characters."""
        assert counted_domains(f"a@{domain}", f"b@{domain}") == ""

    def test_equal_ones_are_one_object(self) -> None:
        """Each cached request of known mail has them."""
        assert counted_domains("a@example.com", "b@example.org") is counted_domains("c@example.com", "d@example.org")


class TestEvents:
    @pytest.mark.parametrize(
        ("outcome", "reason", "events"),
        [
            ("pass", Reason.CLEAN, ["pass"]),
            ("greylist", Reason.DNSBL, ["dnsbl"]),
            ("would-defer", Reason.EARLY, ["early", "would"]),
        ],
    )
    def test_a_decision_is_one_event_by_its_outcome(self, outcome: Outcome, reason: Reason, events: list[str]) -> None:
        assert list(domain_events(Decision(Request(), reason), outcome)) == events

    def test_mail_that_came_back_counts_by_its_delay(self) -> None:
        decision = Decision(Request(), Reason.WAITED, delayed=timedelta(minutes=7))
        assert list(domain_events(decision, "pass")) == ["delay-600"]

    def test_every_kind_fits_into_the_store_and_is_told_apart(self) -> None:
        kinds = all_kinds()
        assert len(kinds) == len(set(kinds))
        assert max(map(len, kinds)) <= 32
        assert not any(" " in kind for kind in kinds)

    def test_the_kinds_of_a_side_are_one_range(self) -> None:
        for side in SIDES:
            first, beyond = kinds_of(side)
            assert [kind for kind in all_kinds() if first <= kind < beyond] == [
                kind for kind in all_kinds() if kind.startswith(f"{side}-")
            ]
            assert set(passing_kinds(side)) < set(all_kinds())

    def test_no_reason_has_the_name_of_another_event(self) -> None:
        events = {kind.partition("-")[2] for kind in all_kinds()}
        assert set(REASONS) <= events
        assert not any(reason.startswith("delay-") or reason in ("pass", "would", "cut") for reason in REASONS)


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain_counts, "_MOST_ADMITTED", 4)


@pytest.mark.usefixtures("_few")
class TestAdmission:
    def test_domains_beyond_the_limit_count_together(self) -> None:
        admission = DomainAdmission()
        names = [admission.name(0, "from", f"{number}.example", passes=True) for number in range(6)]
        assert names == [*(f"{number}.example" for number in range(4)), REST, REST]
        assert admission.name(0, "from", "1.example", passes=False) == "1.example"
        assert admission.name(0, "to", "9.example", passes=True) == "9.example", "each side has its own limit"

    def test_deferred_mail_keeps_out_no_domain_that_passes(self) -> None:
        """A flood of invented domains takes half of the room."""
        admission = DomainAdmission()
        assert [admission.name(0, "from", f"{number}.invalid", passes=False) for number in range(4)] == [
            "0.invalid", "1.invalid", REST, REST,
        ]  # fmt: skip
        assert [admission.name(0, "from", f"{number}.example", passes=True) for number in range(3)] == [
            "0.example", "1.example", REST,
        ]  # fmt: skip

    def test_a_new_day_has_room_again(self) -> None:
        admission = DomainAdmission()
        for day in (0, DAY_SECONDS):
            assert [admission.name(day, "to", f"{n}{day}.example", passes=False) for n in range(3)][1:] == [
                f"1{day}.example",
                REST,
            ]


class TestDomainCounts:
    def _counts(self, **numbers: int) -> DomainCounts:
        counts = {
            Count(DAY_SECONDS, DAY_SECONDS, kind.replace("_", "-"), "example.org"): number
            for kind, number in numbers.items()
        }
        return DomainCounts("example.org", DAY_SECONDS, counts)

    def test_its_figures_are_those_of_a_side(self) -> None:
        counts = self._counts(to_pass=7, to_dnsbl=4, to_helo=1, to_early=2, to_delay_300=2, to_delay_600=1, from_pass=9)
        figures = counts.figures("to")
        assert (figures.undelayed, figures.came_back, figures.first_deferrals, figures.early_retries) == (7, 3, 5, 2)
        assert figures.deferred == {"dnsbl": 4, "early": 2, "helo": 1}
        assert figures.median_delay_seconds == 300
        assert not figures.defers_nothing
        assert (counts.figures("from").requests, counts.figures("from").came_back) == (9, 0)

    def test_what_was_only_logged_is_told_apart(self) -> None:
        assert self._counts(to_dnsbl=4, to_would=4).figures("to").defers_nothing
        assert not self._counts(to_dnsbl=4, to_would=3).figures("to").defers_nothing

    def test_a_day_is_uncertain_if_only_others_were_beyond_a_limit(self) -> None:
        days = [number * DAY_SECONDS for number in range(4)]
        counts = {Count(DAY_SECONDS, day, "to-cut", REST): 9 for day in days[1:]}
        counts[Count(DAY_SECONDS, days[3], "to-pass", "example.org")] = 1
        assert DomainCounts("example.org", 0, counts).uncertain_days("to") == 2
        assert DomainCounts("example.org", 0, counts).uncertain_days("from") == 0


class TestDays:
    def test_they_are_those_that_the_time_touches(self) -> None:
        since, until = datetime(2026, 11, 1, 23, 59, tzinfo=UTC), datetime(2026, 11, 3, 0, 0, tzinfo=UTC)
        assert [datetime.fromtimestamp(day, UTC).day for day in days_of(since, until)] == [1, 2, 3]

    def test_they_are_no_more_than_are_stored(self) -> None:
        assert len(days_of(datetime(1, 1, 1, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))) == 401

    def test_a_time_that_ends_before_it_begins_has_none(self) -> None:
        assert days_of(datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)) == []
