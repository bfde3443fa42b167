"""A trial of the store, for `bley check-config`: it connects and reads as `bley serve` does, and changes nothing."""

import asyncio
import os
from pathlib import Path

from bley.core.errors import StoreError
from bley.settings.database import Database
from bley.settings.privacy_key import PrivacyKey
from bley.store.engine import ANSWER_SECONDS, Engine
from bley.store.key_claim import check_key, check_savable
from bley.store.opening import open_engine
from bley.store.sqlite_file import find_obstacle

__all__ = ["try_store"]


async def try_store(database: Database, key: PrivacyKey) -> None:
    """Try to open the store, to read its schema and key, and to write without an effect.

    Raises SettingsError if the driver is missing, PrivacyKeyError, and StoreError.
    """
    engine = open_engine(database, leaves_no_trace=True)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await _try_engine(engine, database, key)
    except TimeoutError as error:
        raise StoreError(f"{database}: no answer within {ANSWER_SECONDS:g} s") from error
    finally:
        await engine.close()


async def _try_engine(engine: Engine, database: Database, key: PrivacyKey) -> None:
    if database.dbtype == "sqlite3":
        _check_file(database.file)
        if not database.file.exists():
            check_savable(engine.place, key)
            return
    await engine.is_prepared()
    await check_key(engine, key)
    await engine.check_writable()


def _check_file(file: Path) -> None:
    """Raise the StoreError of SQLite's file if this user cannot write to it, in SQLite's words."""
    if obstacle := find_obstacle(file):
        can_read = os.access(file, os.R_OK)
        what = "attempt to write a readonly database" if can_read else "unable to open database file"
        raise StoreError(f"{file}: {what}. {obstacle}")
