"""The configured store, for commands that read or change all of its records, or its history."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

from bley.core.errors import StoreError
from bley.predecessors.record_converter import open_configured_engine
from bley.settings.database import Database
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.store.engine import Engine
from bley.store.history import History
from bley.store.key_claim import bring_key, confirm_key
from bley.store.opening import open_engine, open_history
from bley.store.sqlite_file import is_missing

__all__ = ["confirm_stored_key", "opened_engine", "opened_history"]


@contextlib.asynccontextmanager
async def opened_engine(
    configuration: Configuration,
    now: datetime,
    *,
    creates: bool = False,
    is_read_only: bool = False,
    needs_key: bool = True,
) -> AsyncIterator[Engine]:
    """Open the store's engine. Raises StoreError if there is no store, unless `creates`.

    With `needs_key`, raises PrivacyKeyError if its addresses are hashed with another key than the configured one.
    """
    place = configuration.settings.store
    if not creates:
        _require_file(place)
    engine = open_configured_engine(configuration, now, read_only=is_read_only)
    try:
        if not await engine.is_prepared():
            if not creates:
                raise StoreError(f"{place}: no bley has stored anything there")
            await bring_key(engine, configuration.key)
            await engine.prepare()
        if needs_key:
            await confirm_key(engine, configuration.key, claims=creates)
        yield engine
    finally:
        await engine.close()


@contextlib.asynccontextmanager
async def opened_history(settings: Settings) -> AsyncIterator[History]:
    """Open the store's history. Raises StoreError if there is no store."""
    _require_file(settings.store)
    history = open_history(settings.store)
    try:
        yield history
    finally:
        await history.close()


async def confirm_stored_key(configuration: Configuration) -> None:
    """Raise PrivacyKeyError if the store hashes addresses with another key, since nothing would match."""
    engine = open_engine(configuration.settings.store, read_only=True)
    try:
        await confirm_key(engine, configuration.key, claims=False)
    finally:
        await engine.close()


def _require_file(place: Database) -> None:
    if place.dbtype == "sqlite3" and is_missing(place.file):
        raise StoreError(f"{place}: no such file: `bley serve` creates it, and -c names its settings")
