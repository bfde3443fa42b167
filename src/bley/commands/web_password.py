"""`bley web-password`: write the hash of a password for the dashboard."""

import sys
from pathlib import Path

import click

from bley.commands.documented import DocumentedCommand
from bley.commands.ending import WrongInputError
from bley.core.escapes import escape_controls
from bley.settings.web_password import SHORTEST_PASSWORD, hash_password, write_password_hash

__all__ = ["web_password"]


@click.command("web-password", cls=DocumentedCommand, examples=["bley web-password /etc/bley/web-password"])
@click.argument("file", type=click.Path(path_type=Path))
def web_password(file: Path) -> None:
    """Write the hash of a password for the dashboard.

    The command asks for the password twice, without echo, and writes FILE with mode 0600, for the setting
    web_password_file. If FILE is -, the hash is written to standard output. If standard input is not a terminal, the
    password is its first line.
    """
    password = _read_password()
    if len(password) < SHORTEST_PASSWORD:
        raise click.ClickException(f"too short: the password must have at least {SHORTEST_PASSWORD} characters")
    hashed = hash_password(password)
    if str(file) == "-":
        click.echo(hashed)
        return
    try:
        write_password_hash(file, hashed)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    message = f"{file} is written: set web_password_file = {file.absolute()} in bley.conf, and reload bley"
    click.echo(escape_controls(message))


def _read_password() -> str:
    try:
        if not sys.stdin.isatty():
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt="Repeat the password")
    except UnicodeDecodeError as error:
        raise WrongInputError("the password is not UTF-8, the encoding that browsers send") from error
    except OSError as error:
        raise click.ClickException(f"standard input cannot be read: {error.strerror}") from error
    return password
