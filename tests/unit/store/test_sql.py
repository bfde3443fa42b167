"""What is special about the SQL engine on SQLite: how it opens its file, asks, and fails."""

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bley.core.errors import StoreError
from bley.core.greylist import Record, Sighting, Status
from bley.core.mail import Triplet
from bley.store.sql import SqlEngine, open_sqlite
from tests.fakes import NOON

_PATIENCE_SECONDS = 3.0
_TRIPLET = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")
_SIGHTING = Sighting(_TRIPLET, Status.CLEAN, NOON, NOON - timedelta(days=10))
_RECORD = Record(Status.CLEAN, NOON, NOON)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bley.db"


@pytest.fixture(autouse=True)
async def no_thread_is_left() -> AsyncIterator[None]:
    """aiosqlite's threads end a moment after their connection, but they end."""
    before = threading.active_count()
    yield
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while threading.active_count() > before:  # noqa: ASYNC110 (nobody tells us)
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def _engine(file: Path, *, read_only: bool = False) -> AsyncIterator[SqlEngine]:
    engine = open_sqlite(file, read_only=read_only)
    try:
        yield engine
    finally:
        await engine.close()


@contextlib.contextmanager
def _sqlite(file: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


async def _failure(engine: SqlEngine, *, writes: bool = True) -> str:
    """What the StoreError says, which comes within a second."""
    start = time.monotonic()
    with pytest.raises(StoreError) as caught:
        await engine.transact([_SIGHTING] if writes else [], [_TRIPLET])
    assert time.monotonic() - start < 1
    return str(caught.value)


def _entries(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _bytes(file: Path) -> bytes:
    return file.read_bytes()


def _damage(file: Path) -> None:
    file.write_bytes(os.urandom(8192))


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that SQLite is told, in order."""
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
                assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    async def test_its_writes_wait_for_no_disk(self, file: Path, statements: list[str]) -> None:
        """Synchronous NORMAL: a crash of bley loses nothing, a power cut the last moment."""
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [_TRIPLET])
        assert statements.index("PRAGMA synchronous=NORMAL") < statements.index("COMMIT")

    @pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "a b", "jürgen", "a&mode=ro", "a\\b", "ab:c", "file:a"])
    async def test_a_name_with_signs_of_a_url_opens_that_very_file(self, tmp_path: Path, name: str) -> None:
        folder = _folder(tmp_path / name)
        async with _engine(folder / f"{name}.db") as engine:
            await engine.transact([_SIGHTING], [])
        assert _entries(folder) == {f"{name}.db"}
        with _sqlite(folder / f"{name}.db") as other:
            assert other.execute("SELECT count(*) FROM triplets").fetchone() == (1,)

    async def test_a_relative_name_is_one_in_this_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        async with _engine(Path("bley.db")) as engine:
            await engine.transact([_SIGHTING], [])
        assert "bley.db" in _entries(tmp_path)

    async def test_nothing_is_opened_before_something_is_asked(self, tmp_path: Path, file: Path) -> None:
        async with _engine(file):
            pass
        assert _entries(tmp_path) == set()

    async def test_no_descriptor_is_left(self, file: Path) -> None:
        before = len(_entries(Path("/proc/self/fd")))
        for _ in range(20):
            async with _engine(file) as engine:
                await engine.transact([_SIGHTING], [_TRIPLET])
        assert len(_entries(Path("/proc/self/fd"))) <= before


class TestStatements:
    async def test_finding_uses_the_primary_key(self, file: Path, statements: list[str]) -> None:
        """However many triplets there are, no row is looked at that is not wanted."""
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [_TRIPLET])
        plan = self._plan(file, [text for text in statements if "json_each" in text])
        assert "USING PRIMARY KEY (client=? AND sender=? AND recipient=?)" in plan
        assert "SCAN triplets" not in plan

    async def test_purging_uses_the_index_of_ages(self, file: Path, statements: list[str]) -> None:
        async with _engine(file) as engine:
            await engine.purge(greylisted_before=NOON, known_before=NOON, limit=500)
        plan = self._plan(file, [text for text in statements if "LIMIT" in text])
        assert "triplets_by_age (status=? AND last_seen<?)" in plan
        assert "SCAN triplets" not in plan

    def _plan(self, file: Path, statements: list[str]) -> str:
        """How SQLite does the only one of these statements."""
        (statement,) = statements
        with _sqlite(file) as other:
            return "\n".join(row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {statement}"))

    async def test_a_slice_of_a_purge_is_no_larger_than_wanted(self, file: Path) -> None:
        async with _engine(file) as engine:
            triplets = [Triplet("c", "s", str(number)) for number in range(5)]
            await engine.transact([replace(_SIGHTING, triplet=triplet) for triplet in triplets], [])
            ages = {"greylisted_before": NOON, "known_before": NOON + timedelta(seconds=1)}
            assert [await engine.purge(**ages, limit=2) for _ in range(4)] == [2, 2, 1, 0]
            assert await engine.transact([], triplets) == [None] * 5


class TestReadOnly:
    async def test_it_writes_nothing(self, tmp_path: Path, file: Path) -> None:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [])
        before = _bytes(file)
        async with _engine(file, read_only=True) as engine:
            other = replace(_TRIPLET, recipient="other@example.org")
            assert await engine.transact([replace(_SIGHTING, triplet=other)], [_TRIPLET, other]) == [_RECORD, None]
        assert _bytes(file) == before

    async def test_it_reads_while_another_has_the_file_open_and_writes(self, file: Path) -> None:
        async with _engine(file) as daemon, _engine(file, read_only=True) as reader:
            await daemon.transact([_SIGHTING], [])
            assert await reader.transact([], [_TRIPLET]) == [_RECORD]
            await daemon.transact([replace(_SIGHTING, status=Status.TRUSTED)], [])
            (record,) = await reader.transact([], [_TRIPLET])
            assert record
            assert record.status is Status.TRUSTED

    async def test_it_does_not_make_a_file(self, tmp_path: Path, file: Path) -> None:
        async with _engine(file, read_only=True) as engine:
            assert "unable to open database file" in await _failure(engine)
        assert _entries(tmp_path) == set()


class TestFailures:
    """Each within a second, in SQLite's own words, and without its statements."""

    async def test_a_missing_folder(self, file: Path) -> None:
        async with _engine(file / "missing" / "bley.db") as engine:
            assert await _failure(engine) == "unable to open database file"

    async def test_a_folder(self, tmp_path: Path) -> None:
        async with _engine(tmp_path) as engine:
            assert await _failure(engine) == "unable to open database file"

    async def test_a_damaged_file(self, file: Path) -> None:
        _damage(file)
        async with _engine(file) as engine:
            assert await _failure(engine) == "file is not a database"

    @pytest.mark.parametrize("known", [False, True], ids=["new", "open"])
    async def test_a_locked_file(self, file: Path, known: bool) -> None:
        with _sqlite(file) as other:
            async with _engine(file) as engine:
                if known:
                    await engine.transact([_SIGHTING], [])
                other.execute("BEGIN EXCLUSIVE")
                assert await _failure(engine) == "database is locked"
                other.execute("ROLLBACK")
                assert await engine.transact([_SIGHTING], [_TRIPLET]) == [_RECORD]

    async def test_a_table_of_somebody_else(self, file: Path) -> None:
        with _sqlite(file) as other:
            other.execute("CREATE TABLE triplets (a, b)")
            async with _engine(file) as engine:
                assert "column" in await _failure(engine)

    async def test_purging_tells_it_too(self, tmp_path: Path) -> None:
        async with _engine(tmp_path) as engine:
            with pytest.raises(StoreError, match="unable to open"):
                await engine.purge(greylisted_before=NOON, known_before=NOON, limit=1)

    async def test_a_try_without_anything_to_do_fails_where_a_find_would(self, file: Path) -> None:
        """That is how a store that is down learns whether it is back."""
        with _sqlite(file) as other:
            async with _engine(file) as engine:
                await engine.transact([_SIGHTING], [])
                other.execute("DROP TABLE triplets")
                await _failure(engine, writes=False)
                with pytest.raises(StoreError):
                    await engine.transact([], [])

    async def test_many_failures_leave_nothing_behind(self, tmp_path: Path, file: Path) -> None:
        """A store that is down tries again each second, for days."""
        _damage(file)
        async with _engine(tmp_path) as folder, _engine(file) as damaged:
            before = len(_entries(Path("/proc/self/fd")))
            for _ in range(30):
                await _failure(folder)
                await _failure(damaged)
            assert len(_entries(Path("/proc/self/fd"))) <= before

    async def test_a_transaction_that_fails_has_done_nothing(self, file: Path) -> None:
        other = replace(_TRIPLET, recipient="other@example.org")
        async with _engine(file) as engine:
            await engine.transact([], [])
            with _sqlite(file) as operator:
                operator.execute(
                    "CREATE TRIGGER full BEFORE INSERT ON triplets WHEN NEW.recipient LIKE 'other%' "
                    "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
                )
            with pytest.raises(StoreError, match="disk full"):
                await engine.transact([_SIGHTING, replace(_SIGHTING, triplet=other)], [])
            assert await engine.transact([], [_TRIPLET, other]) == [None, None]
