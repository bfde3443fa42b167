"""The key of `privacy = keyed-hash`: without it, no guessed address can be tested against the store.

The file has one line of 64 hexadecimal digits. All nodes of one store need the same key. The store holds a check value
(`PrivacyKey.check`) that detects another key and does not reveal this one.

A new key is saved before the first record is stored, and never by merely reading the settings.
"""

import re
import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from bley.core.errors import Fault, SettingsError
from bley.durable_files import create_private
from bley.operator_files import check_creatable, explain_absence, read_text

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
    """The configured key and its file; `is_saved`: the file exists."""

    value: bytes = field(default=_NO_KEY, repr=False)
    file: Path = Path()
    is_saved: bool = True

    @property
    def check(self) -> int:
        """The check value of this key."""
        return check_value(self.value)

    def save(self) -> None:
        """Save a new key. Raises OSError; FileExistsError if another key was saved there meanwhile."""
        if not self.value or self.is_saved:
            return
        try:
            create_private(self.file, f"{self.value.hex()}\n".encode())
        except FileExistsError:
            if self._is_in_file():
                return  # saved by another worker
            raise

    def check_savable(self) -> None:
        """Raise the OSError of `save`, and save nothing."""
        if self.value and not self.is_saved:
            check_creatable(self.file)

    def remove(self) -> None:
        """Remove the file of a new key that the store rejected."""
        if self.value and not self.is_saved and self._is_in_file():
            self.file.unlink(missing_ok=True)

    def fault(self, other: int) -> str:
        """Return why this key does not match the check value `other`, and the remedy."""
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
            "if the key is lost, `bley forget --all`, with the same -c if any, lets bley begin again"
        )

    def _is_in_file(self) -> bool:
        try:
            return read_key(self.file) == self.value
        except SettingsError:
            return False


def read_key(file: Path) -> bytes | None:
    """Return the key in the file; None if there is no file.

    Raises SettingsError if the file cannot be read or has no valid key.
    """
    try:
        text = read_text(file, "ascii").strip()
    except FileNotFoundError as error:
        if not explain_absence(file):  # bley never creates a credential
            return None
        raise SettingsError([Fault("privacy_key_file", 0, f"{file} cannot be read: {error.strerror}")]) from error
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError([Fault("privacy_key_file", 0, f"{file} cannot be read: {why}")]) from error
    if not re.fullmatch(f"[0-9a-fA-F]{{{2 * _KEY_BYTES}}}", text):
        what = f"{file} has no key: write {2 * _KEY_BYTES} hexadecimal digits, those of the store's other nodes"
        raise SettingsError([Fault("privacy_key_file", 0, what)])
    return bytes.fromhex(text)


def load_key(file: Path) -> PrivacyKey:
    """Return the key in the file, or a new key, to be saved once the store accepts it. Raises SettingsError."""
    key = read_key(file)
    return PrivacyKey(key or secrets.token_bytes(_KEY_BYTES), file, is_saved=key is not None)
