"""The kinds of counts of DNS lists."""

import pytest

from bley.core.findings import Check
from bley.core.history.list_counts import (
    LIST_CHECKS,
    LIST_KINDS,
    ListEvent,
    back_keys,
    cause_with_lists,
    latency_kind,
    list_kind,
)
from bley.settings.settings import Settings


def test_a_kind_says_check_and_event() -> None:
    assert list_kind(Check.DNSBL, ListEvent.ALONE) == "dnsbl-alone"
    assert list_kind(Check.DNSWL, ListEvent.QUERIES) == "dnswl-queries"


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [
        (0, "5"),
        (0.005, "5"),
        (0.0051, "10"),
        (0.049, "50"),
        (1.5, "2000"),
        (2, "2000"),
        (2.001, "slower"),
        (60, "slower"),
    ],
)
def test_a_latency_counts_for_the_smallest_bound_that_covers_it(seconds: float, kind: str) -> None:
    assert latency_kind(seconds) == f"list-ms-{kind}"


def test_all_kinds_are_known_as_those_of_lists() -> None:
    """Otherwise they would be counted with the minutes and hours of decisions."""
    kinds = {list_kind(check, event) for check in LIST_CHECKS for event in ListEvent}
    assert kinds | {latency_kind(seconds / 1000) for seconds in range(5000)} == LIST_KINDS


def test_every_store_can_hold_a_kind() -> None:
    assert all(kind.isascii() and len(kind) <= 32 and " " not in kind for kind in LIST_KINDS)


@pytest.mark.parametrize(
    ("cause", "lists", "stored", "counted"),
    [
        ("dnsbl", [(Check.DNSBL, "bl.example")], "dnsbl bl.example", [("dnsbl-back", "bl.example")]),
        (
            "domain-list",
            [(Check.DOMAIN_LIST, "dbl.example")],
            "domain-list dbl.example",
            [("domain-list-back", "dbl.example")],
        ),
        (
            "fresh-domain",
            [(Check.DNSBL, "a.example"), (Check.DOMAIN_LIST, "a.example")],
            "fresh-domain dnsbl:a.example a.example",
            [("dnsbl-back", "a.example"), ("domain-list-back", "a.example")],
        ),
    ],
)
def test_a_mail_that_came_back_counts_for_the_lists_of_its_cause(
    cause: str, lists: list[tuple[Check, str]], stored: str, counted: list[tuple[str, str]]
) -> None:
    """A zone may be in two settings, and each counts by itself."""
    assert cause_with_lists(cause, lists) == stored
    assert list(back_keys(stored)) == counted


def test_a_cause_of_another_bley_makes_no_kind_of_its_own() -> None:
    assert list(back_keys("dnsbl what:ever.example")) == [("dnsbl-back", "ever.example")]
    assert list(back_keys("helo dnsbl:bl.example")) == []


def test_each_check_has_its_setting() -> None:
    assert set(LIST_CHECKS.values()) <= set(Settings.model_fields)
