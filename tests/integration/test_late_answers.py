"""Late is not failed: commits that are late, or whose answers are lost, lose nothing and count nothing twice."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bley.core.decision import Decision, DecisionEntry
from bley.core.errors import StoreError
from bley.core.greylist import Lifetimes, Sighting, Status
from bley.core.history.periods import PERIODS
from bley.core.history.search import DecisionQuery
from bley.core.history.statistics import Count
from bley.core.mail import Request, Triplet
from bley.core.places import Found
from bley.core.reasons import Reason
from bley.settings.database import Database, parse_database
from bley.store import batched
from bley.store import decision_writer as decisions
from bley.store.batched import BatchedStore
from bley.store.engine import Engine, Mark
from bley.store.opening import open_engine, open_history
from tests.integration.stores import ENGINES, Places, Servers
from tests.integration.tcp_proxy import Answers, TcpProxy

_FAULTS = 3
"""The minimal number of spoilt commits in each test."""

_WAIT_SECONDS = 0.3
"""The time that a request waits for the store here, and the pause between two retries."""

_LATE_SECONDS = 0.5
"""A delay that is longer than a request waits."""

_PATIENCE_SECONDS = 60.0
"""A limit that only a hang reaches."""

_HELD_SECONDS = 1.0
"""A time that is longer than a request waits, and than SQLite waits for a lock."""

_JANE = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")
_COMMITS = {"postgresql": (b"COMMIT",), "mariadb": (b"COMMIT",), "redis": (b"EVAL",)}
"""A word in each request that makes a change durable."""


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the times that are a second in the daemon."""
    for name in ("REQUEST_SECONDS", "RETRY_SECONDS"):
        monkeypatch.setattr(batched, name, _WAIT_SECONDS)
    monkeypatch.setattr(decisions, "COLLECT_SECONDS", _WAIT_SECONDS)


class Bookkeeper:
    """A client of a store that knows its correct content."""

    def __init__(self, store: BatchedStore) -> None:
        self._store = store
        self.attempts = 0
        self.decisions = 0
        self.known = 0

    async def give(self, rounds: int = 3) -> None:
        """Write early retries, strangers, decisions and known mail, whether the store answers or not."""
        for number in range(rounds):
            now = datetime.now(UTC)
            early = Sighting(_JANE, Status.GREYLISTED, now, Lifetimes(), 1)
            self.attempts += 2
            self._store.record_later(early)
            self._keep(now)
            self._store.record_later(replace_recipient(early, f"stranger{number}"))
            try:
                await self._store.record(early)
            except StoreError:
                await asyncio.sleep(0.1)
            self._store.add_known_decisions(now, range(3), self._known)
            self.known += 3

    def _keep(self, now: datetime) -> None:
        request = Request(
            "RCPT", "", "192.0.2.1", "unknown", "friend", "a@example.com", f"b{self.decisions}@example.org"
        )
        decision = Decision(request, Reason.HELO, defers=True, triplet=_JANE)
        self._store.add_decision(DecisionEntry(now, "greylist", decision, request.sender, request.recipient))
        self.decisions += 1

    def _known(self, number: int) -> DecisionEntry:
        request = Request(recipient=f"known{self.known + number}@example.org")
        return DecisionEntry(datetime.now(UTC), "pass", Decision(request, Reason.KNOWN), "", request.recipient)

    @property
    def _is_written(self) -> bool:
        store = self._store
        return not (store.is_down or any(store.waiting.values()) or store._decisions._counts)

    async def wait_until_written(self) -> None:
        """Wait until everything is written; the store is healthy again."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not self._is_written:  # noqa: ASYNC110 (there is no event)
                await asyncio.sleep(0.1)

    async def check(self, place: Database) -> None:
        """Compare the store with the work."""
        history = open_history(place)
        try:
            record = (await history.find([_JANE])).records[_JANE]
            kept = await history.decisions(DecisionQuery(), 1000)
            by_hour = await history.counts(PERIODS["28d"], datetime.now(UTC))
            by_minute = await history.counts(PERIODS["24h"], datetime.now(UTC))
        finally:
            await history.close()
        assert record.attempts == self.attempts
        expected = [f"b{number}@example.org" for number in range(self.decisions)]
        expected += [f"known{number}@example.org" for number in range(self.known)]
        assert Counter(each.recipient for each in kept) == Counter(expected)
        for counts in (by_hour, by_minute):
            totals = Counter[tuple[str, str]]()
            for count, number in counts.items():
                totals[count.kind, count.name] += number
            assert totals == {("greylist", "helo"): self.decisions, ("pass", "known"): self.known}


def replace_recipient(sighting: Sighting, recipient: str) -> Sighting:
    """Replace the recipient of a stranger's sighting, without attempts."""
    return sighting._replace(triplet=_JANE._replace(recipient=recipient), attempts=0)


@pytest.mark.parametrize("late_seconds", [0, _LATE_SECONDS], ids=["lost", "late"])
@pytest.mark.parametrize("name", _COMMITS)
async def test_answers_of_a_server(servers: Servers, name: str, late_seconds: float) -> None:
    """At every commit the connection ends, or the disk is slow."""
    server, url = servers.get(name), servers.new_url(name)
    with TcpProxy(server.port) as proxy:
        store = BatchedStore(open_engine(parse_database(proxy.url(url))))
        await store.open()
        books = Bookkeeper(store)
        await books.give()
        proxy.spoil(Answers(_COMMITS[name], late_seconds))
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while proxy.faults < _FAULTS:
                await books.give()
        proxy.spoil(None)
        await books.wait_until_written()
        await store.close()
    await books.check(parse_database(url))


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "late"])
async def test_commits_of_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_lost: bool) -> None:
    """The disk is slow, or fails after everything was written."""
    commit, faults, is_spoilt = sa.Connection.commit, Counter[str](), asyncio.Event()

    def spoilt(connection: sa.Connection) -> None:
        commit(connection)
        if is_spoilt.is_set() and not is_lost:
            time.sleep(_LATE_SECONDS)
        faults["commit"] += is_spoilt.is_set()
        if is_spoilt.is_set() and is_lost:
            raise sa.exc.OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    monkeypatch.setattr(sa.Connection, "commit", spoilt)
    place = Database(file=tmp_path / "bley.db")
    store = BatchedStore(open_engine(place))
    await store.open()
    books = Bookkeeper(store)
    await books.give()
    is_spoilt.set()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while faults["commit"] < _FAULTS:
            await books.give()
    is_spoilt.clear()
    await books.wait_until_written()
    await store.close()
    await books.check(place)


async def test_a_lock_of_another_process(tmp_path: Path) -> None:
    """It holds SQLite's only lock for seconds, again and again."""
    place = Database(file=tmp_path / "bley.db")
    store = BatchedStore(open_engine(place))
    await store.open()
    books = Bookkeeper(store)
    with closing(sqlite3.connect(place.file, isolation_level=None)) as other:
        for _ in range(2):
            other.execute("BEGIN IMMEDIATE")
            giving = asyncio.ensure_future(books.give(10))
            await asyncio.sleep(_HELD_SECONDS)
            other.execute("ROLLBACK")
            await giving
    await books.wait_until_written()
    await store.close()
    await books.check(place)


class Lossy:
    """An engine that does its work, and then raises StoreError while `is_lossy`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.is_lossy = False
        self.losses = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def transact(
        self, sightings: Sequence[Sighting], triplets: Sequence[Triplet], marks: Sequence[Mark | None] = ()
    ) -> Found:
        found = await self._engine.transact(sightings, triplets, marks)
        self._lose()
        return found

    async def add_decisions(
        self, decisions: Sequence[DecisionEntry], counts: Mapping[Count, int], mark: Mark | None = None
    ) -> None:
        await self._engine.add_decisions(decisions, counts, mark)
        self._lose()

    def _lose(self) -> None:
        if self.is_lossy:
            self.losses += 1
            raise StoreError("the answer is lost")


@pytest.mark.parametrize("name", ENGINES)
async def test_any_answer_is_lost(places: Places, name: str) -> None:
    """Lost answers alternate with others, on every engine."""
    engine: Any = Lossy(open_engine(places.place(name)))
    store = BatchedStore(engine)
    await store.open()
    books = Bookkeeper(store)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while engine.losses < _FAULTS:
            engine.is_lossy = not engine.is_lossy
            await books.give(5)
    engine.is_lossy = False
    await books.wait_until_written()
    await store.close()
    await books.check(places.place(name))
