"""The table of findings is whole: each row has all that the rest of bley reads from it."""

import pytest

from bley.checks.request import check_request
from bley.core.findings import (
    CAUSES,
    FIXES,
    JUDGED,
    KINDS,
    LOG_FIELDS,
    REASON_OF,
    REASONS,
    RFC_CHECKS,
    Check,
    FindingKind,
)
from bley.core.mail import Request, parse_address
from bley.core.reasons import OF_DOMAINS, Reason
from bley.core.scores import MOST


@pytest.mark.parametrize("kind", FindingKind, ids=str)
def test_a_row_is_whole(kind: FindingKind) -> None:
    row = kind.row
    assert KINDS[row.name] is kind
    assert 0 <= row.score <= MOST
    assert 0 <= row.bley2_score <= MOST
    assert row.says
    assert not row.says.endswith(".")
    assert row.rule
    assert row.source
    assert row.fix or kind.reason in (Reason.SPF, FindingKind.SENDER_IS_RECIPIENT), "nothing says what to do"
    assert row.check or row.reason is None, "findings that share a reason share a log field"


def test_each_finding_has_a_reason_and_each_reason_a_row() -> None:
    assert {kind.reason for kind in FindingKind} == set(REASON_OF.values())
    assert set(REASONS) == {*Reason} | set(REASON_OF.values())
    assert {REASONS[kind.reason].answer for kind in FindingKind} == {"DEFER_IF_PERMIT"}
    assert set(FIXES) == set(REASON_OF.values())
    assert set(REASON_OF.values()) < JUDGED


def test_each_reason_that_defers_is_a_cause_unless_it_repeats_one() -> None:
    assert {*REASON_OF.values(), "dnsbl", *OF_DOMAINS, "classic", "store-error"} == CAUSES


def test_reasons_stand_in_the_order_of_the_steps() -> None:
    order = list(REASONS)
    assert order[0] == "not-rcpt"
    assert order[-3:] == ["clean", "store-error", "internal-error"]
    assert order.index("dnsbl") < order.index("helo") < order.index("helo-looks-dynamic") < order.index("clean")


def test_the_checks_that_are_always_logged_are_logged_first() -> None:
    assert LOG_FIELDS[: len(Check)] == tuple(Check)
    assert set(LOG_FIELDS) == {*Check, *RFC_CHECKS}


def test_what_makes_a_client_look_unlike_a_server_is_about_the_client() -> None:
    about = {kind for kind in FindingKind if kind.row.is_about_client}
    assert about == {
        FindingKind.HELO_MISMATCH,
        FindingKind.CLIENT_LOOKS_DYNAMIC,
        FindingKind.CLIENT_HAS_NO_NAME,
        FindingKind.CLIENT_NAME_UNVERIFIED,
    }
    address = parse_address("192.0.2.1")
    assert address
    found = check_request(Request("RCPT", "", "192.0.2.1", "unknown", "x"), address)
    assert found[Check.HELO].kind in about
