"""Safe reading of the files that the operator names: settings, lists, passwords, keys.

A wrong name must not block a start or a reload forever: it may be a FIFO without a writer, or an endless device. So
only regular files and character devices are read, without waiting and up to a size limit.
"""

import codecs
import errno
import os
import stat
from pathlib import Path

__all__ = ["LONGEST_FILE", "check_creatable", "check_name", "read_text"]

LONGEST_FILE = 64 * 1024 * 1024
"""Bytes. A list file of a million lines has some 20 MB."""

_LONGEST_NAME = 255
"""NAME_MAX: bytes of each part of a path."""

_LONGEST_PATH = 4095
"""PATH_MAX less the final NUL: bytes of a path."""


def check_name(name: str) -> str:
    """Return the name unchanged. Raises ValueError if no file can have it."""
    if "\0" in name:
        raise ValueError("has a NUL character, which no file's name has")
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError as error:
        raise ValueError("has characters that no file's name has here") from error
    if len(encoded) > _LONGEST_PATH or any(len(part) > _LONGEST_NAME for part in encoded.split(b"/")):
        raise ValueError(f"is too long for a file: {_LONGEST_PATH} bytes at most, {_LONGEST_NAME} between slashes")
    return name


def read_text(file: Path, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Return the text of a file, with LF as the line end. A byte order mark of UTF-16 overrides `utf-8-sig`.

    Raises UnicodeDecodeError, and OSError: also for an impossible name, a path that is not a file, and a file that is
    too large.
    """
    data = _read(file)
    if encoding == "utf-8-sig" and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding, errors = "utf-16", "strict"
    return data.decode(encoding, errors).replace("\r\n", "\n").replace("\r", "\n")


def _read(file: Path) -> bytes:
    try:
        # O_NONBLOCK: opening a FIFO would wait for a writer.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError as error:  # a NUL in the name, or characters that the system's encoding lacks
        raise OSError(errno.EINVAL, "no file can have this name") from error
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
            raise OSError(errno.EINVAL, "it is not a file", str(file))
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            data = opened.read(LONGEST_FILE + 1) or b""
    finally:
        os.close(descriptor)
    if len(data) > LONGEST_FILE:
        raise OSError(errno.EFBIG, f"it has more than {LONGEST_FILE // 1024 // 1024} MB", str(file))
    return data


def check_creatable(file: Path) -> None:
    """Raise the OSError that creating this file would raise, as far as the folder shows it; create nothing."""
    folder = file.absolute().parent
    if not stat.S_ISDIR(folder.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(file))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
