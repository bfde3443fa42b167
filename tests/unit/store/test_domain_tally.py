"""Counts by domain are added up for some seconds, and taken in slices."""

from datetime import timedelta

import pytest

from bley.core.history.statistics import Count
from bley.metrics import REGISTRY
from bley.store import domain_tally
from bley.store.domain_tally import COLLECT_SECONDS, DomainTally
from tests.fakes import NOON

_DAY = int(NOON.timestamp()) // 86400 * 86400
_MAIL = "to example.org from example.com"
_TO = "to example.org"


def _key(kind: str, name: str = "example.org") -> Count:
    return Count(86400, _DAY, kind, name)


def test_equal_events_add_up() -> None:
    tally = DomainTally()
    tally.add_known(NOON, [_MAIL, _MAIL, _TO])
    tally.add(NOON, _MAIL, ["pass"])
    assert tally.take(0, all_now=False) == {_key("to-pass"): 4, _key("from-pass", "example.com"): 3}
    assert len(tally) == 0


def test_later_ones_wait() -> None:
    """A busy domain is written once in ten seconds."""
    tally = DomainTally()
    tally.add(NOON, _TO, ["pass"])
    tally.take(100, all_now=False)
    tally.add(NOON, _TO, ["pass"])
    assert tally.take(100 + COLLECT_SECONDS - 0.1, all_now=False) == {}
    assert tally.take(100 + COLLECT_SECONDS, all_now=False) == {_key("to-pass"): 1}


def test_at_the_end_none_waits() -> None:
    tally = DomainTally()
    for _ in range(2):
        tally.add(NOON, _TO, ["pass"])
        assert tally.take(0, all_now=True) == {_key("to-pass"): 1}


def test_known_mail_counts_for_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """However its domains are collected."""
    monkeypatch.setattr(domain_tally, "MAX_KNOWN", 2)
    tally = DomainTally()
    for hours in (0, 12):
        tally.add_known(NOON + timedelta(hours=hours), [f"to {number}.example.org" for number in range(3)])
        tally.add_known(NOON + timedelta(hours=hours), [_TO, ""])
    taken = tally.take(0, all_now=False)
    assert {(count.start - _DAY, number) for count, number in taken.items()} == {(0, 1), (86400, 1)}
    assert len(taken) == 8


def test_many_are_taken_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain_tally, "MAX_SLICE", 3)
    tally = DomainTally()
    for number in range(7):
        tally.add(NOON, f"to {number}.example.org", ["pass"])
    taken: list[int] = []
    while not taken or tally.ready_slices:
        taken.append(len(tally.take(0, all_now=False)))
    assert taken == [3, 3, 1]


def test_what_does_not_fit_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain_tally, "MAX_COUNTS", 2)
    before = REGISTRY.get_sample_value("bley_store_dropped_total", {"what": "counts"}) or 0
    tally = DomainTally()
    for number in (0, 1, 2, 1):
        tally.add(NOON, f"to {number}.example.org", ["pass"])
    assert len(tally) == 2
    assert (REGISTRY.get_sample_value("bley_store_dropped_total", {"what": "counts"}) or 0) - before == 1
