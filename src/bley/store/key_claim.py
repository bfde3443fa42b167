"""One store, one privacy key: a bley with another key would take all mail for strangers', and would not say so."""

import asyncio

from bley.core.errors import PrivacyKeyError
from bley.settings.privacy_key import PrivacyKey
from bley.store.engine import Engine

__all__ = ["bring_key", "confirm_key"]


async def bring_key(engine: Engine, key: PrivacyKey) -> bool:
    """Check the key before a store is prepared, and save it if both are new. Return whether the store knows it already.

    So no record, of those neither that bley 2 left there, is hashed by a key that is not on the disk. Raises
    PrivacyKeyError, StoreError.
    """
    if await _known(engine, key) is not None:
        return True
    await asyncio.to_thread(_save, engine, key)
    return False


async def confirm_key(engine: Engine, key: PrivacyKey, *, claims: bool) -> None:
    """Check that the store's addresses are hashed by this key, or in clear as these are.

    `claims`: a store that has no key yet takes this one, which is saved before if it is new. Raises PrivacyKeyError,
    StoreError.
    """
    if not claims:
        await _known(engine, key)
    elif not await bring_key(engine, key) and (known := await engine.claim_key(key.check)) != key.check:
        key.remove()
        raise PrivacyKeyError(f"{engine.place}: {key.fault(known)}")


async def _known(engine: Engine, key: PrivacyKey) -> int | None:
    """Return what the store knows of the key. Raises PrivacyKeyError if that is another one."""
    known = await engine.key_check()
    if known not in (None, key.check):
        raise PrivacyKeyError(f"{engine.place}: {key.fault(known)}")
    return known


def _save(engine: Engine, key: PrivacyKey) -> None:
    try:
        key.save()
    except OSError as error:
        what = f"privacy_key_file: {key.file} cannot be made: {error.strerror}"
        raise PrivacyKeyError(f"{engine.place}: {what}") from error
