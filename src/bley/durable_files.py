"""Atomic and durable file writes: after a crash or power cut a file is complete, or unchanged.

The content goes to a temporary file in the same folder, which is flushed with fsync and renamed. Then the folder is
flushed too, since fsync of a file does not flush its directory entry: fsync(2).
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["create_private", "creating_private", "replace_file", "replacing"]


@contextlib.contextmanager
def replacing(file: Path, mode: int = 0o666, max_mode: int = 0o777, model: Path | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `file` at the end of the block. On any error the old file stays.

    The new file takes the owner of the old one and its mode, limited by `max_mode`, as far as the process may set them.
    Without an old file it takes those of `model`, or has `mode` less the umask. A symbolic link is replaced, not
    followed. Raises OSError.
    """
    with _temporary(file, mode) as part:
        yield part
        with contextlib.suppress(FileNotFoundError):
            _take_rights(part.fileno(), _rights(file, model), max_mode)
        _flush(part)
        Path(part.name).replace(file)
    _flush_folder(file.parent)


def replace_file(file: Path, content: bytes) -> None:
    """Write this content to the file, as `replacing` does. Raises OSError."""
    with replacing(file) as part:
        part.write(content)


@contextlib.contextmanager
def creating_private(file: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that becomes a new `file`, which only its owner may read, at the end of the block.

    If root creates it, the folder's owner, bley for example, owns it.
    Raises OSError; FileExistsError if the file exists, which then stays unchanged.
    """
    with _temporary(file, 0o600) as part:
        if os.geteuid() == 0:
            folder = file.parent.stat()
            os.fchown(part.fileno(), folder.st_uid, folder.st_gid)
        yield part
        _flush(part)
        _rename_new(Path(part.name), file)
    _flush_folder(file.parent)


def create_private(file: Path, content: bytes) -> None:
    """Create a private file with this content, as `creating_private` does. Raises OSError."""
    with creating_private(file) as part:
        part.write(content)


def _rename_new(part: Path, file: Path) -> None:
    """Rename without replacing an existing file. Raises OSError."""
    try:
        os.link(part, file)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: there the file is empty for a moment
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        part.replace(file)


@contextlib.contextmanager
def _temporary(file: Path, mode: int) -> Iterator[BinaryIO]:
    """Open a new file in the same folder. At the end it is removed, unless it was renamed."""
    part = file.with_name(f".bley-{secrets.token_hex(8)}")  # not made from the file's name, which may have full length
    try:
        # "x" follows no link.
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as opened:
            yield opened
    finally:
        part.unlink(missing_ok=True)


def _rights(file: Path, model: Path | None) -> os.stat_result:
    try:
        return file.lstat()
    except FileNotFoundError:
        if model is None:
            raise
        return model.stat()


def _take_rights(descriptor: int, old: os.stat_result, max_mode: int) -> None:
    if not stat.S_ISREG(old.st_mode):
        return  # the mode of a symbolic link grants everything to everyone
    mode = stat.S_IMODE(old.st_mode) & max_mode
    own = os.fstat(descriptor)
    try:
        if (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid):
            os.fchown(descriptor, old.st_uid if os.geteuid() == 0 else -1, old.st_gid)
    except PermissionError:
        mode &= ~stat.S_IRWXG  # these rights were meant for another group
    os.fchmod(descriptor, mode)


def _flush(opened: BinaryIO) -> None:
    opened.flush()
    os.fsync(opened.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot flush a folder, and need not
            raise
    finally:
        os.close(descriptor)
