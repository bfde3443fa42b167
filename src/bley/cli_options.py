"""What all commands share: the option `-c`, and how wrong settings end a command."""

import sys
from pathlib import Path
from typing import NoReturn

import click

from bley.config_file import Configuration, find_file, load
from bley.core.errors import SettingsError

__all__ = ["EXIT_FAILED", "EXIT_WRONG_SETTINGS", "config_option", "load_settings", "refuse"]

EXIT_FAILED = 1
EXIT_WRONG_SETTINGS = 2

config_option = click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="Settings file; else /etc/bley/bley.conf, ./bley.conf, or the defaults.",
)


def load_settings(file: Path | None, *, makes_key: bool = False) -> Configuration:
    """The configuration, or the end of the command with every fault."""
    try:
        return load(find_file(file), makes_key=makes_key)
    except SettingsError as error:
        refuse(error)


def refuse(error: SettingsError) -> NoReturn:
    """End the command with all that is to be mended."""
    click.echo("\n".join(map(str, error.faults)), err=True)
    sys.exit(EXIT_WRONG_SETTINGS)
