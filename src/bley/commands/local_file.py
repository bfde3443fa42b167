"""A list file that `bley allow` owns: opened under a lock, changed by lines, and replaced as a whole."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import click

from bley.core.exemptions.local_list import Kind, LocalEntry, entries_of, is_same
from bley.durable_files import replacing
from bley.operator_files import read_text, user_name
from bley.settings.file import Configuration
from bley.settings.lists import first_list_file, local_list_file

__all__ = ["LocalFile", "locked"]

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
        """Open it, and replace it at the end if its lines have changed. Raises ClickException."""
        opened = cls(configuration, kind)
        try:
            with contextlib.suppress(FileNotFoundError):
                text = read_text(opened.file, "utf-8-sig", "surrogateescape")
                opened.lines = text.removesuffix("\n").split("\n")
            before = [*opened.lines]
            yield opened
            if opened.lines != before:
                opened._write()
        except PermissionError as error:
            why = f"{opened.file}: user {user_name()} may not write to it and to its folder: run `sudo bley allow …`"
            raise click.ClickException(why) from error
        except OSError as error:
            raise click.ClickException(f"{opened.file}: {error.strerror}") from error

    def find(self, entry: str) -> tuple[int, LocalEntry] | None:
        """Return the number of the line, from 0, and its entry."""
        entries = entries_of(str(self.file), "\n".join(self.lines))
        return next((each for each in entries if is_same(self.kind, each[1].entry, entry)), None)

    def _write(self) -> None:
        with replacing(self.file, model=self._model) as part:
            part.write(("\n".join(self.lines) + "\n").encode("utf-8", "surrogateescape"))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder against other commands that change its list files. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
