"""How a list does, in the words of `bley lists` and the dashboard."""

import pytest

from bley.checks.lists.descriptions import is_ill, listed_share, shown_state
from bley.checks.lists.report import ListReport
from tests.fakes import WELL_LIST


def _report(state: str, state_ipv6: str) -> ListReport:
    return {**WELL_LIST, "state": state, "state_ipv6": state_ipv6}


@pytest.mark.parametrize(
    ("state", "state_ipv6", "words", "ill"),
    [
        ("well", "well", "well", False),
        ("well", "not served", "well, IPv4 only", False),
        ("well", "ill", "well, for IPv6 ill", True),
        ("well", "untested", "well, for IPv6 untested", True),
        ("not served", "well", "well, IPv6 only", False),
        ("not served", "ill", "ill, IPv6 only", True),
        ("ill", "well", "ill", True),
        ("ill", "not served", "ill", True),
        ("untested", "untested", "untested", True),
    ],
)
def test_a_list_is_well_where_it_is_for_all_that_it_serves(state: str, state_ipv6: str, words: str, ill: bool) -> None:
    assert (shown_state(_report(state, state_ipv6)), is_ill(_report(state, state_ipv6))) == (words, ill)


@pytest.mark.parametrize(("state", "ill"), [("well", False), ("ill", True), ("untested", True), ("dead", True)])
def test_a_domain_list_has_one_state(state: str, ill: bool) -> None:
    report: ListReport = {**_report(state, "not served"), "setting": "domain_lists"}
    assert (shown_state(report), is_ill(report)) == (state, ill)


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        ({"listed": 1, "clear": 3}, 0.25),
        ({"listed": 2}, 1.0),
        ({"clear": 2}, 0.0),
        ({"failed": 7, "listed": 1, "clear": 1}, 0.5),
        ({"failed": 7}, None),
        ({}, None),
    ],
)
def test_a_share_is_of_the_answers_that_tell(answers: dict[str, int], share: float | None) -> None:
    assert listed_share({**WELL_LIST, "answers": answers}) == share
