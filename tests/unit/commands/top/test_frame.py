"""What `bley top` shows."""

import io
from datetime import timedelta

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


def _drawn(frame: TopFrame = FRAME) -> list[str]:
    console = Console(file=io.StringIO(), width=200, markup=False, highlight=False, emoji=False)
    console.print(draw(frame))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


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
