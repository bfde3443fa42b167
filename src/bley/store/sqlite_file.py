"""SQLite's file: how it is opened, and the check that it is still the same file."""

import contextlib
import logging
import os
import shlex
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from bley.durable_files import create_private
from bley.operator_files import deny_reading, find_closed_folder, hand_over, permit_writing, user_name

__all__ = ["check_file", "find_obstacle", "is_missing", "make_files_private", "open_sqlite", "sqlite_uri"]

_log = logging.getLogger(__name__)

_LOCK_SECONDS = 0.5
"""The time for which SQLite waits for another process's lock before the transaction fails."""


def open_sqlite(file: Path, *, read_only: bool, leaves_no_trace: bool = False) -> sa.Engine:
    """Return an SQLAlchemy engine with one connection; only the first one creates the file, unless `read_only`.

    Even then SQLite creates the WAL of a file at rest, and leaves it, unless `leaves_no_trace`.
    """
    has_been_open = False

    def connect() -> sqlite3.Connection:
        nonlocal has_been_open
        mode = "ro" if read_only else "rw" if has_been_open else "rwc"
        if mode == "rwc":
            with contextlib.suppress(OSError):  # it exists, or SQLite's own error says more
                create_private(file, b"")
        # With isolation_level None the driver begins no transactions by itself: Sqlite.begin does.
        uri = sqlite_uri(file, mode)
        if leaves_no_trace and not file.with_name(f"{file.name}-wal").exists():
            uri += "&immutable=1"
        connection = sqlite3.connect(
            uri, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            if not read_only:
                _use_wal(connection)
                connection.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        has_been_open = True
        return connection

    engine = sa.create_engine(
        "sqlite+pysqlite://", creator=connect, poolclass=sa.QueuePool, pool_size=1, max_overflow=0
    )
    sa.event.listen(engine, "connect", lambda _, record: record.info.update(file=_identity(file)))
    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode. On a new file only one process can do so, and SQLite does not wait for it: retry."""
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def sqlite_uri(file: Path, mode: str) -> str:
    """Return the URI of the file, whose name may contain any characters (sqlite.org/uri.html)."""
    return f"file:{quote(os.fsencode(file))}?mode={mode}"


def check_file(connection: sa.Connection, file: Path) -> None:
    """Raise OSError if this name no longer belongs to the file of the connection."""
    if connection.info.get("file") != _identity(file):
        raise FileNotFoundError("the file was moved or replaced")


def is_missing(file: Path) -> bool:
    """Return whether there is no such file; False if this user may not enter its folder."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def find_obstacle(file: Path) -> str:
    """Return why this user cannot store anything in the file, and the remedy; empty if no reason is found."""
    folder, name = file.parent, user_name()
    if find_closed_folder(file):
        return deny_reading(file)
    if not os.access(folder, os.F_OK):
        return f"There is no folder {folder}: create it, or mount its file system"
    for each in _files(file):
        if os.access(each, os.F_OK) and not os.access(each, os.R_OK | os.W_OK):
            return f"User {name} may not write to {each}: {hand_over(each, f'{shlex.quote(str(file))}*')}"
    if not os.access(folder, os.W_OK | os.X_OK):
        if remedy := permit_writing(folder):
            return f"{folder} is read-only: {remedy}"
        return f"User {name} may not create files in {folder}: {hand_over(folder)}"
    return ""


def make_files_private(file: Path) -> None:
    """Restrict the file, its WAL and its shared memory to their owner."""
    try:
        for each in _files(file):
            with contextlib.suppress(FileNotFoundError):
                each.chmod(0o600)
    except OSError as error:
        _log.warning("store: other users may read %s: %s; `chmod 600` it and its -wal and -shm", file, error.strerror)


def _files(file: Path) -> list[Path]:
    """Return the file, its WAL and its shared memory (sqlite.org/tempfiles.html, 2.2)."""
    return [file.with_name(file.name + end) for end in ("", "-wal", "-shm")]


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
