"""The engine of the configured store, for a command or a page, while bley may be running."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

from bley.corrections.errors import NoStoreError
from bley.predecessors.record_converter import open_configured_engine
from bley.settings.database import Database
from bley.settings.file import Configuration
from bley.store.engine import Engine
from bley.store.key_claim import bring_key, confirm_key
from bley.store.opening import open_engine
from bley.store.sqlite_file import is_missing

__all__ = ["opened_engine", "require_file"]


@contextlib.asynccontextmanager
async def opened_engine(
    configuration: Configuration,
    now: datetime,
    *,
    creates: bool = False,
    is_read_only: bool = False,
    needs_key: bool = True,
) -> AsyncIterator[Engine]:
    """Open the store's engine. Raises NoStoreError if there is no store, unless `creates`.

    With `needs_key`, raises PrivacyKeyError if its addresses are hashed with another key than the configured one.
    """
    place = configuration.settings.store
    if not creates:
        require_file(place)
    engine = open_configured_engine(configuration, now, read_only=is_read_only)
    try:
        if not await engine.is_prepared():
            if creates:
                await bring_key(engine, configuration.key)
                await engine.prepare()
            elif not await _has_tables(place):
                raise NoStoreError(f"{place}: no bley has stored anything there")
        if needs_key:
            await confirm_key(engine, configuration.key, claims=creates)
        yield engine
    finally:
        await engine.close()


async def _has_tables(place: Database) -> bool:
    """Return whether this bley can use the tables as they are; an index may be missing, which the next start adds.

    Raises StoreError if an older bley has stored something there, which the next start upgrades.
    """
    reader = open_engine(place, read_only=True)
    try:
        await reader.prepare()
        return await reader.is_prepared()
    finally:
        await reader.close()


def require_file(place: Database) -> None:
    """Raise NoStoreError if the store is a file that does not exist."""
    if place.dbtype == "sqlite3" and is_missing(place.file):
        raise NoStoreError(f"{place}: no such file: `bley serve` creates it, and -c names its settings")
