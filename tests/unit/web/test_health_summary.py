"""Is bley well?"""

from datetime import timedelta

import pytest

from bley.checks.lists.report import ListReport
from bley.core.history.silence import Silence
from bley.status import StateReport
from bley.web.health_summary import Level, summarize_health
from tests.fakes import ILL_LIST, NOON, WELL_LIST, FakeBley


def lists(*reports: ListReport, is_silent: bool = False, resolver_fault: str = "") -> StateReport:
    return FakeBley().state._replace(lists=list(reports), dns_is_silent=is_silent, resolver_fault=resolver_fault)


@pytest.mark.parametrize(
    ("report", "fault", "level", "sentence"),
    [
        (lists(), "", Level.GOOD, "bley is well: store and resolver answer."),
        (
            lists(WELL_LIST, WELL_LIST),
            "",
            Level.GOOD,
            "bley is well: store and resolver answer, all 2 DNS lists are well.",
        ),
        (lists(WELL_LIST, ILL_LIST), "", Level.DOUBTFUL, "bley answers, but 1 of 2 DNS lists is set aside."),
        (lists(ILL_LIST, ILL_LIST), "", Level.DOUBTFUL, "bley answers, but 2 of 2 DNS lists are set aside."),
        (lists(is_silent=True), "", Level.DOUBTFUL, "bley answers, but the resolver gives no usable answer."),
        (
            lists(ILL_LIST, resolver_fault="it filters"),
            "",
            Level.DOUBTFUL,
            "bley answers, but the resolver alters the answers of DNS lists and 1 of 1 DNS lists is set aside.",
        ),
        (lists(), "gone", Level.BAD, "bley answers, but the store is unavailable."),
        (
            lists(ILL_LIST, is_silent=True),
            "gone",
            Level.BAD,
            (
                "bley answers, but the store is unavailable and the resolver gives no usable answer"
                " and 1 of 1 DNS lists is set aside."
            ),
        ),
        (None, "", Level.BAD, "No worker of bley answers."),
    ],
)
def test_one_sentence_says_it(report: StateReport | None, fault: str, level: Level, sentence: str) -> None:
    told = summarize_health(report, "bley.db", fault)
    assert (told.level, told.sentence) == (level, sentence)


def test_lists_that_are_being_tested_are_not_ill() -> None:
    untested = ListReport(**{**WELL_LIST, "state": "untested", "state_ipv6": "untested"})
    assert summarize_health(lists(untested), "", "").sentence == "bley answers, but its DNS lists are being tested."


def test_a_dead_list_is_worse_than_an_ill_one() -> None:
    dead = ListReport(**{**WELL_LIST, "state": "dead", "state_ipv6": "dead"})
    assert summarize_health(lists(ILL_LIST, dead), "", "").level is Level.BAD


def test_each_part_says_what_is_wrong_and_what_to_do() -> None:
    store, resolver = summarize_health(lists(is_silent=True), "bley.db", "disk I/O error").parts
    assert "disk I/O error" in store.advice
    assert "on_store_error" in store.advice
    assert "resolver" in resolver.advice


def test_gateway_is_shown_with_its_address() -> None:
    names = frozenset("abcde")
    report = lists()._replace(helo_names=(("172.18.0.1", names), ("10.0.0.1", frozenset("a"))))
    told = summarize_health(report, "bley.db", "")
    assert (told.level, told.sentence) == (
        Level.DOUBTFUL,
        "bley answers, but the gateway 172.18.0.1 hides the real clients.",
    )
    assert "docs/install.md" in told.parts[2].advice


def test_a_resolver_that_alters_answers_is_named_with_the_remedy() -> None:
    fault = "the resolver 192.0.2.53 answers 203.0.113.99 for names that do not exist"
    _, resolver = summarize_health(lists(resolver_fault=fault), "bley.db", "").parts
    assert fault in resolver.advice
    assert "unbound" in resolver.advice


def test_a_list_shows_what_bley_lists_does() -> None:
    (told,) = summarize_health(lists(WELL_LIST), "", "").lists
    assert (told.state, told.answers, told.listed) == ("well, IPv4 only", 10, 0.3)


def test_the_silence_of_one_node_names_it() -> None:
    """Of a node only the hour of its last request is known."""
    silence = Silence(NOON, timedelta(0), timedelta(hours=5), "mx2.example.org")
    found = summarize_health(lists(), "", "", [silence])
    assert found.sentence == "bley answers, but the mail server of mx2.example.org has not asked for 5 h."
    assert found.parts[2].advice == (
        "The last request came before 2026-11-23 12:00:00 UTC; usually it asks every hour. "
        "Look whether Postfix or Exim runs on mx2.example.org, and run bley doctor"
    )
    found = summarize_health(lists(), "", "", [silence._replace(node="")])
    assert found.sentence == "bley answers, but the mail server has not asked for 5 h."
    assert "came at 2026-11-23 12:00:00 UTC" in found.parts[2].advice
