"""What `bley top` shows."""

import io
from datetime import timedelta

import pytest
from rich.console import Console

from bley.checks.lists.report import ListReport
from bley.commands.top.frame import DaemonState, StoreState, TopFrame, draw
from bley.core.history.search import StoredDecision
from bley.core.history.statistics import Figures
from tests.fakes import NOON

WORDS = "192.0.2.1", "mx\x1b.example.com", "friend", "a\n@example.com", "jane@example.org", "", ""
LIST = ListReport(
    name="bl.example",
    setting="dnsbls",
    entries="bl.example",
    state="ill",
    state_ipv6="ill",
    since="",
    what="",
    last_error="",
    last_error_at=None,
    answers={"listed": 3, "clear": 4},
    median_seconds=None,
    p95_seconds=0.0123,
)
FRAME = TopFrame(
    at=NOON,
    now={("pass", "known"): 5.0, ("greylist", "helo"): 2.0, ("greylist", "early"): 1.0},
    minute={("pass", "known"): 4.0, ("greylist", "helo"): 0.5, ("pass", "clean"): 0.25},
    daemon=DaemonState(lists=[LIST]),
    store=StoreState(
        Figures(passed={"known": 30}, deferred={"helo": 12, "early": 3}),
        [StoredDecision("1", NOON - timedelta(minutes=1), "greylist", "helo", *WORDS, {})],
        17,
    ),
)


def _lines(frame: TopFrame, width: int, height: int = 1000) -> list[str]:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    console.print(draw(frame, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def _drawn(frame: TopFrame = FRAME) -> list[str]:
    return [" ".join(line.split()) for line in _lines(frame, 200)]


def test_a_frame() -> None:
    assert _drawn() == [
        "bley top 2026-11-23 12:00:00 UTC",
        "bley answers",
        "store well",
        "waiting 17",
        "",
        "requests now /s 1 min /s 15 min reason now /s 1 min /s 15 min",
        "passed 5.0 4.2 30 known 5.0 4.0 30",
        "deferred 3.0 0.5 15 helo 2.0 0.5 12",
        "all 8.0 4.8 45 early 1.0 0.0 3",
        "clean 0.0 0.2 0",
        "",
        "list state answers 95%",
        "bl.example ill 7 12.3 ms",
        "",
        "UTC outcome reason client sender recipient",
        r"11:59:00 greylist helo mx\x1b.example.com [192.0.2.1] <a\x0a@example.com> <jane@example.org>",
    ]


def test_deferrals_that_are_only_logged_have_a_row_of_their_own() -> None:
    figures = Figures(passed={"known": 30}, deferred={"helo": 12}, only_logged={"helo": 4})
    lines = _drawn(FRAME._replace(minute={("would-defer", "helo"): 0.5}, store=StoreState(figures)))
    assert [line.partition(" helo")[0] for line in lines if line.startswith(("deferred", "would defer"))] == [
        "deferred 3.0 0.0 8",
        "would defer 0.0 0.5 4",
    ]


def test_errors_are_shown() -> None:
    lines = _drawn(
        TopFrame(NOON, {}, {}, DaemonState(error="no answer"), FRAME.store._replace(waiting=None, error="x: is away"))
    )
    assert lines[1:4] == ["bley no answer", "store x: is away", "waiting -"]
    assert "passed - - 30 known - - 30" in lines


def test_faults_of_the_daemon_are_shown() -> None:
    lines = _drawn(FRAME._replace(daemon=DaemonState(dns_is_silent=True, store_is_down=True)))
    assert lines[1:3] == [
        "bley answers; the DNS does not answer",
        "store down: requests are answered by on_store_error",
    ]


def _busy_frame(ill: int = 1) -> TopFrame:
    decision = FRAME.store.latest[0]._replace(
        client_name="mail-ej1-f41.google.com", sender="bounces+123456@em1234.sendgrid.net"
    )
    kinds = ("helo-looks-dynamic", "would-defer"), ("known", "pass"), ("dnsbl", "greylist")
    latest = [decision._replace(reason=reason, outcome=outcome) for reason, outcome in kinds * 20]
    counted = Figures(
        passed={"known": 30, "known-by-spf": 3}, deferred={"helo-looks-dynamic": 12, "early": 3, "spf": 1}
    )
    lists = [LIST | {"name": f"bl{number}.example", "what": f"{number} is empty; remove it"} for number in range(ill)]
    well = [LIST | {"name": f"wl{number}.example", "state": "well", "state_ipv6": "well"} for number in range(4)]
    return FRAME._replace(
        daemon=DaemonState(lists=[*lists, *well]),
        store=StoreState(counted, latest, 17),
    )


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (109, 50), (110, 24), (120, 40)])
@pytest.mark.parametrize("ill", [0, 1, 6])
def test_every_terminal_shows_outcome_and_reason_and_what_ails_a_list(width: int, height: int, ill: int) -> None:
    lines = _lines(_busy_frame(ill), width, height)
    assert len(lines) <= height
    assert max(map(len, map(str.rstrip, lines))) <= width
    decisions = [line for line in lines if line.startswith("11:59:00")]
    assert len(decisions) >= 3
    for words in (("would-defer", "helo-looks-dynamic"), ("pass", "known"), ("greylist", "dnsbl")):
        assert any(all(word in line for word in words) for line in decisions)
    assert sum("bounces+123456@em" in line for line in lines) >= len(decisions) - 1
    text = "\n".join(lines)
    assert ("bl0.example: 0 is empty; remove it" in text) is (ill > 0)
    assert ("see `bley lists`" in text) is (ill > 3 and height < 34)


@pytest.mark.parametrize(("width", "height", "ill"), [(80, 24, 5), (80, 40, 20), (120, 24, 5), (120, 40, 40)])
def test_long_faults_of_lists_leave_room_for_a_decision(width: int, height: int, ill: int) -> None:
    frame = _busy_frame(ill)
    lists = [each | {"what": f"{each['name']} {'refuses this resolver ' * 10}"} for each in frame.daemon.lists]
    lines = _lines(frame._replace(daemon=DaemonState(lists=lists)), width, height)
    assert len(lines) <= height
    assert any(line.startswith("11:59:00") for line in lines)
    assert any("more lists are ill: see `bley lists`" in line for line in lines)


def test_a_low_terminal_counts_the_lists_that_are_well() -> None:
    assert "4 lists are well" in "\n".join(_lines(_busy_frame(0), 80, 24))
    assert "wl3.example" in "\n".join(_lines(_busy_frame(0), 80, 40))
