"""`bley graph` on real stores."""

import asyncio
import contextlib
import os
import pty
import resource
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bley.core.decision import Decision, DecisionEntry
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check, FindingKind
from bley.core.history.statistics import count_keys
from bley.core.mail import Request
from bley.core.reasons import Reason
from bley.settings.database import parse_database
from bley.store.engine import counts_per_span
from bley.store.opening import open_engine
from tests.free_ports import free_port
from tests.integration.running_bley import WAIT_SECONDS, Bley
from tests.integration.stores import Servers
from tests.integration.warm_start import start_bley

REQUEST = Request(client_address="192.0.2.1", helo_name="friend", sender="a@example.com", recipient="b@example.org")
EVIDENCE: Evidence = {Check.HELO: Finding(2, "friend is not the client's name", kind=FindingKind.HELO_MISMATCH)}
DECISIONS = (
    *(Decision(REQUEST, Reason.KNOWN) for _ in range(6)),
    *(Decision(REQUEST, Reason.HELO, defers=True, evidence=EVIDENCE) for _ in range(2)),
    Decision(REQUEST, Reason.EARLY, defers=True),
    Decision(REQUEST, Reason.WAITED, delayed=timedelta(minutes=6)),
)
"""The decisions, in these shares."""


async def keep(url: str, number: int, length: timedelta) -> None:
    """Store this number of decisions, evenly over this time until now."""
    engine = open_engine(parse_database(url))
    await engine.prepare()
    now, minutes = datetime.now(UTC), Counter[tuple[int, str, str]]()
    for start in range(0, number, 1000):
        kept = []
        for place in range(start, min(start + 1000, number)):
            decision, at = DECISIONS[place % len(DECISIONS)], now - length * (place / number)
            outcome = decision.outcome(observes=False)
            kept.append(DecisionEntry(at, outcome, decision, REQUEST.sender, REQUEST.recipient))
            minutes.update((int(at.timestamp()) // 60, *each) for each in count_keys(decision, outcome))
        await engine.add_decisions(kept, {})
    await engine.add_decisions([], counts_per_span(minutes))
    await engine.close()


def new_url(servers: Servers, engine: str, folder: Path) -> str:
    return f"sqlite:///{folder}/bley.db" if engine == "sqlite" else servers.new_url(engine)


class Drawing:
    """`bley graph` with a SQLite store in this folder."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        self.url, self.folder = f"sqlite:///{place}/bley.db", place / "graphs"
        self.bley = Bley(place, database=self.url)

    def seconds(self) -> float:
        """Return the processor time that it takes."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.bley.run("graph", "-d", str(self.folder))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "redis"])
def test_it_draws_what_any_engine_has_kept(servers: Servers, tmp_path: Path, engine: str) -> None:
    url = new_url(servers, engine, tmp_path)
    asyncio.run(keep(url, 1000, timedelta(hours=6)))
    bley = Bley(tmp_path, database=url)
    folder = tmp_path / "graphs"
    assert bley.run("graph", "-d", str(folder), "--format", "svg") == f"{folder}/index.html\n"
    for period in ("12h", "24h", "7d", "28d", "365d"):
        mail = folder.joinpath(f"mail-{period}.svg").read_text()
        for words in (
            "1,000 requests",
            "at once: 600 (60.0%)",
            "after its wait: 100 (10.0%)",
            "deferred: 200 (20.0%)",
        ):
            assert words in mail
        assert "helo: 200 (66.7%)" in folder.joinpath(f"deferred-{period}.svg").read_text()
        assert "helo-mismatch: 200" in folder.joinpath(f"found-{period}.svg").read_text()


@pytest.mark.parametrize(("scheme", "shown"), [("postgresql", "pgsql"), ("redis", "redis")])
def test_a_store_that_is_away_is_said_in_a_line(tmp_path: Path, scheme: str, shown: str) -> None:
    port = free_port()
    bley = Bley(tmp_path, database=f"{scheme}://bley@127.0.0.1:{port}/0")
    printed = bley.run("graph", "-d", str(tmp_path / "graphs"), status=1)
    assert printed.startswith(f"Error: {shown} 0 at 127.0.0.1:{port}: ")
    assert printed.count("\n") == 1
    assert not tmp_path.joinpath("graphs").exists()


def test_a_year_takes_little_longer_than_a_quarter_of_an_hour(tmp_path: Path) -> None:
    """There is mail in each hour of the year. The decisions themselves, which may be millions, are not even read."""
    hours, minutes = (Drawing(tmp_path / name) for name in ("hours", "minutes"))
    asyncio.run(keep(hours.url, 20_000, timedelta(days=364)))
    asyncio.run(keep(minutes.url, 30, timedelta(minutes=15)))
    for each in (hours, minutes):
        with contextlib.closing(sqlite3.connect(each.bley.file.with_name("bley.db"))) as database:
            database.execute("DROP TABLE decisions")
    assert hours.seconds() < 2 * minutes.seconds()
    assert "20,000 requests" in hours.folder.joinpath("index.html").read_text()


@pytest.mark.parametrize("quiet", [False, True])
def test_it_shows_how_far_it_is_where_that_is_seen(tmp_path: Path, servers: Servers, quiet: bool) -> None:
    url = new_url(servers, "sqlite", tmp_path)
    asyncio.run(keep(url, 10, timedelta(hours=1)))
    bley = Bley(tmp_path, database=url)
    terminal, end = pty.openpty()
    command: list[str | Path] = ["graph", "-c", bley.file, "-d", tmp_path / "graphs", *(["-q"] if quiet else [])]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    printed = tmp_path / "printed"
    with printed.open("wb") as stdout, os.fdopen(end, "wb", buffering=0) as stderr:
        process = start_bley(command, stdout=stdout, stderr=stderr, env=environment)
    shown = _all(terminal)
    assert process.wait(WAIT_SECONDS) == 0
    assert bool(printed.read_text()) is not quiet
    assert ("drawing" in shown and "/20" in shown) is not quiet
    assert quiet <= (shown == "")


def _all(terminal: int) -> str:
    """Return all output until the terminal is closed; a terminal without a reader takes some pages only."""
    parts = []
    with os.fdopen(terminal, "rb", buffering=0) as reader, contextlib.suppress(OSError):  # Linux's form of the end
        while part := reader.read(65536):
            parts.append(part)
    return b"".join(parts).decode()
