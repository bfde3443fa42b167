"""A search reads in steps: few queries, each of which examines a bounded number of rows."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bley.core.decision import Decision, DecisionEntry
from bley.core.greylist import Lifetimes, Record, Status
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, Search
from bley.core.mail import Request, Triplet
from bley.core.reasons import Reason
from bley.core.triplet import TripletRules
from bley.settings.database import parse_database
from bley.store.history import PartialResult
from bley.store.opening import open_engine
from bley.store.runners import ThreadRunner
from bley.store.sql_history import SqlHistory
from bley.store.sqlite_dialect import Sqlite
from bley.store.sqlite_file import open_sqlite

RULES = TripletRules()
NOW = datetime.now(UTC)
MANY = 10_000


def _triplet(number: int) -> Triplet:
    return Triplet(f"2001:db8:{number % 1000:x}:{number // 1000:x}::/64", f"a{number}@example.com", "b@example.org")


def _decision(number: int) -> DecisionEntry:
    request = Request(
        "RCPT", "", f"2001:db8::{number:x}", "unknown", "friend", f"a{number}@example.com", "b@example.org"
    )
    return DecisionEntry(
        NOW + timedelta(seconds=number // 3), "pass", Decision(request, Reason.CLEAN), request.sender, request.recipient
    )


class Counted:
    """A history that counts the statements it has sent."""

    def __init__(self, file: Path) -> None:
        database = open_sqlite(file, read_only=True)
        self.statements: list[str] = []
        sa.event.listen(database, "before_cursor_execute", self._count)
        self.history = SqlHistory(ThreadRunner(database), Sqlite(str(file)))

    def _count(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and "meta" not in statement:
            self.statements.append(statement)

    async def count(self, text: str, *, records: bool) -> int:
        """Return the number of statements that a search needs."""
        self.statements.clear()
        search = Search(text, RULES)
        await (
            self.history.records(RecordQuery(search), 50)
            if records
            else self.history.decisions(DecisionQuery(search), 50)
        )
        return len(self.statements)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("history") / "bley.db"

    async def fill() -> None:
        engine = open_engine(parse_database(f"sqlite:///{file}"))
        await engine.prepare()
        records = [(_triplet(each), Record(Status.CLEAN, NOW, NOW + timedelta(seconds=each))) for each in range(MANY)]
        await engine.unite(records, NOW, Lifetimes())
        await engine.add_decisions([_decision(each) for each in range(MANY)], {})
        await engine.close()

    asyncio.run(fill())
    return file


@pytest.fixture
async def counted(file: Path) -> AsyncIterator[Counted]:
    counted = Counted(file)
    yield counted
    await counted.history.close()


@pytest.mark.parametrize(
    "text", ["::/0", "::1", "2001:db8::/32", "::ffff:192.0.2.1", "example.com", "nosuch.example", "."]
)
async def test_a_search_for_records_needs_few_queries(counted: Counted, text: str) -> None:
    """None examines more than a bounded number of rows."""
    assert await counted.count(text, records=True) <= 8
    assert all("LIMIT" in statement for statement in counted.statements)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("::/0", 3),
        ("2001:db8::/32", 3),
        ("nosuch.example", 3),
        ("<>", 3),
        ("a9999@example.com", 3),
        ("a1@example.com", 3),
        ("::1", MANY // 1000 + 3),  # no pattern tells it from other addresses of IPv6
    ],
)
async def test_a_search_for_decisions_needs_few_queries(counted: Counted, text: str, most: int) -> None:
    assert await counted.count(text, records=False) <= most
    assert all("LIMIT" in statement for statement in counted.statements)


@pytest.mark.parametrize("text", ["nosuch.example", "nobody@example.com", "192.0.2.1", "2001:db8::/48", "<>"])
async def test_a_search_for_decisions_reads_the_index_of_texts(counted: Counted, file: Path, text: str) -> None:
    """In the order of the index, so that nothing is sorted."""
    await counted.count(text, records=False)
    with contextlib.closing(sqlite3.connect(file)) as other:
        for statement in counted.statements:
            rows = other.execute(f"EXPLAIN QUERY PLAN {statement}", [0] * statement.count("?")).fetchall()
            (plan,) = (row[3] for row in rows)
            assert plan.startswith(("SCAN", "SEARCH"))
            assert "decisions USING INDEX decisions_by_text" in plan


async def test_the_last_seen_records_are_found_wherever_they_are(counted: Counted) -> None:
    found = await counted.history.records(RecordQuery(Search("::/0", RULES)), 20)
    assert [triplet for triplet, _ in found] == [_triplet(each) for each in reversed(range(MANY - 20, MANY))]


async def test_pages_of_decisions_go_on_where_the_last_one_ended(counted: Counted) -> None:
    """Three decisions have the same instant."""
    found: list[str] = []
    before = ""
    while portion := await counted.history.decisions(DecisionQuery(), 1000, before):
        found += [each.sender for each in portion]
        before = portion[-1].number
    assert found == [f"a{each}@example.com" for each in reversed(range(MANY))]


async def test_a_page_behind_a_forgotten_decision_is_empty(counted: Counted) -> None:
    assert await counted.history.decisions(DecisionQuery(), 10, "999999999999999999") == []


async def test_a_search_ends_when_its_time_is_over(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the results so far; a search for decisions can be continued to the end."""
    monkeypatch.setattr("bley.store.history.SEARCH_SECONDS", 0.0)
    assert isinstance(await counted.history.records(RecordQuery(Search("::/0", RULES)), 10), PartialResult)
    query, before, searches = DecisionQuery(Search("a1@example.com", RULES)), "", 1
    senders: list[str] = []
    while isinstance(found := await counted.history.decisions(query, 10, before), PartialResult):
        senders += [each.sender for each in found]
        before, searches = found.before, searches + 1
    assert [*senders, *(each.sender for each in found)] == ["a1@example.com"]
    assert searches > 2


async def test_a_whole_answer_is_not_unfinished(counted: Counted) -> None:
    assert not isinstance(await counted.history.records(RecordQuery(Search("::/0", RULES)), 10), PartialResult)
    assert not isinstance(await counted.history.decisions(DecisionQuery(Search("::1", RULES)), 10), PartialResult)
