"""The judgement without DNS: unknown where a fact is missing."""

from ipaddress import ip_address

from bley.checks.helo import NO_IDENTITY
from bley.checks.request import check_request
from bley.core.findings import Check, FindingKind
from bley.core.mail import Request
from bley.core.policy import Thresholds
from bley.core.reasons import Reason
from bley.core.scores import DEFAULT
from bley.trial.facts import NO_HELO, NO_NAME
from bley.trial.judging import LackingChecks, OfflineChecks, gather_offline, judge_offline
from bley.trial.trial import run_now

ADDRESS = ip_address("192.0.2.1")
LINE = Request(
    client_address="192.0.2.1",
    client_name="192-0-2-1.dsl.example.net",
    helo_name="192-0-2-1.dsl.example.net",
    sender="a@example.com",
    recipient="b@example.org",
)


def test_with_all_facts_it_is_what_the_daemon_finds() -> None:
    assert gather_offline(LINE, ADDRESS) == check_request(LINE, ADDRESS)
    assert judge_offline(LINE, ADDRESS, Thresholds())[1].reason is not Reason.CLEAN


def test_without_a_helo_nothing_is_found_by_it() -> None:
    evidence = gather_offline(LINE._replace(helo_name=""), ADDRESS, lacks=NO_HELO)
    assert evidence[Check.HELO].score is None
    assert evidence[Check.DYNAMIC].score == 1
    assert FindingKind.HELO_LOOKS_DYNAMIC not in evidence
    nameless = LINE._replace(helo_name="", client_name="unknown")
    found = gather_offline(nameless, ADDRESS, lacks=NO_HELO)
    assert {check for check, finding in found.items() if finding.score} <= {FindingKind.CLIENT_HAS_NO_NAME}


def test_without_a_helo_the_daemon_s_checks_find_nothing_by_it_either() -> None:
    checks = LackingChecks(OfflineChecks(NO_IDENTITY, DEFAULT, [0]), [NO_HELO])
    gathered = run_now(checks.gather(LINE._replace(helo_name=""), ADDRESS))
    assert gathered.request == LINE._replace(helo_name="")
    assert gathered.evidence == gather_offline(LINE._replace(helo_name=""), ADDRESS, lacks=NO_HELO)
    assert run_now(LackingChecks(checks.checks, [0]).gather(LINE, ADDRESS)).evidence == gather_offline(LINE, ADDRESS)


def test_without_a_name_nothing_is_found_by_it() -> None:
    request = LINE._replace(client_name="unknown", helo_name="mail.example.com")
    evidence = gather_offline(request, ADDRESS, lacks=NO_NAME)
    assert {check: evidence[check].score for check in (Check.HELO, Check.DYNAMIC)} == {
        Check.HELO: None,
        Check.DYNAMIC: None,
    }
