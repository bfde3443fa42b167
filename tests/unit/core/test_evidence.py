"""Findings, whose texts strangers may write."""

import pytest
from pydantic_core import to_json

from bley.core.decision import Decision, DecisionEntry
from bley.core.evidence import LONGEST_DETAIL, Evidence, Finding, found, shortened
from bley.core.findings import LOG_FIELDS, FindingKind
from bley.core.mail import LONGEST_VALUE, Request
from bley.core.reasons import Reason
from tests.fakes import NOON


@pytest.mark.parametrize("length", [0, LONGEST_DETAIL])
def test_a_detail_stays_as_it_is(length: int) -> None:
    assert Finding(0, "a" * length).detail == "a" * length


@pytest.mark.parametrize(
    "finding",
    [Finding(0, "a" * 60_000), Finding(None, "a" * 60_000), found(FindingKind.SPF_FAIL, "a" * 60_000)],
    ids=str,
)
def test_a_long_detail_is_cut_however_it_is_made(finding: Finding) -> None:
    assert finding.detail == f"{'a' * (LONGEST_DETAIL - 1)}…"
    assert finding._replace(score=2).detail == finding.detail
    assert finding._replace(detail="b" * 60_000).detail == f"{'b' * (LONGEST_DETAIL - 1)}…"


def test_a_finding_compares_by_its_values() -> None:
    assert Finding(1, "a") == Finding(1, "a", (), None, True)
    assert shortened("a" * 60_000) == shortened("a" * 50_000)


def test_what_is_kept_of_a_decision_is_bounded_whatever_strangers_write() -> None:
    """Each character may be escaped by six."""
    worst = "\x01" * 60_000
    evidence: Evidence = {check: Finding(1, worst) for check in LOG_FIELDS}
    request = Request(*[worst[:LONGEST_VALUE]] * 9)
    kept = DecisionEntry(NOON, "pass", Decision(request, Reason.CLEAN, evidence=evidence), "s", "r")
    assert len(to_json(kept.details)) < len(LOG_FIELDS) * (LONGEST_DETAIL * 6 + 100)


@pytest.mark.parametrize(
    ("finding", "is_pass"),
    [
        (Finding(0, "pass"), True),
        (Finding(None, "no answer in time"), False),
        (found(FindingKind.SPF_NO_PASS, "none"), False),
        (found(FindingKind.SPF_FAIL, "fail")._replace(score=0), False),
    ],
)
def test_pass_is_neither_unknown_nor_a_finding_that_counts_nothing(finding: Finding, is_pass: bool) -> None:
    assert finding.is_pass is is_pass
