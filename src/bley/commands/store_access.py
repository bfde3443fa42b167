"""The history of the configured store, for commands."""

import contextlib
from collections.abc import AsyncIterator

from bley.corrections.opened_engine import require_file
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.store.history import History
from bley.store.key_claim import confirm_key
from bley.store.opening import open_engine, open_history

__all__ = ["confirm_stored_key", "opened_history"]


@contextlib.asynccontextmanager
async def opened_history(settings: Settings) -> AsyncIterator[History]:
    """Open the store's history. Raises StoreError if there is no store."""
    require_file(settings.store)
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
