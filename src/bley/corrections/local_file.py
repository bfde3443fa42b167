"""A list file that bley owns: opened under a lock, changed by lines, and replaced as a whole."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bley.core.exemptions.local_list import Kind, LocalEntry, entries_of, is_same
from bley.corrections.errors import CorrectionError
from bley.durable_files import replacing
from bley.operator_files import check_creatable, deny_reading, explain_refusal, permit_writing, read_text, user_name
from bley.settings.file import Configuration
from bley.settings.lists import first_list_file, local_list_file

__all__ = ["LocalFile", "locked"]

_LOCK_SECONDS = 5.0
"""The wait for another change. A longer one is a process that was stopped, and would occupy a thread of the daemon."""
_LOCK_PAUSE_SECONDS = 0.02

_HEAD = "# The exemptions of `bley allow`, which changes the lines of its entries only."


class LocalFile:
    """A list file that bley owns."""

    def __init__(self, configuration: Configuration, kind: Kind) -> None:
        self.kind = kind
        settings, folder = configuration.settings, configuration.beside("")
        path = local_list_file(settings, kind, folder).absolute()
        self.file = Path(os.path.realpath(path))
        own = first_list_file(settings, kind, folder)
        self._model = next((each for each in (own, configuration.file) if each and each.exists()), None)
        self.lines = [_HEAD]

    @classmethod
    @contextlib.contextmanager
    def opened(cls, configuration: Configuration, kind: Kind) -> "Iterator[LocalFile]":
        """Open it, and replace it at the end if its lines have changed. Raises CorrectionError."""
        opened = cls(configuration, kind)
        try:
            with contextlib.suppress(FileNotFoundError):
                text = read_text(opened.file, "utf-8-sig", "surrogateescape") or opened.lines[0]
                opened.lines = text.removesuffix("\n").split("\n")
            before = [*opened.lines]
            yield opened
            if opened.lines != before:
                opened._write()
        except PermissionError as error:
            raise CorrectionError(f"{opened.file}: {_explain_denial(opened.file)}") from error
        except OSError as error:
            raise CorrectionError(f"{opened.file}: {explain_refusal(error, opened.file)}") from error

    @classmethod
    def read(cls, configuration: Configuration, kind: Kind) -> "LocalFile":
        """Read it without a change. Raises CorrectionError, also if this user may not change it."""
        with cls.opened(configuration, kind) as opened:
            check_creatable(opened.file)
        return opened

    def find(self, entry: str) -> tuple[int, LocalEntry] | None:
        """Return the number of the line, from 0, and its entry."""
        entries = entries_of(str(self.file), "\n".join(self.lines))
        return next((each for each in entries if is_same(self.kind, each[1].entry, entry)), None)

    def _write(self) -> None:
        with replacing(self.file, model=self._model) as part:
            part.write(("\n".join(self.lines) + "\n").encode("utf-8", "surrogateescape"))


def _explain_denial(file: Path) -> str:
    """Return why this user may not write the file, with the remedy."""
    with contextlib.suppress(OSError):  # the folder cannot be examined
        if remedy := permit_writing(file.parent):
            return f"its folder is read-only: {remedy}"
    return f"user {user_name()} may not write to it and to its folder: run `sudo bley allow …`"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder against other changes of its list files. Raises CorrectionError, also after a while."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        why = ". ".join(filter(None, (error.strerror, deny_reading(folder))))
        raise CorrectionError(f"{folder}: {why}") from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise CorrectionError(f"{folder}: another process is changing the list files: retry") from error
        time.sleep(_LOCK_PAUSE_SECONDS)
