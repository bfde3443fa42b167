"""A backup of SQLite's file is complete, private and one file, or there is none."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bley.core.errors import StoreError
from bley.store.sqlite_backup import back_up


def _ignore(_pages: int) -> None:
    """Ignore the progress."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A database of some 12 MB in WAL mode."""
    source = tmp_path / "bley.db"
    with closing(sqlite3.connect(source)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE triplets (client TEXT)")
        database.executemany("INSERT INTO triplets VALUES (?)", [("x" * 4000,)] * 3000)
        database.commit()
    return source


def _records(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        (number,) = database.execute("SELECT count(*) FROM triplets").fetchone()
    return int(number)


def test_it_has_all_records_and_is_one_private_file(source: Path, tmp_path: Path) -> None:
    """Even with a umask that lets others read."""
    folder = tmp_path / "backups"
    folder.mkdir()
    pages: list[int] = []
    assert back_up(source, folder / "one", pages.append) == 3000
    assert [path.name for path in folder.iterdir()] == ["one"]
    assert folder.joinpath("one").stat().st_mode & 0o777 == 0o600
    assert _records(folder / "one") == 3000
    assert len(pages) > 1
    assert all(number > 0 for number in pages)


def test_what_is_written_meanwhile_neither_waits_nor_appears(source: Path, tmp_path: Path) -> None:
    """Each step of the copy is followed by a write: it ends all the same."""
    with closing(sqlite3.connect(source, timeout=0)) as writer:

        def write(_pages: int) -> None:
            writer.execute("INSERT INTO triplets VALUES ('new')")
            writer.commit()

        assert back_up(source, tmp_path / "one", write) == _records(tmp_path / "one") == 3000
    assert _records(source) > 3000


def _interrupt(_pages: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("change", "advance", "error"),
    [
        (lambda source: None, _interrupt, KeyboardInterrupt),
        (lambda source: source.unlink(), _ignore, StoreError),
        (lambda source: source.write_bytes(b"no database" * 1000), _ignore, StoreError),
        (lambda source: source.write_bytes(source.read_bytes()[:40960] + b"x" * 8192), _ignore, StoreError),
        (lambda source: source.with_name("one").write_text("mine"), _ignore, FileExistsError),
    ],
    ids=["interrupted", "no source", "no database", "damaged", "exists"],
)
def test_a_failure_leaves_nothing(
    source: Path, tmp_path: Path, change: Callable[[Path], None], advance: Callable[[int], None], error: type[Exception]
) -> None:
    change(source)
    with pytest.raises(error):
        back_up(source, tmp_path / "one", advance)
    left = {path.name: path for path in tmp_path.iterdir()} | {"one": tmp_path / "one"}
    assert {name for name in left if not name.startswith("bley.db")} == {"one"}
    assert not left["one"].exists() or left["one"].read_text() == "mine"
