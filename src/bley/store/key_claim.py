"""The check that a store has one privacy key: with another key, bley would silently find no records."""

import asyncio
from collections.abc import Callable

from bley.core.errors import PrivacyKeyError
from bley.settings.privacy_key import PrivacyKey
from bley.store.engine import Engine

__all__ = ["bring_key", "check_key", "check_savable", "confirm_key"]


async def bring_key(engine: Engine, key: PrivacyKey) -> bool:
    """Check the key before a store is prepared; save it if both are new. Return whether the store has its check value.

    Thus no record, not even one taken over from bley 2, is hashed by a key that is not on disk. Raises PrivacyKeyError,
    StoreError.
    """
    if await _known(engine, key) is not None:
        return True
    await asyncio.to_thread(_save, engine.place, key, key.save)
    return False


async def confirm_key(engine: Engine, key: PrivacyKey, *, claims: bool) -> None:
    """Check that the store's addresses are hashed by this key, or are in clear if there is none.

    `claims`: give this key to a store that has none yet, after saving it if it is new. Raises PrivacyKeyError,
    StoreError.
    """
    if not claims:
        await _known(engine, key)
    elif not await bring_key(engine, key) and (known := await engine.claim_key(key.check)) != key.check:
        key.remove()
        raise PrivacyKeyError(f"{engine.place}: {key.fault(known)}")


async def _known(engine: Engine, key: PrivacyKey) -> int | None:
    """Return the check value in the store. Raises PrivacyKeyError if it belongs to another key."""
    known = await engine.key_check()
    if known not in (None, key.check):
        raise PrivacyKeyError(f"{engine.place}: {key.fault(known)}")
    return known


async def check_key(engine: Engine, key: PrivacyKey) -> None:
    """Raise the errors of `bring_key`, and save nothing."""
    if await _known(engine, key) is None:
        check_savable(engine.place, key)


def check_savable(place: str, key: PrivacyKey) -> None:
    """Raise the PrivacyKeyError of a new store at this place whose new key cannot be saved, and save nothing."""
    _save(place, key, key.check_savable)


def _save(place: str, key: PrivacyKey, save: Callable[[], None]) -> None:
    try:
        save()
    except OSError as error:
        what = f"privacy_key_file: {key.file} cannot be made: {error.strerror}"
        raise PrivacyKeyError(f"{place}: {what}") from error
