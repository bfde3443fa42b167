"""SQLite's file is created once, and bley never uses another file in its place."""

import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bley.core.errors import StoreError
from bley.core.greylist import Lifetimes, Record, Sighting, Status
from bley.core.mail import Triplet
from bley.settings.database import Database
from bley.store.engine import Engine
from bley.store.opening import open_engine
from bley.store.sqlite_file import open_sqlite, sqlite_uri
from tests.fakes import NOON

_TRIPLET = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")
_SIGHTING = Sighting(_TRIPLET, Status.CLEAN, NOON, Lifetimes(greylisted=timedelta(days=10)))
_RECORD = Record(Status.CLEAN, NOON, NOON)
_MOVED = "the file was moved or replaced"
_GONE = "There is no such file: restore it, or restart bley to start with an empty store"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bley.db"


@pytest.fixture
async def engine(file: Path) -> AsyncIterator[Engine]:
    """An engine that has stored a record."""
    async with _engine(file) as engine:
        await engine.transact([_SIGHTING], [])
        yield engine


@contextlib.asynccontextmanager
async def _engine(file: Path) -> AsyncIterator[Engine]:
    engine = open_engine(Database(file=file))
    try:
        await engine.prepare()
        yield engine
    finally:
        await engine.close()


async def _failure(engine: Engine) -> str:
    with pytest.raises(StoreError) as caught:
        await engine.transact([], [_TRIPLET])
    return str(caught.value)


def _move(file: Path, folder: Path) -> None:
    """Return the file with its WAL and its shared memory."""
    folder.mkdir(exist_ok=True)
    for each in [file, *file.parent.glob(f"{file.name}-*")]:
        shutil.move(each, folder / each.name)


def _is_there(file: Path) -> bool:
    return file.exists()


def _modes(file: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()}


def _make_empty(file: Path, mode: int = 0o600) -> None:
    file.touch()
    file.chmod(mode)


@pytest.mark.parametrize("name", ["bley.db", "b?l#e%y.db", "jürgen ü.db"])
def test_a_uri_names_that_very_file(tmp_path: Path, name: str) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_uri(tmp_path / name, "rwc"), uri=True)) as connection:
        connection.execute("CREATE TABLE t (a)")
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_the_first_connection_makes_the_file_and_no_later_one(file: Path) -> None:
    database = open_sqlite(file, read_only=False)
    with database.connect():
        assert file.exists()
    database.dispose()
    file.unlink()
    with pytest.raises(Exception, match="unable to open database file"):
        database.connect()
    assert not file.exists()


async def test_only_its_owner_may_read_it(file: Path) -> None:
    """Correspondents are private; the files that belong to the database are no different."""
    umask = os.umask(0)
    try:
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [])
            modes = _modes(file)
    finally:
        os.umask(umask)
    assert modes == {"bley.db": 0o600, "bley.db-wal": 0o600, "bley.db-shm": 0o600}


async def test_that_of_bley_2_becomes_private_when_it_is_taken_over(file: Path) -> None:
    """WAL and shared memory too. bley 2 created the file with the umask's mode. Later changes of the mode stay."""
    with contextlib.closing(sqlite3.connect(file)) as old:
        old.execute("CREATE TABLE bley_status (ip TEXT)")
    for before, after in ((0o644, 0o600), (0o640, 0o640)):
        os.chmod(file, before)  # noqa: PTH101 (which the loop may do)
        async with _engine(file) as engine:
            await engine.transact([_SIGHTING], [])
            assert _modes(file) == {"bley.db": after, "bley.db-wal": after, "bley.db-shm": after}


async def test_one_that_is_there_keeps_its_mode(file: Path) -> None:
    """A group may have been granted access."""
    _make_empty(file, 0o640)
    async with _engine(file):
        assert _modes(file)["bley.db"] == 0o640


def test_to_read_only_makes_none(file: Path) -> None:
    with pytest.raises(Exception, match="unable to open database file"):
        open_sqlite(file, read_only=True).connect()
    assert not file.exists()


async def test_a_file_that_was_moved_away_is_not_written_to_any_more(
    engine: Engine, file: Path, tmp_path: Path
) -> None:
    """Nor created again: all records would be lost without notice."""
    _move(file, tmp_path / "elsewhere")
    assert await _failure(engine) == f"{file}: {_MOVED}. {_GONE}"
    for _ in range(3):
        assert await _failure(engine) == f"{file}: unable to open database file. {_GONE}"
    assert not _is_there(file)


async def test_when_it_is_put_back_everything_is_there(engine: Engine, file: Path, tmp_path: Path) -> None:
    _move(file, tmp_path / "elsewhere")
    await _failure(engine)
    _move(tmp_path / "elsewhere" / file.name, tmp_path)
    assert await engine.is_prepared()
    assert (await engine.transact([], [_TRIPLET])).records == {_TRIPLET: _RECORD}


async def test_a_backup_in_its_place_is_used_from_the_next_connection_on(
    engine: Engine, file: Path, tmp_path: Path
) -> None:
    other = Triplet("c", "s", "in the backup")
    async with _engine(tmp_path / "backup.db") as backup:
        await backup.transact([Sighting(other, Status.CLEAN, NOON, Lifetimes())], [])
    _move(file, tmp_path / "elsewhere")
    shutil.move(tmp_path / "backup.db", file)
    assert await _failure(engine) == f"{file}: {_MOVED}"
    assert await engine.is_prepared()
    assert (await engine.transact([], [other, _TRIPLET])).records == {other: _RECORD}


async def test_an_empty_file_in_its_place_is_to_be_prepared(engine: Engine, file: Path, tmp_path: Path) -> None:
    _move(file, tmp_path / "elsewhere")
    _make_empty(file)
    await _failure(engine)
    assert not await engine.is_prepared()
    await engine.prepare()
    assert (await engine.transact([], [_TRIPLET])).records == {}


async def test_after_a_restart_bley_begins_anew(file: Path, tmp_path: Path) -> None:
    async with _engine(file):
        _move(file, tmp_path / "elsewhere")
    async with _engine(file) as next_one:
        assert (await next_one.transact([_SIGHTING], [_TRIPLET])).records == {_TRIPLET: _RECORD}


async def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """Its file system may be unmounted, for example."""
    file = tmp_path / "mounted" / "bley.db"
    file.parent.mkdir()
    async with _engine(file) as engine:
        shutil.move(file.parent, tmp_path / "unmounted")
        hint = f"There is no folder {file.parent}: create it, or mount its file system"
        assert await _failure(engine) == f"{file}: {_MOVED}. {hint}"
        assert await _failure(engine) == f"{file}: unable to open database file. {hint}"
        shutil.move(tmp_path / "unmounted", file.parent)
        assert (await engine.transact([_SIGHTING], [_TRIPLET])).records == {_TRIPLET: _RECORD}
