"""The books of a soak: correct ones balance, and each missing thing is reported."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from bench.books import Books
from bench.mixed_mail import Asked

from bley.core.decision import Decision, DecisionEntry
from bley.core.greylist import Lifetimes, Sighting, Standing, Status
from bley.core.mail import Request, Triplet, parse_address
from bley.core.names.host_kind import server_domain
from bley.core.reasons import Reason
from bley.core.triplet import TripletRules
from bley.ports import utc_now
from bley.settings.database import Database, parse_database
from bley.store.engine import counts_per_span
from bley.store.opening import open_engine

PASSED = Request("RCPT", "", "192.0.2.1", "mx.example.com", "mx.example.com", "a@example.com", "b@d", "soak.1")
DEFERRED = Request("RCPT", "", "192.0.2.2", "unknown", "friend", "c@example.com", "b@d", "soak.2")
LINES = [
    "2026-11-29T12:00:00Z bley[1]: action=pass, reason=clean, client_name=mx.example.com, instance=soak.1",
    "2026-11-29T12:00:00Z bley[1]: action=greylist, reason=new, client_name=unknown, why=helo, instance=soak.2",
]
METRICS = {("pass", "clean"): 1, ("greylist", "helo"): 1}
DEFERS = b"action=DEFER_IF_PERMIT greylisted"


def triplet(request: Request) -> Triplet:
    rules, address = TripletRules(), parse_address(request.client_address)
    assert address
    client = rules.client(address, server_domain(request.verified_name, address))
    return Triplet(client, rules.sender(request.sender), rules.recipient(request.recipient))


async def fill(database: Database, *, has_record: bool) -> None:
    engine, now = open_engine(database), utc_now()
    await engine.prepare()
    decisions = [
        Decision(PASSED, Reason.CLEAN),
        Decision(DEFERRED, Reason.HELO, defers=True, standing=Standing.NEW),
    ]
    kept = [DecisionEntry(now, each.outcome(observes=False), each, "", "") for each in decisions]
    minute = int(now.timestamp()) // 60
    counts: dict[tuple[int, str, str], int] = {(minute, each.outcome, each.decision.reason.value): 1 for each in kept}
    await engine.add_decisions(kept, counts_per_span(counts))
    if has_record:
        await engine.transact([Sighting(triplet(DEFERRED), Status.GREYLISTED, now, Lifetimes())], [])
    await engine.close()


def faults(
    folder: Path,
    lines: list[str],
    asked: Asked,
    *,
    has_record: bool = True,
    metrics: Mapping[tuple[str, str], int] = METRICS,
) -> list[str]:
    database, log = parse_database(f"sqlite:///{folder}/bley.db"), folder / "bley.log"
    log.write_text("\n".join(lines) + "\n")
    asyncio.run(fill(database, has_record=has_record))
    books = Books([log], database, asked)
    asyncio.run(books.check(metrics, dropped=0))
    return books.faults


@pytest.fixture
def asked() -> Asked:
    return Asked({"soak.1": (PASSED, b"action=DUNNO"), "soak.2": (DEFERRED, DEFERS)})


def test_what_is_right_balances(tmp_path: Path, asked: Asked) -> None:
    assert faults(tmp_path, LINES, asked) == []


def test_an_answer_without_a_line_is_told(tmp_path: Path, asked: Asked) -> None:
    told = faults(tmp_path, LINES[1:], asked)
    assert told[0] == f"0 lines in the log for {PASSED}"
    assert "bley_decisions_total: 1 of ('pass', 'clean'), but 0 lines in the log" in told
    assert "the store's counts: 1 of ('pass', 'clean'), but 0 lines in the log" in told


def test_a_line_that_stands_twice_is_told(tmp_path: Path, asked: Asked) -> None:
    assert faults(tmp_path, [*LINES, LINES[0]], asked)[0] == f"2 lines in the log for {PASSED}"


def test_an_answer_that_is_logged_otherwise_is_told(tmp_path: Path, asked: Asked) -> None:
    asked.answered["soak.1"] = PASSED, DEFERS
    assert any("logged ('pass', 'clean')" in each for each in faults(tmp_path, LINES, asked))


def test_a_deferral_without_a_record_is_told(tmp_path: Path, asked: Asked) -> None:
    assert faults(tmp_path, LINES, asked, has_record=False) == [f"no record for {DEFERRED}"]


def test_metrics_that_differ_are_told(tmp_path: Path, asked: Asked) -> None:
    told = faults(tmp_path, LINES, asked, metrics={**METRICS, ("pass", "clean"): 2})
    assert told == ["bley_decisions_total: 2 of ('pass', 'clean'), but 1 lines in the log"]


def test_a_line_of_a_request_that_nobody_sent_is_told(tmp_path: Path, asked: Asked) -> None:
    del asked.answered["soak.1"]
    assert faults(tmp_path, LINES, asked) == ["1 lines in the log for 'soak.1', which nobody asked"]


def test_a_peer_that_left_may_have_a_line_or_none(tmp_path: Path, asked: Asked) -> None:
    asked.given_up["soak.1"] = asked.answered.pop("soak.1")[0]
    asked.given_up["soak.3"] = PASSED
    assert faults(tmp_path, LINES, asked) == []


def test_a_traceback_in_the_log_is_told(tmp_path: Path, asked: Asked) -> None:
    assert faults(tmp_path, [*LINES, "bley[1]: internal error, answered DUNNO"], asked) == [
        "in the log: bley[1]: internal error, answered DUNNO"
    ]
