"""The figures of DNS lists, computed from counts."""

from datetime import timedelta

import pytest

from bley.core.dnslists.lists import DnsList, parse_dns_lists
from bley.core.history.list_figures import ENOUGH_QUERIES, ListFigures, list_figures, list_remarks
from bley.core.history.statistics import Count
from tests.fakes import NOON

_NOON = int(NOON.timestamp())
_BL, _WL = ("dnsbls", "bl.example"), ("dnswls", "wl.example")


def _counts(name: str = "bl.example", start: int = _NOON, **numbers: int) -> dict[Count, int]:
    """Counts of one list: `dnsbl_queries=7, list_ms_50=3`."""
    return {Count(600, start, kind.replace("_", "-"), name): number for kind, number in numbers.items()}


def _of(counts: dict[Count, int], *configured: tuple[str, str]) -> ListFigures:
    (figures,) = list_figures(counts, _settings(*configured))
    return figures


def _settings(*configured: tuple[str, str]) -> dict[str, list[DnsList]]:
    """Settings of these pairs of setting and entry."""
    settings: dict[str, list[DnsList]] = {}
    for setting, entry in configured:
        settings.setdefault(setting, []).extend(parse_dns_lists(entry))
    return settings


def test_the_numbers_of_a_blocklist() -> None:
    counts = _counts(dnsbl_queries=100, dnsbl_listed=40, dnsbl_alone=10, dnsbl_back=2, dnsbl_errors=20)
    figures = _of(counts, _BL)
    assert figures[:10] == ("bl.example", "dnsbls", True, True, NOON, 100, 40, 10, 2, 20)
    assert (figures.listed_share, figures.came_back_share, figures.error_share) == (0.5, 0.2, 0.2)


def test_spans_of_time_add_up_and_the_first_one_is_the_start() -> None:
    counts = (
        _counts(dnsbl_queries=1) | _counts(start=_NOON - 600, dnsbl_queries=2) | _counts("other.example", list_ms_5=9)
    )
    figures = _of(counts, _BL)
    assert (figures.queries, figures.since) == (3, NOON - timedelta(minutes=10))


def test_an_allowlist_has_no_mail_that_came_back() -> None:
    figures = _of(_counts("wl.example", dnswl_queries=10, dnswl_alone=4), _WL)
    assert (figures.alone, figures.defers, figures.came_back_share) == (4, False, None)


def test_one_list_in_both_settings_has_two_rows_and_one_latency() -> None:
    counts = _counts(dnsbl_queries=3, dnswl_queries=5, list_ms_20=4)
    both = list_figures(counts, _settings(_BL, ("dnswls", "bl.example")))
    assert [(each.setting, each.queries, each.network_answers, each.median_ms) for each in both] == [
        ("dnsbls", 3, 4, 20),
        ("dnswls", 5, 4, 20),
    ]


def test_a_configured_list_without_counts_is_shown() -> None:
    assert _of({}, _BL) == ListFigures("bl.example", "dnsbls", True, True, None)


def test_a_list_that_was_removed_from_the_settings_is_shown_last() -> None:
    counts = _counts("old.example", dnsbl_queries=9, dnsbl_alone=9) | _counts(dnsbl_queries=1)
    assert [(each.name, each.is_configured) for each in list_figures(counts, _settings(_BL, _WL))] == [
        ("bl.example", True),
        ("old.example", False),
        ("wl.example", True),
    ]


def test_the_list_that_decided_most_is_first() -> None:
    counts = _counts("a.example", dnsbl_alone=1, dnsbl_listed=9) | _counts("b.example", dnsbl_alone=2)
    counts |= _counts("c.example", dnsbl_listed=5)
    names = ["a.example", "b.example", "c.example", "d.example"]
    found = list_figures(counts, _settings(*(("dnsbls", name) for name in reversed(names))))
    assert [each.name for each in found] == ["b.example", "a.example", "c.example", "d.example"]


def test_the_lists_of_a_setting_stand_together() -> None:
    """Domain lists defer as blocklists do."""
    counts = _counts("dbl.example", domain_list_alone=9, domain_list_back=3) | _counts(dnsbl_alone=1)
    found = list_figures(counts, _settings(_WL, ("domain_lists", "dbl.example"), _BL))
    assert [(each.setting, each.alone, each.came_back) for each in found] == [
        ("dnsbls", 1, 0),
        ("domain_lists", 9, 3),
        ("dnswls", 0, 0),
    ]
    assert found[1].defers


def test_two_zones_of_one_shown_name_are_one_list() -> None:
    """Those of two customers' keys."""
    keys = ("dnsbls", f"{32 * 'a'}.zen.dq.spamhaus.net"), ("dnsbls", f"{32 * 'b'}.zen.dq.spamhaus.net")
    (found,) = list_figures({}, _settings(*keys))
    assert found.name == "********.zen.dq.spamhaus.net"


@pytest.mark.parametrize(
    ("latencies", "median"),
    [
        ({}, None),
        ({"list_ms_50": 1}, 50),
        ({"list_ms_5": 1, "list_ms_50": 1}, 5),
        ({"list_ms_5": 1, "list_ms_50": 2}, 50),
        ({"list_ms_5": 1, "list_ms_slower": 2}, None),
    ],
)
def test_the_median_latency_is_the_bound_that_covers_half_of_the_answers(
    latencies: dict[str, int], median: int | None
) -> None:
    figures = _of(_counts("bl.example", _NOON, dnsbl_queries=9, **latencies), _BL)
    assert (figures.median_ms, figures.network_answers) == (median, sum(latencies.values()))


def test_shares_of_nothing_are_unknown() -> None:
    figures = _of(_counts(dnsbl_queries=3, dnsbl_errors=3), _BL)
    assert (figures.listed_share, figures.came_back_share) == (None, None)


def test_more_mail_may_come_back_than_was_deferred_in_the_time() -> None:
    """Some was deferred before."""
    assert _of(_counts(dnsbl_alone=2, dnsbl_back=3), _BL).came_back_share is None


class TestSuperfluous:
    """Lists without which bley would have decided the same, as far as enough queries show it."""

    def test_one_that_never_decided(self) -> None:
        assert _of(_counts(dnsbl_queries=ENOUGH_QUERIES, dnsbl_listed=700), _BL).is_superfluous

    def test_not_one_that_decided_once(self) -> None:
        assert not _of(_counts(dnsbl_queries=ENOUGH_QUERIES, dnsbl_alone=1), _BL).is_superfluous

    def test_not_one_with_few_conclusive_answers(self) -> None:
        assert not _of(_counts(dnsbl_queries=ENOUGH_QUERIES, dnsbl_errors=1), _BL).is_superfluous

    def test_not_one_that_is_only_on_trial(self) -> None:
        """An entry of weight 0 cannot decide."""
        assert not _of(_counts(dnsbl_queries=ENOUGH_QUERIES), ("dnsbls", "bl.example*0")).is_superfluous

    def test_not_one_that_was_removed(self) -> None:
        assert not _of(_counts(dnsbl_queries=ENOUGH_QUERIES)).is_superfluous


class TestRemarks:
    """What the figures suggest to the operator."""

    def _remarks(self, *configured: tuple[str, str], observes: bool = False, **numbers: int) -> list[str]:
        counts = _counts("bl.example", _NOON, **{"dnsbl_queries": 2000, "dnsbl_alone": 1, **numbers})
        return list_remarks(_of(counts, *configured), observes=observes)

    def test_none_on_a_list_that_decides(self) -> None:
        assert self._remarks(_BL, dnsbl_listed=900, dnsbl_alone=100, dnsbl_back=19, dnsbl_errors=99) == []

    def test_a_list_that_decides_nothing_can_be_removed(self) -> None:
        """But not all such lists at once: each may only be superfluous because of the other."""
        (remark,) = self._remarks(_BL, dnsbl_listed=900, dnsbl_alone=0)
        assert remark.startswith(
            "alone it deferred no stranger, so bley decides the same without it; remove such lists one"
        )

    def test_an_allowlist_that_decides_nothing_can_be_removed(self) -> None:
        counts = _counts("wl.example", dnswl_queries=2000, dnswl_listed=7)
        (remark,) = list_remarks(_of(counts, _WL), observes=False)
        assert remark.startswith("alone it let no stranger pass, so")
        (remark,) = list_remarks(_of(counts, _WL), observes=True)
        assert remark.startswith("alone it would have let no stranger pass, so")

    def test_so_can_one_that_lists_nobody(self) -> None:
        (remark,) = self._remarks(_BL, dnsbl_alone=0)
        assert remark == "it listed no stranger, so bley decides the same without it"

    def test_a_list_whose_mail_often_comes_back_delays_good_mail(self) -> None:
        (remark,) = self._remarks(_BL, dnsbl_alone=20, dnsbl_back=5)
        assert remark.startswith("5 of 20 mails that it alone deferred came back: it likely delays good mail; with a")
        assert not self._remarks(_BL, dnsbl_alone=4, dnsbl_back=4)
        assert not self._remarks(_BL, dnsbl_alone=26, dnsbl_back=5)

    def test_in_mode_observe_mail_that_comes_again_proves_nothing(self) -> None:
        assert self._remarks(_BL, dnsbl_alone=20, dnsbl_back=20, observes=True) == []

    def test_many_errors_are_named(self) -> None:
        assert self._remarks(_BL, dnsbl_errors=240) == ["12.0% of its queries had no usable answer"]
        assert not self._remarks(_BL, dnsbl_queries=10, dnsbl_errors=10)

    def test_none_on_a_list_that_was_removed(self) -> None:
        assert self._remarks(dnsbl_alone=20, dnsbl_back=20, dnsbl_errors=500) == []


def test_counts_of_decisions_are_no_lists() -> None:
    assert list_figures({Count(60, _NOON, "found", "dnsbl"): 1, Count(60, _NOON, "pass", "known"): 1}, {}) == []
