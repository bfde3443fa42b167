"""How a command ends, whichever it is.

What bley foresaw is a line on standard error and an exit status: 2 for wrong settings, a wrong command line or standard
output that cannot be written, 1 where the command could not do its work. Anything else is a bug and shows its
traceback. Standard output is flushed before the end, which may fail as well. A reader that has gone (`| head`) is no
error that anybody wants to read of.
"""

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

import click

from bley.core.errors import BleyError, Fault, PrivacyKeyError, SettingsError
from bley.core.escapes import escape_controls

__all__ = ["EXIT_FAILED", "EXIT_WRONG_SETTINGS", "BleyCommand", "BleyGroup", "WrongInputError", "refuse", "utf8_output"]

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2
_KEPT = "\n\t"
"""In a fault of several lines, with a caret below."""

EXIT_FAILED = 1
EXIT_WRONG_SETTINGS = 2


class BleyCommand(click.Command):
    """A command that ends so."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See click."""
        with _standard_streams():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """See click."""
        with _foreseen():
            return super().invoke(ctx)


class BleyGroup(BleyCommand, click.Group):
    """A group of commands that all end so."""


class WrongInputError(click.ClickException):
    """What the operator gave besides the command line, a password say, cannot be used."""

    exit_code = EXIT_WRONG_SETTINGS


def refuse(error: SettingsError) -> NoReturn:
    """End the command with all that is to be mended."""
    click.echo("\n".join(escape_controls(str(fault), _KEPT) for fault in error.faults), err=True)
    sys.exit(EXIT_WRONG_SETTINGS)


def utf8_output() -> io.TextIOWrapper:
    """Return standard output for text that is in UTF-8 whatever the locale. Detach it at the end."""
    return io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")


@contextlib.contextmanager
def _foreseen() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        refuse(error)
    except PrivacyKeyError as error:
        refuse(SettingsError([Fault("privacy_key_file", 0, str(error))]))
    except _OutputError:
        raise
    except BleyError as error:
        raise click.ClickException(escape_controls(str(error), _KEPT)) from error
    except click.ClickException as error:
        if type(error) is not click.ClickException:
            raise  # of click's own, which quotes arguments
        raise click.ClickException(escape_controls(error.message, _KEPT)) from error


class _OutputError(BleyError):
    """Standard output cannot be written."""


class _Output(io.FileIO):
    """Standard output, whose errors are told apart from those of other files."""

    def write(self, data: Any, /) -> Any:
        """See FileIO."""
        try:
            while (written := super().write(data)) is None:  # a pipe that does not wait, and is full
                select.select([], [self], [])
        except OSError as error:
            raise _OutputError from error
        return written


@contextlib.contextmanager
def _standard_streams() -> Iterator[None]:
    """Standard streams that can always be written to, and whose errors end the command in words."""
    _open_closed_ones()
    if sys.stdout is sys.__stdout__:  # and not what a test has put in its place
        sys.stdout = _output()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except _OutputError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python flushes to what is left
        cause = error.__cause__
        assert isinstance(cause, OSError), "as _Output raises it"
        if cause.errno == errno.EPIPE:
            sys.exit(EXIT_FAILED)
        click.echo(f"Error: standard output cannot be written: {cause.strerror}", err=True)
        sys.exit(EXIT_WRONG_SETTINGS)


def _output() -> TextIO:
    """Standard output in the locale's encoding; what it does not have becomes a backslash code."""
    if sys.__stdout__ is None:  # it was closed: what a command prints is lost, and that is an error
        return io.TextIOWrapper(io.BufferedWriter(_Output(os.open(os.devnull, os.O_RDONLY), "wb", closefd=False)))
    buffered = io.BufferedWriter(_Output(_STANDARD_OUTPUT, "wb", closefd=False))
    is_terminal = sys.__stdout__.isatty()
    return io.TextIOWrapper(buffered, sys.__stdout__.encoding, "backslashreplace", line_buffering=is_terminal)


def _open_closed_ones() -> None:
    """Open /dev/null in the place of what was closed (`>&-`).

    Otherwise a database or socket would have such a number, and be given what this process and its workers print.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:  # the lowest number that is free
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 (to the end)
    if sys.stderr is None:
        sys.stderr = open(_STANDARD_ERROR, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115 (to the end)
