"""The key of `privacy = keyed-hash`: only who has it can test whether an address that he guesses is in the store.

The file has 64 hexadecimal digits in one line. All nodes of one store need the same.
"""

import re
import secrets
from pathlib import Path

from bley.core.errors import Fault, SettingsError
from bley.durable_files import create_private

__all__ = ["read_key"]

_KEY_BYTES = 32


def read_key(file: Path, *, makes_key: bool) -> bytes:
    """The key. One that is not there yet is made, readable for its owner only, or, if not `makes_key`, told by nobody.

    Raises SettingsError when the file cannot be read or made, or has no key.
    """
    try:
        text = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        key = secrets.token_bytes(_KEY_BYTES)
        if makes_key:
            _write(file, key)
        return key
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Fault("privacy_key_file", 0, f"{file} cannot be read: {error}")]) from error
    if not re.fullmatch(f"[0-9a-fA-F]{{{2 * _KEY_BYTES}}}", text):
        what = f"{file} has no key: write {2 * _KEY_BYTES} hexadecimal digits, those of the store's other nodes"
        raise SettingsError([Fault("privacy_key_file", 0, what)])
    return bytes.fromhex(text)


def _write(file: Path, key: bytes) -> None:
    try:
        create_private(file, f"{key.hex()}\n".encode())
    except OSError as error:
        raise SettingsError([Fault("privacy_key_file", 0, f"{file} cannot be made: {error.strerror}")]) from error
