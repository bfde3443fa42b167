"""The store's latency and version, and the free space of the file systems on which bley writes."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bley.commands.doctor.finding import Finding, fault, note, warning, well
from bley.core.errors import BleyError
from bley.core.quantity import percent
from bley.settings.settings import Settings
from bley.store.engine import ANSWER_SECONDS
from bley.store.opening import open_engine
from bley.store.sqlite_file import is_missing

__all__ = ["examine_space", "examine_store"]

_SLOW_SECONDS = 0.1
"""A transaction that takes longer delays each stranger, and a busy server's requests wait for one another."""

_FEW_BYTES, _TOO_FEW_BYTES = 500_000_000, 50_000_000
_FEW_FILES = 1000


async def examine_store(settings: Settings) -> list[Finding]:
    """Measure a read of the store, once it is connected. An unreachable store is a finding of the start."""
    database = settings.store
    if database.dbtype == "sqlite3" and is_missing(database.file):
        return [note("store", f"{database.file} does not exist yet: `bley serve` creates it")]
    try:
        engine = open_engine(database, leaves_no_trace=True)
    except BleyError:
        return []
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            is_prepared = await engine.is_prepared()
            began = time.monotonic()
            await engine.is_prepared()
            seconds = time.monotonic() - began
    except (BleyError, TimeoutError):
        return []
    finally:
        await engine.close()
    return [_judge_latency(engine.place, seconds), *([] if is_prepared else [_unprepared(engine.place)])]


def _judge_latency(place: str, seconds: float) -> Finding:
    what = f"{place}: answers in {1000 * seconds:.1f} ms"
    if seconds < _SLOW_SECONDS:
        return well("store", what)
    return warning("store", what, "each stranger waits for the store", "use a database server that is nearer, or idle")


def _unprepared(place: str) -> Finding:
    return note("store", f"{place}: the tables are missing or of an older bley: `bley serve` creates or upgrades them")


def examine_space(settings: Settings) -> Iterator[Finding]:
    """Yield the free space of the folders in which bley writes."""
    folders = [settings.folder]
    if "/" in settings.log_file:
        folders.append(Path(settings.log_file).absolute().parent)
    for folder in dict.fromkeys(folders):
        try:
            found = os.statvfs(folder)
        except OSError:
            continue  # a finding of the start
        yield judge_space(folder, found)


def judge_space(folder: Path, found: os.statvfs_result) -> Finding:
    """Return what the free bytes and files of a file system mean."""
    free = found.f_bavail * found.f_frsize
    what = f"{folder} has {free / 1e9:.1f} GB free ({percent(found.f_bavail / max(found.f_blocks, 1))})"
    why, remedy = "on a full disk the store accepts no record, and on_store_error decides", f"df -h {folder}"
    if found.f_files and found.f_favail < _FEW_FILES:
        return fault("disk", f"{folder} has room for {found.f_favail} more files", why, f"df -i {folder}")
    if free < _TOO_FEW_BYTES:
        return fault("disk", what, why, remedy)
    return warning("disk", what, why, remedy) if free < _FEW_BYTES else well("disk", what)
