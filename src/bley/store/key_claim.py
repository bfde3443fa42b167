"""One store, one privacy key: a bley with another key would take all mail for strangers', and would not say so."""

import asyncio

from bley.core.errors import PrivacyKeyError
from bley.privacy import PrivacyKey
from bley.store.engine import Engine

__all__ = ["confirm_key"]


async def confirm_key(engine: Engine, key: PrivacyKey, *, claims: bool) -> None:
    """Check that the store's addresses are hashed by this key, or in clear as these are.

    `claims`: a store that has no key yet takes this one, whose file is then made if it is new. The file is made before
    the claim, so that no record is ever hashed by a key that is not on the disk. Raises PrivacyKeyError, StoreError.
    """
    known = await engine.key_check()
    if known is None and claims:
        await asyncio.to_thread(_save, engine, key)
        known = await engine.claim_key(key.check)
        if known != key.check:
            key.remove()
    if known not in (None, key.check):
        raise PrivacyKeyError(f"{engine.place}: {key.fault(known)}")


def _save(engine: Engine, key: PrivacyKey) -> None:
    try:
        key.save()
    except OSError as error:
        what = f"privacy_key_file: {key.file} cannot be made: {error.strerror}"
        raise PrivacyKeyError(f"{engine.place}: {what}") from error
