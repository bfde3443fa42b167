"""Files that are there as a whole or not at all, and stay so after a power cut.

The content is written beside the file under a name of its own and flushed to the disk; then it is renamed, and the
folder's entry is flushed as well.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["create_private", "replace_file", "replacing"]


@contextlib.contextmanager
def replacing(file: Path, mode: int = 0o666, most: int = 0o777) -> Iterator[BinaryIO]:
    """Open what takes the place of `file` at the end of the block. If the block or the disk fails, the old file stays.

    The new file keeps owner and rights of the old one, as far as its writer may set them, and `most` of the rights;
    where there was none, it has `mode` less the umask. A link is replaced, not followed. Raises OSError.
    """
    with _beside(file, mode) as part:
        yield part
        with contextlib.suppress(FileNotFoundError):
            _take_rights(part.fileno(), file.lstat(), most)
        _flush(part)
        Path(part.name).replace(file)
    _flush_folder(file.parent)


def replace_file(file: Path, content: bytes) -> None:
    """Put this content in the place of what is there, as `replacing` does. Raises OSError."""
    with replacing(file) as part:
        part.write(content)


def create_private(file: Path, content: bytes) -> None:
    """Make a file that only its owner may read. That is the owner of the folder where root makes it, be it for bley.

    Raises OSError; FileExistsError if there is such a file, which then stays as it is.
    """
    with _beside(file, 0o600) as part:
        if os.geteuid() == 0:
            folder = file.parent.stat()
            os.fchown(part.fileno(), folder.st_uid, folder.st_gid)
        part.write(content)
        _flush(part)
        _give_name(Path(part.name), file)
    _flush_folder(file.parent)


def _give_name(part: Path, file: Path) -> None:
    """Name it as by a rename, but replace nothing. Raises OSError."""
    try:
        os.link(part, file)
    except FileExistsError:
        raise
    except OSError:  # of a file system without hard links; there the file is empty for a moment
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        part.replace(file)


@contextlib.contextmanager
def _beside(file: Path, mode: int) -> Iterator[BinaryIO]:
    """A new file in the same folder, which is removed at the end if it still has its name."""
    part = file.with_name(f".bley-{secrets.token_hex(8)}")  # as long as it is whatever the length of the file's name
    try:
        # "x" follows no link.
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as opened:
            yield opened
    finally:
        part.unlink(missing_ok=True)


def _take_rights(descriptor: int, old: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(old.st_mode):
        return  # everybody has all rights of a link
    mode = stat.S_IMODE(old.st_mode) & most
    own = os.fstat(descriptor)
    try:
        if (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid):
            os.fchown(descriptor, old.st_uid if os.geteuid() == 0 else -1, old.st_gid)
    except PermissionError:
        mode &= ~stat.S_IRWXG  # rights of a group that this file does not belong to
    os.fchmod(descriptor, mode)


def _flush(opened: BinaryIO) -> None:
    opened.flush()
    os.fsync(opened.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of file systems that cannot, and need not
            raise
    finally:
        os.close(descriptor)
