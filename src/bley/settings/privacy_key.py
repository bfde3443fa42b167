"""The key of `privacy = keyed-hash`: without it nobody can test whether an address that he guesses is in the store.

The file has 64 hexadecimal digits in one line. All nodes of one store need the same key. The store keeps a check value
of it (`PrivacyKey.check`), which tells another key apart and does not reveal this one.
"""

import re
import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from bley.core.errors import Fault, SettingsError
from bley.durable_files import create_private
from bley.operator_files import read_text

__all__ = ["PrivacyKey", "check_value", "load_key", "read_key"]

_KEY_BYTES = 32
_CHECKED = b"the privacy key of this store"
_NO_KEY = b""


def check_value(key: bytes) -> int:
    """Return the number by which stores and exports know a key; an empty key means addresses in clear.

    63 bits, so that it fits into a signed BIGINT: two keys have the same one by chance once in 10^19.
    """
    return int.from_bytes(blake2b(_CHECKED, key=key, digest_size=8).digest()) >> 1


@dataclass(frozen=True, slots=True)
class PrivacyKey:
    """The key of these settings, and where it is; `is_saved`: the file is there."""

    value: bytes = field(default=_NO_KEY, repr=False)
    file: Path = Path()
    is_saved: bool = True

    @property
    def check(self) -> int:
        """The check value."""
        return check_value(self.value)

    def save(self) -> None:
        """Make the file of a new key. Raises OSError; FileExistsError if another key was saved there meanwhile."""
        if not self.value or self.is_saved:
            return
        try:
            create_private(self.file, f"{self.value.hex()}\n".encode())
        except FileExistsError:
            if self._is_in_file():
                return  # saved by another worker
            raise

    def remove(self) -> None:
        """Remove the file of a new key, which the store did not take."""
        if self.value and not self.is_saved and self._is_in_file():
            self.file.unlink(missing_ok=True)

    def fault(self, other: int) -> str:
        """Return why this key is not the one with the check value `other`, and what the operator should do."""
        if other == check_value(_NO_KEY):
            return (
                "its addresses are in clear: to hash them, `bley export` them with privacy = off, then `bley import` "
                "the file into an empty store"
            )
        if not self.value:
            return "its addresses are hashed: set privacy = keyed-hash, with the privacy_key_file of its other nodes"
        what = "another key than that in" if self.is_saved else "a key that is missing:"
        return (
            f"its addresses are hashed by {what} {self.file}: restore this file from a backup or from another node; "
            "if the key is lost, `bley forget --all` lets bley begin again"
        )

    def _is_in_file(self) -> bool:
        try:
            return read_key(self.file) == self.value
        except SettingsError:
            return False


def read_key(file: Path) -> bytes | None:
    """Return the key in the file; None if there is no file.

    Raises SettingsError when the file cannot be read, or has no key.
    """
    try:
        text = read_text(file, "ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Fault("privacy_key_file", 0, f"{file} cannot be read: {error}")]) from error
    if not re.fullmatch(f"[0-9a-fA-F]{{{2 * _KEY_BYTES}}}", text):
        what = f"{file} has no key: write {2 * _KEY_BYTES} hexadecimal digits, those of the store's other nodes"
        raise SettingsError([Fault("privacy_key_file", 0, what)])
    return bytes.fromhex(text)


def load_key(file: Path) -> PrivacyKey:
    """Return the key in the file, or else a new one, which is saved when a store takes it. Raises SettingsError."""
    key = read_key(file)
    return PrivacyKey(key or secrets.token_bytes(_KEY_BYTES), file, is_saved=key is not None)
