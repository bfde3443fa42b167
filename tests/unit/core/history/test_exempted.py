"""The deferred mail that an entry of a list file would have exempted."""

from typing import Any

import pytest

from bley.core.history.exempted import ExemptedCount, ExemptedMail, Exemption, count_exempted
from bley.core.history.search import StoredDecision
from tests.fakes import NOON

PASS = {"findings": {"spf": {"score": 0, "detail": "pass: matched"}}}
GUESS = {"findings": {"spf": {"score": 0, "detail": "pass: best guess, matched"}}}
FAIL = {"findings": {"spf": {"score": 1, "detail": "fail"}}}


def _deferral(**changes: Any) -> StoredDecision:
    details = {"triplet": ["example.com", "john@mail.example.com", "jane@example.org"], **changes.pop("details", {})}
    words = "192.0.2.1", "mx.example.com", "friend", "John@mail.example.com", "Jane+x@example.org", "", ""
    return StoredDecision("1", NOON, "greylist", "helo", *words, details)._replace(**changes)


def _count(kind: str, entry: str, *decisions: StoredDecision) -> ExemptedCount:
    (count,) = count_exempted([Exemption(kind, entry)], decisions or [_deferral()])
    return count


@pytest.mark.parametrize(
    ("kind", "entry", "number"),
    [
        ("sender", "mail.example.com", 1),
        ("sender", "example.com", 1),
        ("sender", "l.example.com", 0),
        ("sender", "john@mail.example.com", 1),
        ("client", "example.com", 1),
        ("client", "192.0.2.1", 1),
        ("client", "192.0.2.10", 0),
        ("client", "mx2.example.com", 0),
        ("recipient", "jane@example.org", 1),
        ("recipient", "Jane+x@example.org", 1),
        ("recipient", "john@mail.example.com", 0),
    ],
)
def test_an_entry_exempts_what_it_would_in_its_list_file(kind: str, entry: str, number: int) -> None:
    assert _count(kind, entry) == ExemptedCount(number, is_at_least=False)


def test_early_retries_and_passes_are_no_further_mail() -> None:
    """In `mode = observe` mail is not deferred, but it would have been."""
    others = [_deferral(reason="early"), _deferral(outcome="pass", reason="waited"), _deferral(outcome="would-defer")]
    assert _count("sender", "example.com", _deferral(), *others).number == 2


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (PASS, ExemptedCount(1, is_at_least=False)),
        (GUESS, ExemptedCount(0, is_at_least=False)),
        (FAIL, ExemptedCount(0, is_at_least=False)),
        ({}, ExemptedCount(0, is_at_least=True)),
    ],
)
def test_with_spf_only_mail_that_passed_it_is_exempt(details: dict[str, Any], expected: ExemptedCount) -> None:
    """Where the checks decided before SPF, it is unknown."""
    assert _count("sender", "spf:example.com", _deferral(details=details)) == expected


@pytest.mark.parametrize(
    ("mail", "words"),
    [
        (ExemptedMail(ExemptedCount(12, False), 28), "12 deferred mails of the last 28 days"),
        (ExemptedMail(ExemptedCount(1, True), 1), "at least 1 deferred mail of the last day"),
        (
            ExemptedMail(ExemptedCount(2, False), 28, observes=True),
            "2 mails of the last 28 days that would have been deferred",
        ),
    ],
)
def test_it_is_told_in_words(mail: ExemptedMail, words: str) -> None:
    assert str(mail) == f"would have exempted {words}"
