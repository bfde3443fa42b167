"""A decision as text."""

from datetime import timedelta
from typing import Any

import pytest

from bley.core.findings import FindingKind
from bley.core.greylist import Record, Status
from bley.core.history.steps import describe_record, describe_request, describe_triplet, describe_verdict, finding_steps
from bley.core.mail import Request, Triplet
from tests.fakes import NOON


def test_a_request_and_its_triplet() -> None:
    request = Request(client_address="192.0.2.1", client_name="mx.example.com", helo_name="friend", sender="a@b")
    assert describe_request(request) == "mx.example.com [192.0.2.1], HELO friend, from <a@b> to <>"
    assert describe_request(Request()) == "no client_name [], HELO (none), from <> to <>"
    assert describe_triplet(Triplet("example.com", "a@b", "c@d")) == "client example.com, sender <a@b>, recipient <c@d>"


def test_a_record() -> None:
    times = "first seen 2026-11-23 12:00:00 UTC, last seen 2026-11-23 12:02:00 UTC"
    seen = NOON, NOON + timedelta(minutes=2)
    assert describe_record(Record(Status.GREYLISTED, *seen, attempts=2)) == f"greylisted, {times}, 2 early retries"
    assert describe_record(Record(Status.CLEAN, *seen)) == f"clean, {times}"
    assert describe_record(None) == "no record"


class TestFindings:
    def test_none_where_nothing_was_judged(self) -> None:
        assert finding_steps({}, str) == []

    def test_a_check_that_was_skipped_for_no_reason_worth_a_line_has_none(self) -> None:
        """Most administrators have no domain lists."""
        steps = finding_steps({"helo": {"score": 0, "detail": "match"}}, lambda check: "" if "list" in check else "no")
        assert [name for name, _ in steps if name] == ["helo", "dyn", "s_eq_r", "spf", "dnsbl", "dnswl", "others"]

    def test_each_check_has_its_line(self) -> None:
        """A list has one more line for its text; minor checks stand below `others`."""
        lists = [
            {"list": "bl.example", "is": "bl.example lists it", "says": "see http://bl.example/", "weight": 1},
            {"list": "wl.example", "is": "wl.example does not list it", "says": "", "weight": 0},
        ]
        findings: dict[str, Any] = {
            "helo": {"score": 2, "detail": "no match"},
            "spf": {"score": None, "detail": "no answer"},
            "dnsbl": {"score": 1, "lists": lists},
            "helo-not-fqdn": {"score": 1, "detail": "friend has no domain"},
        }
        rest = ", ".join(kind for kind in FindingKind if kind.row.check is None and kind != "helo-not-fqdn")
        assert finding_steps(findings, lambda check: f"no {check}") == [
            ("helo", "2  no match"),
            ("dyn", "-  no dyn"),
            ("s_eq_r", "-  no s_eq_r"),
            ("spf", "?  no answer"),
            ("dnsbl", "1  bl.example lists it"),
            ("", "     it says: see http://bl.example/"),
            ("", "   wl.example does not list it"),
            ("domain-list", "-  no domain-list"),
            ("dnswl", "-  no dnswl"),
            ("others", "1  helo-not-fqdn: friend has no domain"),
            ("", f"0  {rest}"),
        ]


@pytest.mark.parametrize(
    ("details", "verdict"),
    [
        ({"outcome": "greylist", "wait_seconds": 299.6}, "defer, reason x; a retry passes after 300 s"),
        ({"outcome": "would-defer"}, "pass, because mode = observe defers nothing; else defer, reason x"),
        ({"outcome": "pass", "entry": "clients:1:a"}, "pass, reason x (clients:1:a)"),
        ({"outcome": "pass", "delay_seconds": 421.0}, "pass, reason x; delayed for 421 s"),
    ],
)
def test_a_verdict(details: dict[str, Any], verdict: str) -> None:
    assert describe_verdict(reason="x", **details) == verdict
