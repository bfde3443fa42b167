"""The end of every command: exit status, error messages, and standard output.

An expected error, such as a file that this user may not read, is one line on standard error and an exit status. The
status is 2 for invalid settings, an invalid command line, or standard output that cannot be written. It is 1 if the
command failed, or if bley cannot start now but may later: systemd retries only such a start. Any other exception is a
bug and shows its traceback. Standard output is flushed at the end, and that can fail too. A closed pipe (`| head`)
exits with status 1 and no message.
"""

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from bley.core.errors import BleyError, Fault, PrivacyKeyError, SettingsError, StartError
from bley.core.escapes import escape_controls
from bley.operator_files import deny_reading

__all__ = ["EXIT_FAILED", "EXIT_WRONG_SETTINGS", "BleyCommand", "BleyGroup", "WrongInputError", "exit_with_faults"]

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2
_LAYOUT_CHARACTERS = "\n\t"
"""Control characters that a fault may have: some have several lines, with a caret below the error."""

EXIT_FAILED = 1
EXIT_WRONG_SETTINGS = 2


class BleyCommand(click.Command):
    """A command that turns expected errors into messages and exit statuses."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command with standard streams that can be written."""
        with _standard_streams():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command's function, and turn expected errors into click's."""
        with _expected_errors():
            return super().invoke(ctx)


class BleyGroup(BleyCommand, click.Group):
    """A group of such commands."""


class WrongInputError(click.ClickException):
    """Input other than the command line, such as a password, that cannot be used."""

    exit_code = EXIT_WRONG_SETTINGS


def exit_with_faults(error: SettingsError) -> NoReturn:
    """Print every fault, and exit with status 2, or 1 if a later start may succeed with the same settings."""
    click.echo("\n".join(escape_controls(str(fault), _LAYOUT_CHARACTERS) for fault in error.faults), err=True)
    sys.exit(EXIT_FAILED if isinstance(error, StartError) else EXIT_WRONG_SETTINGS)


@contextlib.contextmanager
def _expected_errors() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        exit_with_faults(error)
    except PrivacyKeyError as error:
        exit_with_faults(SettingsError([Fault("privacy_key_file", 0, str(error))]))
    except _OutputError:
        raise
    except BleyError as error:
        raise click.ClickException(escape_controls(str(error), _LAYOUT_CHARACTERS)) from error
    except PermissionError as error:
        if error.filename is None:
            raise
        place = Path(os.fsdecode(error.filename))
        why = ". ".join(filter(None, (f"{place}: {error.strerror}", deny_reading(place))))
        raise click.ClickException(escape_controls(why, _LAYOUT_CHARACTERS)) from error
    except click.ClickException as error:
        if type(error) is not click.ClickException:
            raise  # click's own errors quote the arguments already
        raise click.ClickException(escape_controls(error.message, _LAYOUT_CHARACTERS)) from error


class _OutputError(BleyError):
    """A failed write to standard output."""


class _Output(io.FileIO):
    """Standard output with an error class of its own, so that no command has to handle a full disk."""

    def write(self, data: Any, /) -> Any:
        """Write, and wait as long as a non-blocking pipe is full. Raises _OutputError."""
        try:
            while (written := super().write(data)) is None:  # a non-blocking pipe that is full
                select.select([], [self], [])
        except OSError as error:
            raise _OutputError from error
        return written


@contextlib.contextmanager
def _standard_streams() -> Iterator[None]:
    """Replace standard output, and exit with a message if it cannot be written."""
    _open_closed_streams()
    if sys.stdout is sys.__stdout__:  # unless a test has replaced it
        sys.stdout = _output()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except _OutputError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes the rest at exit
        cause = error.__cause__
        assert isinstance(cause, OSError), "_Output raises it from an OSError"
        if cause.errno == errno.EPIPE:
            sys.exit(EXIT_FAILED)
        click.echo(f"Error: standard output cannot be written: {cause.strerror}", err=True)
        sys.exit(EXIT_WRONG_SETTINGS)


def _output() -> TextIO:
    """Return standard output in the locale's encoding; other characters become backslash codes."""
    if sys.__stdout__ is None:  # it was closed: every write must fail, since the output would be lost
        return io.TextIOWrapper(io.BufferedWriter(_Output(os.open(os.devnull, os.O_RDONLY), "wb", closefd=False)))
    buffered = io.BufferedWriter(_Output(_STANDARD_OUTPUT, "wb", closefd=False))
    is_terminal = sys.__stdout__.isatty()
    return io.TextIOWrapper(buffered, sys.__stdout__.encoding, "backslashreplace", line_buffering=is_terminal)


def _open_closed_streams() -> None:
    """Open /dev/null in place of closed standard streams (`>&-`).

    Otherwise a database or socket would get descriptor 1 or 2, and receive the output of this process and its workers.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:  # the lowest free number
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 (open until exit)
    if sys.stderr is None:
        sys.stderr = open(_STANDARD_ERROR, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115 (open until exit)
