"""A backup of SQLite's file while bley writes to it (sqlite.org/backup.html)."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from bley.core.errors import StoreError
from bley.durable_files import creating_private
from bley.store.sqlite_file import sqlite_uri

__all__ = ["back_up"]

_PAGES = 2000
"""Pages of a step, 8 MB: some milliseconds."""


def back_up(source: Path, target: Path, advance: Callable[[int], None]) -> int:
    """Copy the database to a new private file, check the copy, and return the number of its records.

    `advance` gets the number of pages of each step, and may raise. Raises FileExistsError, another OSError, or
    StoreError; then there is no file.
    """
    with creating_private(target) as part:
        copy = Path(part.name)
        try:
            return _copy(source, copy, advance)
        except sqlite3.Error as error:
            raise StoreError(f"{source}: no backup was made: {error}") from error
        finally:
            for suffix in ("-wal", "-shm", "-journal"):
                copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _copy(source: Path, copy: Path, advance: Callable[[int], None]) -> int:
    copied = 0

    def report(_status: int, remaining: int, total: int) -> None:
        nonlocal copied
        advance(total - remaining - copied)
        copied = total - remaining

    with (
        contextlib.closing(sqlite3.connect(sqlite_uri(source, "ro"), uri=True, isolation_level=None)) as reader,
        contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as writer,
    ):
        # Without a snapshot, each write of bley would start the copy again. In WAL mode bley does not wait for it.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reader.backup(writer, pages=_PAGES, progress=report)
        writer.execute("PRAGMA journal_mode=DELETE")  # so that the copy is one file
        (found,) = writer.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise StoreError(f"{source}: no backup was made, since its copy is damaged: {found}")
        (records,) = writer.execute("SELECT count(*) FROM triplets").fetchone()
        return int(records)
