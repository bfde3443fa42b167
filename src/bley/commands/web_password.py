"""The command `bley web-password`."""

import sys
from pathlib import Path

import click

from bley.commands.ending import WrongInputError
from bley.core.escapes import escape_controls
from bley.settings.web_password import SHORTEST_PASSWORD, hash_password, write_password_hash

__all__ = ["web_password"]


@click.command("web-password")
@click.argument("file", type=click.Path(path_type=Path))
def web_password(file: Path) -> None:
    """Ask for a password, and write its hash into FILE, for the setting web_password_file; - is standard output.

    Where standard input is no terminal, its first line is the password.
    """
    password = _ask()
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
    said = f"{file} is written: name it in bley.conf, web_password_file = {file.absolute()}, and reload bley"
    click.echo(escape_controls(said))


def _ask() -> str:
    try:
        if not sys.stdin.isatty():
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt="The same again")
    except UnicodeDecodeError as error:
        raise WrongInputError("the password is not UTF-8, in which browsers send it") from error
    except OSError as error:
        raise click.ClickException(f"standard input cannot be read: {error.strerror}") from error
    return password
