"""The mails in files and folders: of each its place, and the start of its header. No body is kept.

    Maildir, Maildir++   the files in `cur` and `new`; the folders `.Junk` there are mailboxes too
    any other folder     its files and folders, also those with a single mail each (`.eml`, MH)
    mbox                 mails behind lines `From sender date`
    .gz                  any of them, compressed by gzip, whatever the name of the file

A file is read in blocks. An mbox is searched for its `From ` lines, which is all that is read of bodies; those in a
body whose length `Content-Length` has (mboxcl2) are a part of it. A link that leads back to a folder that was read ends
there, and what is neither file nor folder, such as a FIFO, is not opened.
"""

import contextlib
import errno
import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from bley.trial.mail_header import LONGEST_HEADER, is_header_line
from bley.trial.problems import Problems

__all__ = ["NO_MAIL", "Mail", "MailFile", "OpenedFile", "find_files", "read_mails"]

_T = TypeVar("_T")

_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
_FROM_LINE = re.compile(rb"From [^\n]{0,1000}\d:\d\d[^\n]{0,200}\r?\n")
_BLANK_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}")
"""The byte order mark and empty lines that some programs write before a mail or an mbox."""
_ENVELOPE_LINE = re.compile(rb"(?:From [^\n]{0,1000}|\d{1,12} *)\r?\n")
"""The line before the header of a single mail: one of an mbox without a time, or the length in an `.emlx` file."""
_LENGTH = b"\ncontent-length:"
_END_OF_HEADER = re.compile(rb"\n\r?\n")
_NEXT_MAIL = b"\nFrom "
_LONGEST_FROM_LINE = 1300
_LONGEST_BODY = 32 << 20
"""Bytes that are read to see whether a body with a `From ` line in it ends where `Content-Length` says."""
_CONTEXT = 8
"""The bytes that stay before a place that is searched: the end of the line before it, or a part of `_NEXT_MAIL`."""

NOT_READABLE = "the file or folder cannot be read"
NO_FILE = "neither a file nor a folder (a FIFO, a socket or a device)"
NO_MAIL = "a file that is neither a mail, nor an mbox, nor a log of mail"
EMPTY = "an empty file"
DAMAGED = "a damaged .gz file, read up to the damage"


class MailFile(NamedTuple):
    """A file to read, with its size in bytes when it was found. It may grow meanwhile: only so much is read."""

    path: str
    size: int


class Mail(NamedTuple):
    """A mail: where it is, the start of its header, and the `From ` line of an mbox before it."""

    place: str
    header: bytes
    from_line: bytes = b""
    end: int = 0
    """The bytes of the file that are read by now."""


def find_files(path: Path, problems: Problems, left_out: Sequence[Path] = ()) -> Iterator[MailFile]:
    """Yield the files of this path, without those below `left_out`, without keeping a large folder in memory."""
    seen = {identity for each in left_out if (identity := _identity(each))}
    folders: list[Path] = []
    yield from _found(path, problems, seen, folders)
    while folders:
        folder = folders.pop()
        try:
            yield from _in_folder(folder, problems, seen, folders)
        except OSError as error:
            problems.add(NOT_READABLE, f"{folder}: {error.strerror}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _in_folder(folder: Path, problems: Problems, seen: set[tuple[int, int]], folders: list[Path]) -> Iterator[MailFile]:
    """Yield the files of the folder, and add the folders in it to `folders`.

    A Maildir also has indexes and `tmp`, which are no mail. In other folders, files with a dot before their name belong
    to programs.
    """
    is_maildir = (folder / "cur").is_dir() and (folder / "new").is_dir()
    has_mails_only = folder.name in ("cur", "new")
    with os.scandir(folder) as entries:
        for entry in entries:
            is_hidden = is_maildir or (entry.name.startswith(".") and not has_mails_only)
            if is_hidden and ((is_maildir and entry.name == "tmp") or not entry.is_dir()):
                continue
            yield from _found(Path(entry.path), problems, seen, folders)


def _found(path: Path, problems: Problems, seen: set[tuple[int, int]], folders: list[Path]) -> Iterator[MailFile]:
    """Yield a file, or add a folder that was not seen to `folders`."""
    try:
        state = path.stat()
    except OSError as error:
        problems.add(NOT_READABLE, f"{path}: {error.strerror}")
        return
    identity = state.st_dev, state.st_ino
    if stat.S_ISDIR(state.st_mode):
        if identity not in seen:
            seen.add(identity)
            folders.append(path)
    elif not stat.S_ISREG(state.st_mode):
        problems.add(NO_FILE, str(path))
    elif identity not in seen:
        yield MailFile(str(path), state.st_size)


class OpenedFile(NamedTuple):
    """A file opened for reading, decompressed."""

    stream: gzip.GzipFile | io.FileIO
    is_compressed: bool


@contextlib.contextmanager
def open_file(path: str) -> Iterator[OpenedFile]:
    """Open a regular file. Raises OSError. A FIFO that took its place meanwhile does not block."""
    with io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, NO_FILE, path)
        is_compressed = os.pread(file.fileno(), len(_GZIP), 0) == _GZIP
        yield OpenedFile(gzip.GzipFile(fileobj=file) if is_compressed else file, is_compressed)


ReadOther = Callable[[MailFile, OpenedFile, bytes], Iterator[_T] | None]
"""Returns what another kind of file has, from its start and the rest; None if it is of no other kind."""


def _no_other(_file: MailFile, _opened: OpenedFile, _start: bytes) -> None:
    return None


def read_mails(file: MailFile, problems: Problems, read_other: ReadOther[_T] = _no_other) -> Iterator[Mail | _T]:
    """Yield the mails of a file, or what another kind of file has. A fault is counted, and ends the file."""
    try:
        with open_file(file.path) as opened:
            start = _start(opened.stream)
            blank = _BLANK_START.match(start)
            at = blank.end() if blank else 0
            if at == len(start):
                problems.add(EMPTY, file.path)
            elif _FROM_LINE.match(start, at):
                yield from _read_mbox(file, opened.stream, start, at, 0 if opened.is_compressed else file.size)
            elif (others := read_other(file, opened, start)) is not None:
                yield from others
            else:
                yield from _read_mail(file, start, at, problems)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        problems.add(DAMAGED, file.path)
    except OSError as error:
        problems.add(NOT_READABLE, f"{file.path}: {error.strerror}")


def _start(stream: gzip.GzipFile | io.FileIO) -> bytes:
    """Return the first `LONGEST_HEADER` bytes."""
    text = b""
    while len(text) < LONGEST_HEADER and (more := stream.read(LONGEST_HEADER - len(text))):
        text += more
    return text


def _header_of(text: bytes, start: int = 0) -> bytes:
    """Return the header that starts there, at most `LONGEST_HEADER` bytes of it."""
    last = min(start + LONGEST_HEADER, len(text))
    end = _END_OF_HEADER.search(text, start, last)
    return text[start : end.start() if end else last]


def _read_mail(file: MailFile, start: bytes, at: int, problems: Problems) -> Iterator[Mail]:
    """Yield the mail of a file with one."""
    if line := _ENVELOPE_LINE.match(start, at):
        at = line.end()
    if is_header_line(start[at : at + 200]):
        yield Mail(file.path, _header_of(start, at), end=file.size)
    else:
        problems.add(NO_MAIL, file.path)


def _read_mbox(file: MailFile, opened: gzip.GzipFile | io.FileIO, start: bytes, at: int, limit: int) -> Iterator[Mail]:
    """Yield the mails of an mbox. `limit`: the bytes to read of a file that may grow; 0: all of a compressed one."""
    window = _Window(opened, start, at, limit)
    while True:
        from_line, header = window.mail()
        yield Mail(f"{file.path}:{window.position}", header, from_line, window.position)
        if not window.skip_to_next():
            return


class _Window:
    """A part of an mbox, which starts at the block of a `From ` line and has the start of the header behind it."""

    def __init__(self, opened: gzip.GzipFile | io.FileIO, start: bytes, at: int, limit: int) -> None:
        self._opened, self._text, self._limit = opened, start, limit
        self._dropped, self._at = 0, at
        """The bytes before the window, and the place of the `From ` line in it."""
        self._body_end = 0
        """The position in the file at which the body ends by its `Content-Length`; 0: the header has none."""

    @property
    def position(self) -> int:
        """The position of the `From ` line in the file, after decompression."""
        return self._dropped + self._at

    def mail(self) -> tuple[bytes, bytes]:
        """Return the `From ` line and the header."""
        line_end = self._text.find(b"\n", self._at) + 1
        header = _header_of(self._text, line_end)
        self._body_end = self._claimed_end(header, line_end + len(header))
        return self._text[self._at : line_end], header

    def _claimed_end(self, header: bytes, header_end: int) -> int:
        found = (b"\n" + header.lower()).find(_LENGTH) + len(_LENGTH)
        length = header[found - 1 :].partition(b"\n")[0].strip() if found >= len(_LENGTH) else b""
        empty_line = _END_OF_HEADER.match(self._text, header_end)
        return self._dropped + empty_line.end() + int(length) if empty_line and length[:12].isdigit() else 0

    def _read_more(self, keep: int) -> bool:
        """Read a block behind the text from `keep` on. Return False at the end of the file."""
        want = _BLOCK
        if self._limit:
            want = min(want, self._limit - self._dropped - len(self._text))
        block = (self._opened.read(want) if want > 0 else b"") or b""
        if block:
            self._text = self._text[keep:] + block
            self._dropped += keep
        return bool(block)

    def skip_to_next(self) -> bool:
        """Move to the next `From ` line; return False at the end of the file."""
        start = self._at + 1
        while True:
            found = self._text.find(_NEXT_MAIL, start)
            keep = max((found if found >= 0 else len(self._text)) - _CONTEXT, 0)
            is_whole = found >= 0 and len(self._text) - found >= LONGEST_HEADER
            if not is_whole and self._read_more(keep):
                start = max(start - keep, 0) if found < 0 else found - keep
            elif found < 0:
                return False
            elif not self._is_mail(found):
                start = found + 1
            else:
                position = self._dropped + found
                if self._is_in_body(position):
                    start = self._body_end - self._dropped - 1
                else:
                    self._at = position + 1 - self._dropped
                    return True

    def _is_in_body(self, position: int) -> bool:
        """Return whether this `From ` line is in a body that ends as its header says: before a mail, or with the file.

        The window may move, but not beyond the line.
        """
        if not position + 1 < self._body_end <= position + _LONGEST_BODY:
            return False
        wanted = self._body_end + _LONGEST_FROM_LINE + 200
        while self._dropped + len(self._text) < wanted:
            if not self._read_more(max(position - self._dropped - _CONTEXT, 0)):
                break
        end = self._body_end - self._dropped
        if 0 <= len(self._text) - end <= _CONTEXT and not self._text[end:].strip():
            return True
        following = self._text.find(_NEXT_MAIL, end - 1, end + _CONTEXT)
        return following >= 0 and self._is_mail(following)

    def _is_mail(self, found: int) -> bool:
        """Return whether a mail starts there: a `From ` line with a time, behind an empty line, before a header."""
        match = _FROM_LINE.match(self._text, found + 1, found + 1 + _LONGEST_FROM_LINE)
        if not match or not is_header_line(self._text[match.end() : match.end() + 200]):
            return False
        return self._text[max(found - 2, 0) : found].endswith((b"\n", b"\n\r"))
