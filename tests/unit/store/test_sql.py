"""The SQL engine, here on SQLite: preparation, reads, writes, purges and failures."""

import asyncio
import contextlib
import itertools
import json
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from bley.core.decision import Decision, DecisionEntry
from bley.core.errors import BusyError, RefusedError, StoreError
from bley.core.evidence import Finding
from bley.core.findings import Check
from bley.core.greylist import MAX_ATTEMPTS, Lifetimes, Record, Sighting, Status, united
from bley.core.history.audit import AuditEntry
from bley.core.history.statistics import Count
from bley.core.mail import Request, Triplet
from bley.core.reasons import Reason
from bley.core.triplet import ANY
from bley.settings.database import Database
from bley.store.engine import MARK_LIFETIME, Engine, Mark, Marks, Purged, RemoteChanges
from bley.store.opening import open_engine
from bley.store.rows import decision_row, microseconds
from bley.store.sql import TakeOver
from bley.store.sql_meta import SqlMeta
from bley.store.sql_schema import VERSION
from tests.fakes import NOON

_PATIENCE_SECONDS = 30.0
_DAY = timedelta(days=1)
_LIFETIMES = Lifetimes(greylisted=10 * _DAY, known=40 * _DAY, decisions=30 * _DAY)
_TRIPLET = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")
_OTHER = _TRIPLET._replace(recipient="other@example.org")
_SIGHTING = Sighting(_TRIPLET, Status.CLEAN, NOON, _LIFETIMES)
_RECORD = Record(Status.CLEAN, NOON, NOON)
_HOUR = int(NOON.timestamp())
_FAILS = "BEGIN INSERT INTO gone VALUES (1); END"
"""The error of a trigger, which is not caused by a value."""
_DEV0 = """
    CREATE TABLE triplets (
        client TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL, status SMALLINT NOT NULL,
        first_seen BIGINT NOT NULL, last_seen BIGINT NOT NULL, attempts INTEGER NOT NULL,
        PRIMARY KEY (client, sender, recipient)
    ) WITHOUT ROWID;
    CREATE INDEX triplets_by_age ON triplets (status, last_seen);"""
"""The tables of 3.0.0.dev0, whose schema had no version."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bley.db"


@pytest.fixture(autouse=True)
async def no_thread_is_left() -> AsyncIterator[None]:
    before = threading.active_count()
    yield
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while threading.active_count() > before:  # noqa: ASYNC110 (no event to await)
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def _opened(file: Path, *, read_only: bool = False, take_over: TakeOver | None = None) -> AsyncIterator[Engine]:
    """An engine that is not prepared."""
    engine = open_engine(Database(file=file), read_only=read_only, take_over=take_over)
    try:
        yield engine
    finally:
        await engine.close()


@contextlib.asynccontextmanager
async def _engine(file: Path, *, read_only: bool = False, take_over: TakeOver | None = None) -> AsyncIterator[Engine]:
    """A prepared engine."""
    async with _opened(file, read_only=read_only, take_over=take_over) as engine:
        await engine.prepare()
        yield engine


@contextlib.contextmanager
def _sqlite(file: Path) -> Iterator[sqlite3.Connection]:
    """The connection of another process."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _rows(file: Path, table: str) -> list[dict[str, Any]]:
    with _sqlite(file) as other:
        rows = [dict(row) for row in other.execute(f"SELECT * FROM {table}")]
    return sorted(rows, key=lambda row: list(row.values()))


async def _failure(engine: Engine, *, writes: bool = True) -> str:
    """Return the text of the StoreError, which must come before a request's deadline."""
    start = time.monotonic()
    with pytest.raises(StoreError) as caught:
        await engine.transact([_SIGHTING] if writes else [], [_TRIPLET])
    assert time.monotonic() - start < 4, "sqlite3 by itself waits for 5 s"
    return str(caught.value)


async def _found(engine: Engine, *triplets: Triplet) -> list[Record | None]:
    records = (await engine.transact([], triplets)).records
    return [records.get(triplet) for triplet in triplets]


async def _all_records(engine: Engine) -> list[tuple[Triplet, Record]]:
    return [record async for records in engine.records() for record in records]


def _entries(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


async def _make_early_tables(file: Path) -> None:
    """Make tables with a decision, and with the index that decisions_by_text has replaced."""
    async with _engine(file) as engine:
        await engine.add_decisions([_kept()], {})
    with _sqlite(file) as other:
        other.executescript("DROP INDEX decisions_by_text; CREATE INDEX decisions_by_age ON decisions (at)")


def _decision_indexes(file: Path) -> list[str]:
    rows = _rows(file, "sqlite_master")
    return sorted(row["name"] for row in rows if row["type"] == "index" and row["tbl_name"] == "decisions")


def _bytes(file: Path) -> bytes:
    return file.read_bytes()


def _damage(file: Path) -> None:
    file.write_bytes(os.urandom(8192))


def _damage_middle(file: Path, *, cuts: bool) -> None:
    """Overwrite all but its first pages, or truncate it there."""
    size = file.stat().st_size
    assert size > 20 * 4096
    if cuts:
        os.truncate(file, 5 * 4096)
        return
    with file.open("r+b") as opened:
        opened.seek(8 * 4096)
        opened.write(os.urandom(size - 8 * 4096))


def _damaged(file: Path, words: str) -> str:
    return (
        f"{file}: {words}. The file is damaged: stop bley, move the file away, and restore a backup, or the output of "
        f"`sqlite3 {file} .dump | sed 's/^ROLLBACK.*/COMMIT;/' | sqlite3 NEW`; "
        "without either, bley starts with an empty store"
    )


def _kept(recipient: str = "r", ago: timedelta = timedelta(0), reason: Reason = Reason.HELO) -> DecisionEntry:
    request = Request(
        client_address="192.0.2.1", client_name="unknown", helo_name="friend", instance="1a", queue_id="2b"
    )
    decision = Decision(request, reason, defers=True, evidence={Check.HELO: Finding(2, "„jürgen“ is no name")})
    return DecisionEntry(NOON - ago, "greylist", decision, "john@example.com", recipient)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return all statements that SQLite executes, in order."""
    told: list[str] = []
    connect = sqlite3.connect

    def listening(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(told.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", listening)
    return told


class TestFile:
    async def test_it_is_made_and_kept_in_wal_mode(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [])
            assert "bley.db-wal" in _entries(file.parent)
            with _sqlite(file) as other:
                assert tuple(other.execute("PRAGMA journal_mode").fetchone()) == ("wal",)

    async def test_its_writes_wait_for_no_disk(self, file: Path, statements: list[str]) -> None:
        """Synchronous NORMAL: a crash of bley loses nothing, a power failure the last moment."""
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [_TRIPLET])
        assert statements.index("PRAGMA synchronous=NORMAL") < statements.index("COMMIT")

    @pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "a b", "jürgen", "a&mode=ro", "a\\b", "ab:c", "file:a"])
    async def test_a_name_with_signs_of_a_url_opens_that_very_file(self, tmp_path: Path, name: str) -> None:
        folder = _folder(tmp_path / name)
        async with _engine(folder / f"{name}.db") as engine:
            await engine.transact([_SIGHTING], [])
        assert _entries(folder) == {f"{name}.db"}
        assert len(_rows(folder / f"{name}.db", "triplets")) == 1

    async def test_a_relative_name_is_one_in_this_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        async with _engine(Path("bley.db")) as engine:
            await engine.transact([_SIGHTING], [])
        assert "bley.db" in _entries(tmp_path)

    async def test_nothing_is_opened_before_something_is_asked(self, tmp_path: Path, file: Path) -> None:
        async with _opened(file):
            pass
        assert _entries(tmp_path) == set()

    async def test_no_descriptor_is_left(self, file: Path) -> None:
        before = len(_entries(Path("/proc/self/fd")))
        for _ in range(20):
            async with _engine(file) as engine:
                await engine.transact([_SIGHTING], [_TRIPLET])
        assert len(_entries(Path("/proc/self/fd"))) <= before


class TestPreparing:
    async def test_it_makes_the_tables(self, file: Path) -> None:
        async with _opened(file) as engine:
            assert not await engine.is_prepared()
            await engine.prepare()
            assert await engine.is_prepared()
        assert _rows(file, "meta") == [{"name": "schema", "value": VERSION}]

    async def test_that_there_was_nothing_is_told_once(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        """An operator who configured the wrong file sees it."""
        caplog.set_level("INFO", "bley")
        for _ in range(2):
            async with _engine(file) as engine:
                await engine.prepare()
        assert caplog.messages == [f"store: {file} is new, without records"]

    async def test_of_an_upgrade_that_is_not_said(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "bley")
        with _sqlite(file) as old:
            old.executescript(_DEV0)
        async with _engine(file):
            assert caplog.messages == []

    async def test_twice_is_as_good_as_once(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [])
            await engine.prepare()
            assert await _found(engine, _TRIPLET) == [_RECORD]

    async def test_before_it_every_question_is_a_store_error(self, file: Path) -> None:
        async with _opened(file) as engine:
            assert await _failure(engine) == f"{file}: no such table: triplets"
            for asked in (
                engine.add_decisions([_kept()], {}),
                engine.purge(NOON, _LIFETIMES, 1),
                engine.remote_changes(),
            ):
                with pytest.raises(StoreError, match="no such table"):
                    await asked

    async def test_a_schema_of_a_newer_bley_is_refused_and_left_alone(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [])
        with _sqlite(file) as other:
            other.execute("UPDATE meta SET value = 6 WHERE name = 'schema'")
        before = _rows(file, "sqlite_master")
        async with _opened(file) as engine:
            for asked in (engine.is_prepared(), engine.prepare()):
                with pytest.raises(StoreError) as caught:
                    await asked
                assert (
                    str(caught.value) == f"{file}: its schema is 6, of a newer bley; this bley supports 5: upgrade bley"
                )
        assert _rows(file, "sqlite_master") == before
        assert _rows(file, "meta") == [{"name": "schema", "value": 6}]

    async def test_the_table_of_3_0_0_dev0_is_taken_as_it_is(self, file: Path) -> None:
        """It had no version; its rows stay, and its index exists once."""
        with _sqlite(file) as old:
            old.executescript(_DEV0)
            values = (
                _TRIPLET.client,
                _TRIPLET.sender,
                _TRIPLET.recipient,
                0,
                microseconds(NOON),
                microseconds(NOON),
                3,
            )
            old.execute("INSERT INTO triplets VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        async with _opened(file) as engine:
            assert not await engine.is_prepared()
            await engine.prepare()
            assert await engine.is_prepared()
            assert await _found(engine, _TRIPLET) == [Record(Status.GREYLISTED, NOON, NOON, 3)]
            sighting = Sighting(_TRIPLET, Status.CLEAN, NOON + _DAY, _LIFETIMES, 1)
            assert (await engine.transact([sighting], [_TRIPLET])).records == {
                _TRIPLET: Record(Status.CLEAN, NOON, NOON + _DAY, 4)
            }
            await engine.add_decisions([_kept()], {Count(60, _HOUR, "pass", "known"): 1})
        names = [row["name"] for row in _rows(file, "sqlite_master")]
        assert names.count("triplets_by_age") == 1

    async def test_the_tables_of_version_2_are_upgraded(self, file: Path) -> None:
        """Their rows stay."""
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [])
        with _sqlite(file) as other:
            other.executescript("DROP TABLE writers; UPDATE meta SET value = 2 WHERE name = 'schema'")
        async with _opened(file) as engine:
            assert not await engine.is_prepared()
            await engine.prepare()
            assert await _found(engine, _TRIPLET) == [_RECORD]
            await engine.add_decisions([_kept()], {}, Marks().next())
        assert len(_rows(file, "writers")) == 1

    async def test_the_tables_of_version_4_are_upgraded(self, file: Path) -> None:
        """Their rows get the new columns, empty."""
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [])
            await engine.add_decisions([_kept()], {})
        with _sqlite(file) as other:
            other.executescript(
                "DROP INDEX decisions_by_text; ALTER TABLE triplets DROP COLUMN cause;"
                "ALTER TABLE decisions DROP COLUMN node; DROP TABLE audit;"
                "UPDATE meta SET value = 4 WHERE name = 'schema'"
            )
        async with _opened(file) as engine:
            await engine.prepare()
            assert await _found(engine, _TRIPLET) == [_RECORD]
            await engine.add_audit([AuditEntry(NOON, "mx1", "start", "", "bley 3.0.0 starts")])
        assert [row["cause"] for row in _rows(file, "triplets")] == [""]
        assert [row["node"] for row in _rows(file, "decisions")] == [""]
        assert len(_rows(file, "audit")) == 1

    async def test_an_index_of_texts_replaces_that_of_ages(self, file: Path) -> None:
        """In tables of the same version too: an early bley 3 had the other index."""
        await _make_early_tables(file)
        async with _opened(file) as engine:
            assert not await engine.is_prepared()
            await engine.prepare()
            assert await engine.is_prepared()
        assert _decision_indexes(file) == ["decisions_by_mail", "decisions_by_text"]
        assert len(_rows(file, "decisions")) == 1

    async def test_an_upgrade_that_ends_early_changes_nothing(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next start begins again."""
        await _make_early_tables(file)

        def fails(*_: object) -> None:
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))

        async with _opened(file) as engine:
            with monkeypatch.context() as patch:
                patch.setattr(SqlMeta, "set", fails)
                with pytest.raises(StoreError, match="disk I/O error"):
                    await engine.prepare()
            assert _decision_indexes(file) == ["decisions_by_age", "decisions_by_mail"]
            assert not await engine.is_prepared()
            await engine.prepare()
        assert _decision_indexes(file) == ["decisions_by_mail", "decisions_by_text"]

    async def test_a_reader_needs_no_index(self, file: Path) -> None:
        """A command may run before bley was restarted."""
        await _make_early_tables(file)
        async with _opened(file, read_only=True) as engine:
            assert await engine.is_prepared()

    @pytest.mark.parametrize("is_upgrade", [False, True])
    async def test_several_nodes_may_do_it_at_once(self, tmp_path: Path, is_upgrade: bool) -> None:
        """Each waits for the other."""
        for number in range(5):
            file = tmp_path / f"{number}.db"
            if is_upgrade:
                with _sqlite(file) as old:
                    old.executescript(_DEV0)
            async with contextlib.AsyncExitStack() as stack:
                nodes = [await stack.enter_async_context(_opened(file)) for _ in range(4)]
                await asyncio.gather(*(node.prepare() for node in nodes))
                for node in nodes:
                    await node.transact([_SIGHTING._replace(attempts=1)], [])
                assert await _found(nodes[0], _TRIPLET) == [_RECORD._replace(attempts=4)]


class TestTakingOver:
    """The records of bley 2 in the same database are taken over once, at the first preparation."""

    def earlier(self, times: list[int], portions: Sequence[Sequence[tuple[Triplet, Record]]]) -> TakeOver:
        async def take_over() -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
            times.append(1)
            for portion in portions:
                yield portion

        return take_over

    async def test_all_portions_are_taken_and_told(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "bley")
        other = Record(Status.GREYLISTED, NOON, NOON, 2)
        async with _engine(file, take_over=self.earlier([], [[(_TRIPLET, _RECORD)], [(_OTHER, other)]])) as engine:
            assert await _found(engine, _TRIPLET, _OTHER) == [_RECORD, other]
        assert caplog.messages == ["store: took over 2 records of bley 2, whose tables are unchanged"]

    async def test_what_the_database_refuses_is_left_out_and_told(
        self, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "bley")
        bad = _TRIPLET._replace(sender="\ud800")
        take_over = self.earlier([], [[(_TRIPLET, _RECORD), (bad, _RECORD), (_OTHER, _RECORD)]])
        async with _engine(file, take_over=take_over) as engine:
            assert await _found(engine, _TRIPLET, _OTHER) == [_RECORD, _RECORD]
        assert "store: took over 2 records of bley 2, whose tables are unchanged" in caplog.messages
        (told,) = (record.getMessage() for record in caplog.records if record.levelname == "ERROR")
        assert "not taken over" in told
        assert told.isprintable()

    async def test_it_is_done_once(self, file: Path) -> None:
        """Deleted records do not reappear."""
        times: list[int] = []
        take_over = self.earlier(times, [[(_TRIPLET, _RECORD)]])
        async with _engine(file, take_over=take_over) as engine:
            await engine.forget([_TRIPLET])
            await engine.prepare()
        async with _engine(file, take_over=take_over) as engine:
            assert await _found(engine, _TRIPLET) == [None]
        assert len(times) == 1

    async def test_of_two_nodes_at_once_it_does_not_count_twice(self, file: Path) -> None:
        take_over = self.earlier([], [[(_TRIPLET, _RECORD._replace(attempts=3))]])
        async with _opened(file, take_over=take_over) as one, _opened(file, take_over=take_over) as other:
            await asyncio.gather(one.prepare(), other.prepare())
            assert await _found(one, _TRIPLET) == [_RECORD._replace(attempts=3)]

    async def test_when_there_was_none_nothing_is_told(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "bley")
        async with _engine(file, take_over=self.earlier([], [])) as engine:
            assert await engine.is_prepared()
        assert "took over" not in caplog.text

    @pytest.mark.parametrize(
        "error",
        [
            StoreError("bley_status is damaged"),
            OperationalError("SELECT 1", {}, sqlite3.OperationalError("bley_status is damaged")),
            ConnectionResetError(104, "bley_status is damaged"),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_when_it_fails_it_is_not_prepared_and_can_be_done_again(self, file: Path, error: Exception) -> None:
        async def fails() -> AsyncIterator[Sequence[tuple[Triplet, Record]]]:
            yield [(_TRIPLET, _RECORD)]
            raise error

        async with _opened(file, take_over=fails) as engine:
            with pytest.raises(StoreError, match="bley_status is damaged"):
                await engine.prepare()
            assert not await engine.is_prepared()
        async with _engine(file, take_over=self.earlier([], [[(_OTHER, _RECORD)]])) as engine:
            assert await _found(engine, _TRIPLET, _OTHER) == [None, _RECORD]


class TestStatements:
    """However large the tables are, only the needed rows are read."""

    async def test_finding_uses_the_primary_key(self, file: Path, statements: list[str]) -> None:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [_TRIPLET])
        plan = self._plan(file, [text for text in statements if "WITH wanted" in text])
        assert plan.count("USING PRIMARY KEY (client=? AND sender=? AND recipient=?)") == 2
        assert "USING PRIMARY KEY (network=?)" in plan
        assert "SCAN triplets" not in plan

    async def test_purging_uses_the_indexes_of_ages(self, file: Path, statements: list[str]) -> None:
        async with _engine(file) as engine:
            await engine.purge(NOON, _LIFETIMES, 500)
        plans = {text.split()[2]: self._plan(file, [text]) for text in statements if text.startswith("DELETE")}
        assert "triplets_by_age (status=? AND last_seen<?)" in plans["triplets"]
        assert "decisions_by_text (at<?)" in plans["decisions"]
        assert "USING PRIMARY KEY (seconds=? AND start<?)" in plans["counts"]
        assert "SCAN" not in "\n".join(plans.values())

    async def test_reading_all_goes_by_the_primary_key(self, file: Path, statements: list[str]) -> None:
        """A portion is not sorted each time."""
        triplets = [Triplet("c", "s", str(number)) for number in range(1_000)]
        async with _engine(file) as engine:
            await engine.unite([(triplet, _RECORD) for triplet in triplets], NOON, _LIFETIMES)
            await _all_records(engine)
        first, second = (text for text in statements if "ORDER BY" in text)
        assert "TEMP B-TREE" not in self._plan(file, [first]) + self._plan(file, [second])
        assert "USING PRIMARY KEY ((client,sender,recipient)>(?,?,?))" in self._plan(file, [second])

    def _plan(self, file: Path, statements: list[str]) -> str:
        """Return SQLite's query plan of the only statement among these."""
        (statement,) = statements
        with _sqlite(file) as other:
            return "\n".join(row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {statement}"))


class TestSightings:
    async def test_those_of_one_triplet_in_one_transaction_are_merged_in_their_order(self, file: Path) -> None:
        """With different lifetimes too: settings may be reloaded between them."""
        short = replace(_LIFETIMES, greylisted=_DAY)
        sightings = [
            Sighting(_TRIPLET, Status.GREYLISTED, NOON, _LIFETIMES, 5),
            Sighting(_TRIPLET, Status.GREYLISTED, NOON + 2 * _DAY, _LIFETIMES, 1),
            Sighting(_TRIPLET, Status.GREYLISTED, NOON + 2 * _DAY, short, 2),
            Sighting(_TRIPLET, Status.GREYLISTED, NOON + 2 * _DAY, _LIFETIMES, 4),
        ]
        later = NOON + 2 * _DAY
        async with _engine(file) as engine:
            assert (await engine.transact(sightings, [_TRIPLET])).records == {
                _TRIPLET: Record(Status.GREYLISTED, later, later, 6)
            }

    async def test_a_triplet_may_be_asked_for_twice(self, file: Path) -> None:
        async with _engine(file) as engine:
            assert (await engine.transact([_SIGHTING], [_TRIPLET, _OTHER, _TRIPLET])).records == {_TRIPLET: _RECORD}

    async def test_attempts_have_their_bound(self, file: Path) -> None:
        """A larger number would not fit into PostgreSQL's column, and the whole batch would be refused."""
        sighting = _SIGHTING._replace(status=Status.GREYLISTED, attempts=MAX_ATTEMPTS - 1)
        async with _engine(file) as engine:
            for _ in range(3):
                found = (await engine.transact([sighting], [_TRIPLET])).records
        assert found[_TRIPLET].attempts == MAX_ATTEMPTS

    async def test_a_row_s_columns(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING._replace(status=Status.TRUSTED, attempts=2, cause="dnsbl bl")], [])
        assert _rows(file, "triplets") == [
            {
                "client": "192.0.2.0/24",
                "sender": "john@example.com",
                "recipient": "jane@example.org",
                "status": 2,
                "first_seen": microseconds(NOON),
                "last_seen": microseconds(NOON),
                "attempts": 2,
                "cause": "dnsbl bl",
            }
        ]


class TestDecisions:
    async def test_each_column_has_its_own(self, file: Path) -> None:
        kept = [_kept("one"), _kept("other", reason=Reason.DNSBL)]
        async with _engine(file) as engine:
            await engine.add_decisions(kept, {})
        assert _rows(file, "decisions") == [{"id": 1, **decision_row(kept[0])}, {"id": 2, **decision_row(kept[1])}]

    async def test_details_can_be_searched(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.add_decisions([_kept()], {})
        with _sqlite(file) as other:
            (found,) = other.execute("SELECT json_extract(details, '$.findings.helo.detail') FROM decisions").fetchone()
        assert found == "„jürgen“ is no name"
        assert "jürgen" in _rows(file, "decisions")[0]["details"]
        assert json.loads(_rows(file, "decisions")[0]["details"])["findings"]["helo"]["score"] == 2

    async def test_numbers_add_up(self, file: Path) -> None:
        minute, hour, other = (
            Count(60, _HOUR, "greylist", "helo"),
            Count(3600, _HOUR, "greylist", "helo"),
            Count(60, _HOUR, "pass", "helo"),
        )
        async with _engine(file) as engine:
            await engine.add_decisions([], {minute: 2, hour: 2})
            await engine.add_decisions([], {minute: 3, other: 1})
        assert _rows(file, "counts") == [
            {**minute._asdict(), "count": 5},
            {**other._asdict(), "count": 1},
            {**hour._asdict(), "count": 2},
        ]

    async def test_there_may_be_nothing_to_keep(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.add_decisions([], {})
        assert _rows(file, "decisions") == _rows(file, "counts") == []

    async def test_decisions_and_numbers_go_together_or_not_at_all(self, file: Path) -> None:
        """With their mark: otherwise a retry would count twice, or not at all."""
        mark = Marks().next()
        async with _engine(file) as engine:
            with _sqlite(file) as operator:
                operator.execute(f"CREATE TRIGGER full BEFORE INSERT ON counts {_FAILS}")
                with pytest.raises(StoreError, match="no such table"):
                    await engine.add_decisions([_kept()], {Count(60, _HOUR, "pass", "known"): 1}, mark)
                assert _rows(file, "decisions") == []
                operator.execute("DROP TRIGGER full")
            await engine.add_decisions([_kept()], {Count(60, _HOUR, "pass", "known"): 1}, mark)
        assert (len(_rows(file, "decisions")), len(_rows(file, "counts"))) == (1, 1)


class TestMarks:
    """A retry after an unknown outcome changes nothing."""

    async def test_attempts_are_added_once(self, file: Path) -> None:
        """Also if only part of a batch was committed before, and other writes are in it now."""
        marks = Marks()
        early = [_SIGHTING._replace(status=Status.GREYLISTED, attempts=1)] * 3
        one, two, three = marks.next(), marks.next(), marks.next()
        async with _engine(file) as engine:
            for _ in range(2):
                found = (await engine.transact(early[:1], [_TRIPLET], [one])).records
                assert found[_TRIPLET].attempts == 1
            for _ in range(2):
                batch = [early[0], _SIGHTING._replace(triplet=_OTHER), *early[1:]]
                found = (await engine.transact(batch, [_TRIPLET, _OTHER], [one, None, two, three])).records
                assert (found[_TRIPLET].attempts, found[_OTHER]) == (3, _RECORD)

    async def test_decisions_and_numbers_are_kept_once(self, file: Path) -> None:
        marks, count = Marks(), Count(60, _HOUR, "pass", "known")
        async with _engine(file) as engine:
            for mark in (marks.next(), marks.next(), Marks().next()):
                for _ in range(2):
                    await engine.add_decisions([_kept()], {count: 2}, mark)
        assert len(_rows(file, "decisions")) == 3
        assert [row["count"] for row in _rows(file, "counts")] == [6]

    async def test_what_was_done_already_writes_nothing(self, file: Path) -> None:
        """The retry waits for no disk, so that it is not late again."""
        mark, early = Marks().next(), _SIGHTING._replace(attempts=1)
        async with _engine(file) as engine:
            await engine.transact([early], [], [mark])
            before = file.with_name("bley.db-wal").read_bytes()
            await engine.transact([early], [], [mark])
            assert file.with_name("bley.db-wal").read_bytes() == before

    async def test_a_batch_without_attempts_looks_for_no_mark(self, file: Path, statements: list[str]) -> None:
        """Marks do not make a stranger more expensive."""
        async with _engine(file) as engine:
            statements.clear()
            await engine.transact([_SIGHTING], [_TRIPLET])
        assert len(statements) == 4
        assert "writers" not in "".join(statements)

    async def test_writers_that_have_gone_are_forgotten(self, file: Path) -> None:
        old = Mark("old", microseconds(NOON - MARK_LIFETIME) - 1)
        async with _engine(file) as engine:
            for mark in (old, Mark("new", old.number + 1)):
                await engine.add_decisions([_kept()], {}, mark)
            await engine.purge(NOON, _LIFETIMES, 500)
        assert [row["writer"] for row in _rows(file, "writers")] == ["new"]


class TestPurging:
    async def test_records_go_by_their_own_age(self, file: Path) -> None:
        """A record that is exactly that old stays."""
        ages = {
            Status.GREYLISTED: _LIFETIMES.greylisted,
            Status.CLEAN: _LIFETIMES.known,
            Status.TRUSTED: _LIFETIMES.known,
        }
        sightings = [
            Sighting(
                Triplet("c", status.name, str(more)), status, NOON - age - timedelta(microseconds=more), _LIFETIMES
            )
            for (status, age), more in itertools.product(ages.items(), (0, 1))
        ]
        async with _engine(file) as engine:
            await engine.transact(sightings, [])
            assert await engine.purge(NOON, _LIFETIMES, 500) == Purged(3, 0, 0)
            assert {triplet.recipient for triplet, _ in await _all_records(engine)} == {"0"}

    async def test_it_is_the_last_sighting_that_counts(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING._replace(seen=NOON - 99 * _DAY), _SIGHTING], [])
            assert await engine.purge(NOON, _LIFETIMES, 500) == Purged(0, 0, 0)
            assert await _found(engine, _TRIPLET) == [Record(Status.CLEAN, NOON - 99 * _DAY, NOON)]

    async def test_decisions_go_by_log_days(self, file: Path) -> None:
        moment = timedelta(microseconds=1)
        async with _engine(file) as engine:
            await engine.add_decisions([_kept("stays", 30 * _DAY), _kept("goes", 30 * _DAY + moment), _kept("new")], {})
            assert await engine.purge(NOON, _LIFETIMES, 500) == Purged(0, 1, 0)
        assert [row["recipient"] for row in _rows(file, "decisions")] == ["stays", "new"]

    async def test_numbers_of_minutes_go_before_those_of_hours(self, file: Path) -> None:
        counts = {
            Count(seconds, _HOUR - days * 86400 - before, "pass", "known"): 1
            for seconds, days, before in [(60, 8, 0), (60, 8, 60), (3600, 8, 3600), (3600, 400, 0), (3600, 400, 3600)]
        }
        async with _engine(file) as engine:
            await engine.add_decisions([], counts)
            assert await engine.purge(NOON, _LIFETIMES, 500) == Purged(0, 0, 2)
        left = [(row["seconds"], _HOUR - row["start"]) for row in _rows(file, "counts")]
        assert left == [(60, 8 * 86400), (3600, 400 * 86400), (3600, 8 * 86400 + 3600)]

    async def test_numbers_outlive_their_decisions(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.add_decisions([_kept(ago=31 * _DAY)], {Count(3600, _HOUR - 31 * 86400, "greylist", "helo"): 1})
            assert await engine.purge(NOON, _LIFETIMES, 500) == Purged(0, 1, 0)
        assert len(_rows(file, "counts")) == 1

    async def test_a_slice_is_no_larger_than_wanted(self, file: Path) -> None:
        async with _engine(file) as engine:
            triplets = [Triplet("c", "s", str(number)) for number in range(5)]
            await engine.transact([_SIGHTING._replace(triplet=triplet) for triplet in triplets], [])
            await engine.add_decisions([_kept() for _ in range(3)], {})
            later = NOON + 99 * _DAY
            slices = [await engine.purge(later, _LIFETIMES, 2) for _ in range(4)]
            assert slices == [Purged(2, 2, 0), Purged(2, 1, 0), Purged(1, 0, 0), Purged(0, 0, 0)]
            assert await _found(engine, *triplets) == [None] * 5


class TestForgetting:
    async def test_what_is_forgotten_is_a_stranger_s_and_the_rest_is_not(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING, _SIGHTING._replace(triplet=_OTHER)], [])
            await engine.forget([_TRIPLET, Triplet("no", "such", "record")])
            assert await _found(engine, _TRIPLET, _OTHER) == [None, _RECORD]

    async def test_every_node_can_know(self, file: Path) -> None:
        async with _engine(file) as engine, _engine(file) as other:
            assert await other.remote_changes() == RemoteChanges(0, has_any=False)
            for number in (1, 2):
                await engine.forget([_TRIPLET])
                assert await other.remote_changes() == RemoteChanges(number, has_any=False)
            await engine.forget([])
            assert (await other.remote_changes()).forgotten == 3, (
                "a client that is remembered though it has no record, say"
            )

    async def test_nodes_that_forget_at_once_are_counted_each(self, file: Path) -> None:
        async with _engine(file) as engine, _engine(file) as other:
            await asyncio.gather(*(node.forget([_TRIPLET]) for node in (engine, other) * 5))
            assert (await engine.remote_changes()).forgotten == 10


class TestUniting:
    async def test_it_does_what_core_says_and_twice_is_as_good_as_once(self, file: Path) -> None:
        values = [
            Record(status, NOON - first * _DAY, NOON + last * _DAY, attempts)
            for status, first, last, attempts in itertools.product(Status, (0, 1), (0, 1), (0, 2))
        ]
        pairs = {
            Triplet("c", "s", str(number)): pair
            for number, pair in enumerate(itertools.product([None, *values], values))
        }
        async with _engine(file) as engine:
            known = [(triplet, known) for triplet, (known, _) in pairs.items() if known]
            await engine.unite(known, NOON, _LIFETIMES)
            for _ in range(2):
                await engine.unite([(triplet, new) for triplet, (_, new) in pairs.items()], NOON, _LIFETIMES)
                assert (await engine.transact([], list(pairs))).records == {
                    triplet: united(known, new) for triplet, (known, new) in pairs.items()
                }

    @pytest.mark.parametrize(
        ("triplet", "has_any"),
        [
            (_TRIPLET, False),
            (_TRIPLET._replace(recipient=ANY), True),
            (Triplet("192.0.2.0/24", f"{ANY}@example.com", ANY), True),
            (Triplet("192.0.2.0/24", ANY, ANY), True),
        ],
    )
    async def test_every_node_can_know_that_there_are_records_for_any(
        self, file: Path, triplet: Triplet, has_any: bool
    ) -> None:
        async with _engine(file) as engine, _engine(file) as other:
            await engine.unite([(triplet, _RECORD)], NOON, _LIFETIMES)
            assert await other.remote_changes() == RemoteChanges(0, has_any)

    async def test_there_may_be_nothing_to_unite(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.unite([], NOON, _LIFETIMES)
            assert await _all_records(engine) == []


class TestReadingAll:
    @pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
    async def test_every_record_comes_once_in_portions(self, file: Path, count: int) -> None:
        """Also triplets that have one or two parts in common."""
        triplets = [Triplet(f"c{number % 3}", f"s{number % 7}", f"r{number}ü") for number in range(count)]
        async with _engine(file) as engine:
            if triplets:
                await engine.unite([(triplet, _RECORD) for triplet in triplets], NOON, _LIFETIMES)
            portions = [portion async for portion in engine.records()]
        read = [record for portion in portions for record in portion]
        assert len(read) == count
        assert dict(read) == dict.fromkeys(triplets, _RECORD)
        assert max(map(len, portions), default=0) <= 1000

    async def test_meanwhile_others_may_write(self, file: Path) -> None:
        """And the reader itself deletes some; the records that stay are all read."""
        triplets = [Triplet("c", "s", f"{number:05}") for number in range(2500)]
        async with _engine(file) as engine, _engine(file) as other:
            await engine.unite([(triplet, _RECORD) for triplet in triplets], NOON, _LIFETIMES)
            read: list[Triplet] = []
            async for portion in engine.records():
                read += [triplet for triplet, _ in portion]
                await other.transact([_SIGHTING._replace(triplet=Triplet("a", "a", "a"))], [])
                await engine.forget([portion[0][0]])
            assert read == triplets

    async def test_who_stops_in_the_middle_leaves_nothing_behind(self, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.unite([(Triplet("c", "s", str(number)), _RECORD) for number in range(1500)], NOON, _LIFETIMES)
            async with contextlib.aclosing(engine.records()) as portions:  # type: ignore[type-var]
                assert len(await anext(portions)) == 1000
            assert len(await _all_records(engine)) == 1500


class TestReadOnly:
    async def test_it_writes_nothing(self, tmp_path: Path, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [])
        before = _bytes(file)
        async with _engine(file, read_only=True) as engine:
            assert (await engine.transact([_SIGHTING._replace(triplet=_OTHER)], [_TRIPLET, _OTHER])).records == {
                _TRIPLET: _RECORD
            }
        assert _bytes(file) == before

    async def test_it_reads_while_another_has_the_file_open_and_writes(self, file: Path) -> None:
        async with _engine(file) as daemon, _engine(file, read_only=True) as reader:
            await daemon.transact([_SIGHTING], [])
            assert await _found(reader, _TRIPLET) == [_RECORD]
            await daemon.transact([_SIGHTING._replace(status=Status.TRUSTED)], [])
            assert await _found(reader, _TRIPLET) == [_RECORD._replace(status=Status.TRUSTED)]

    async def test_it_does_not_make_a_file(self, tmp_path: Path, file: Path) -> None:
        async with _opened(file, read_only=True) as engine:
            assert "unable to open database file" in await _failure(engine)
        assert _entries(tmp_path) == set()

    @pytest.mark.parametrize("version", [0, 3])
    async def test_it_prepares_nothing(self, file: Path, version: int) -> None:
        """Records of an older bley are found only after an upgrade; those of 3.0.0.dev0 had no version."""
        with _sqlite(file) as old:
            old.executescript(_DEV0)
            if version:
                old.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL)")
                old.execute("INSERT INTO meta VALUES ('schema', ?)", (version,))
        before = _rows(file, "sqlite_master")
        async with _opened(file, read_only=True) as engine:
            with pytest.raises(StoreError, match=f"its schema is {version}, of an older bley"):
                await engine.prepare()
        assert _rows(file, "sqlite_master") == before


class TestFailures:
    """Each error comes within a second, with the file and SQLite's own message, without its statements."""

    async def test_a_missing_folder(self, file: Path) -> None:
        missing = file / "missing" / "bley.db"
        async with _opened(missing) as engine:
            assert await _failure(engine) == (
                f"{missing}: unable to open database file. There is no folder {file}/missing: "
                "create it, or mount its file system"
            )

    async def test_a_folder(self, tmp_path: Path) -> None:
        async with _opened(tmp_path) as engine:
            assert await _failure(engine) == f"{tmp_path}: unable to open database file"

    async def test_a_damaged_file(self, file: Path) -> None:
        """It logs the remedy, and changes nothing."""
        _damage(file)
        before = _bytes(file)
        async with _opened(file) as engine:
            assert await _failure(engine) == _damaged(file, "file is not a database")
            with pytest.raises(StoreError) as caught:
                await engine.prepare()
            assert str(caught.value) == _damaged(file, "file is not a database")
        assert _bytes(file) == before

    @pytest.mark.parametrize("cuts", [False, True], ids=["overwritten", "cut off"])
    async def test_a_file_damaged_in_the_middle(self, file: Path, cuts: bool) -> None:
        """A failing disk: the file opens, and a read of the bad part fails."""
        triplets = [Triplet(f"client {number:05}", "x" * 100, "x" * 100) for number in range(2000)]
        async with _engine(file) as engine:
            await engine.unite([(triplet, _RECORD) for triplet in triplets], NOON, _LIFETIMES)
        _damage_middle(file, cuts=cuts)
        async with _opened(file) as engine:
            with pytest.raises(StoreError) as caught:
                await engine.transact([], triplets)
            assert str(caught.value) == _damaged(file, "database disk image is malformed")
            with pytest.raises(StoreError) as caught:
                await _all_records(engine)
            assert str(caught.value) == _damaged(file, "database disk image is malformed")

    @pytest.mark.parametrize("known", [False, True], ids=["new", "open"])
    async def test_a_locked_file(self, file: Path, known: bool) -> None:
        async with _engine(file):
            pass
        with _sqlite(file) as other:
            async with _opened(file) as engine:
                if known:
                    await engine.transact([_SIGHTING], [])
                other.execute("BEGIN EXCLUSIVE")
                assert await _failure(engine) == f"{file}: database is locked"
                other.execute("ROLLBACK")
                assert (await engine.transact([_SIGHTING], [_TRIPLET])).records == {_TRIPLET: _RECORD}

    async def test_a_table_of_somebody_else(self, file: Path) -> None:
        with _sqlite(file) as other:
            other.execute("CREATE TABLE triplets (a, b)")
            async with _engine(file) as engine:
                assert "column" in await _failure(engine)
                assert "column" in await _failure(engine, writes=False)

    async def test_what_the_database_refuses_is_told_from_a_database_that_is_away(self, file: Path) -> None:
        """A retry would not help."""
        async with _engine(file) as engine:
            with _sqlite(file) as operator:
                operator.execute(
                    "CREATE TRIGGER no BEFORE INSERT ON triplets BEGIN SELECT RAISE(ABORT, 'not this one'); END"
                )
                with pytest.raises(RefusedError) as caught:
                    await engine.transact([_SIGHTING], [])
                assert str(caught.value) == f"{file}: not this one"
                operator.execute("BEGIN EXCLUSIVE")
                with pytest.raises(BusyError):
                    await engine.transact([_SIGHTING], [])
                operator.execute("ROLLBACK")

    async def test_only_that_is_lost(self, file: Path) -> None:
        """Everything else is in the same transaction, with its mark, reads included."""
        marks = Marks()
        triplets = [_TRIPLET._replace(recipient=str(number)) for number in range(7)]
        sightings = [_SIGHTING._replace(triplet=triplet, attempts=1) for triplet in triplets]
        async with _engine(file) as engine:
            with _sqlite(file) as operator:
                operator.execute(
                    "CREATE TRIGGER no BEFORE INSERT ON triplets WHEN NEW.recipient IN ('2', '5') "
                    "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
                )
            for numbered in [[marks.next() for _ in sightings]] * 2:
                with contextlib.suppress(RefusedError):
                    await engine.transact(sightings, triplets, numbered)
            found = (await engine.transact([], triplets)).records
            assert {triplet.recipient: record.attempts for triplet, record in found.items()} == dict.fromkeys(
                "01346", 1
            )
            with pytest.raises(RefusedError) as caught:
                await engine.transact(sightings, triplets, [marks.next() for _ in sightings])
            assert caught.value.refused == [
                (sightings[2], f"{file}: not this one"),
                (sightings[5], f"{file}: not this one"),
            ]
            assert len(caught.value.found.records) == 5

    async def test_a_row_that_is_no_record_does_no_harm(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        """SQLite accepts any value in any column, so another program may have written anything."""
        triplets = [_TRIPLET._replace(recipient=str(number)) for number in range(8)]
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING._replace(triplet=triplet) for triplet in triplets], [])
            with _sqlite(file) as other:
                other.execute("UPDATE triplets SET attempts = x'00' WHERE recipient = '5'")
                other.execute("UPDATE triplets SET attempts = 'many' WHERE recipient = '6'")
                other.execute("UPDATE triplets SET cause = x'00' WHERE recipient = '7'")
                other.execute("UPDATE triplets SET status = 77 WHERE recipient = '0'")
                other.execute("UPDATE triplets SET first_seen = 'never' WHERE recipient = '1'")
                other.execute("UPDATE triplets SET last_seen = 9000000000000000000 WHERE recipient = '4'")
            good = dict.fromkeys(triplets[2:4], _RECORD)
            assert (await engine.transact([], triplets)).records == good
            assert dict(await _all_records(engine)) == good
        assert len(caplog.messages) == 12
        assert all(
            message.startswith("store: this row of triplets is not a valid record") for message in caplog.messages
        )

    @pytest.mark.parametrize("last_seen", ["'never'", "9000000000000000000", "x'00'"])
    async def test_a_domain_without_an_instant_still_leads_to_its_record(self, file: Path, last_seen: str) -> None:
        named = _TRIPLET._replace(client="example.com")
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING._replace(triplet=named, network="192.0.2.0/24")], [])
            with _sqlite(file) as other:
                other.execute(f"UPDATE verified_domains SET last_seen = {last_seen}")
            found = await engine.transact([], [_TRIPLET._replace(client="192.0.2.0/24")])
        assert found.records == {named: _RECORD}
        assert found.domains["192.0.2.0/24"]["example.com"].year == 1970

    async def test_half_a_surrogate_pair_is_refused(self, file: Path) -> None:
        """It cannot be encoded as UTF-8."""
        bad = _TRIPLET._replace(sender="\ud800")
        async with _engine(file) as engine:
            for asked in (
                engine.transact([_SIGHTING._replace(triplet=bad), _SIGHTING], []),
                engine.transact([], [bad, _TRIPLET]),
                engine.add_decisions([_kept("\udfff"), _kept("good")], {Count(60, _HOUR, "pass", "known"): 1}),
                engine.unite([(bad, _RECORD), (_OTHER, _RECORD)], NOON, _LIFETIMES),
            ):
                with pytest.raises(RefusedError) as caught:
                    await asked
                assert len(caught.value.refused) == 1
            assert await _found(engine, _TRIPLET, _OTHER) == [_RECORD, _RECORD]
        assert [row["recipient"] for row in _rows(file, "decisions")] == ["good"]
        assert len(_rows(file, "counts")) == 1

    async def test_everything_tells_it_too(self, tmp_path: Path) -> None:
        async with _opened(tmp_path) as engine:
            for asked in (
                engine.is_prepared(),
                engine.prepare(),
                engine.add_decisions([_kept()], {}),
                engine.purge(NOON, _LIFETIMES, 1),
                engine.remote_changes(),
                engine.unite([(_TRIPLET, _RECORD)], NOON, _LIFETIMES),
                engine.forget([_TRIPLET]),
                _all_records(engine),
            ):
                with pytest.raises(StoreError, match="unable to open"):
                    await asked

    async def test_a_store_that_lost_its_tables_tells_it(self, file: Path) -> None:
        """An empty transaction is the probe of a store that is down."""
        with _sqlite(file) as other:
            async with _engine(file) as engine:
                await engine.transact([_SIGHTING], [])
                other.executescript("DROP TABLE triplets; DROP TABLE meta")
                await _failure(engine, writes=False)
                assert not await engine.is_prepared()

    async def test_many_failures_leave_nothing_behind(self, tmp_path: Path, file: Path) -> None:
        """A store that is down is retried each second, for days."""
        _damage(file)
        async with _opened(tmp_path) as folder, _opened(file) as damaged:
            await _failure(folder)
            await _failure(damaged)
            before = len(_entries(Path("/proc/self/fd")))
            for _ in range(30):
                await _failure(folder)
                await _failure(damaged)
            assert len(_entries(Path("/proc/self/fd"))) <= before

    async def test_a_transaction_that_fails_has_done_nothing(self, file: Path) -> None:
        async with _engine(file) as engine:
            with _sqlite(file) as operator:
                operator.execute(
                    f"CREATE TRIGGER full BEFORE INSERT ON triplets WHEN NEW.recipient LIKE 'other%' {_FAILS}"
                )
            with pytest.raises(StoreError, match="no such table"):
                await engine.transact([_SIGHTING, _SIGHTING._replace(triplet=_OTHER)], [])
            assert await _found(engine, _TRIPLET, _OTHER) == [None, None]
