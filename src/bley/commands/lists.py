"""`bley lists`: how the DNS lists do."""

import sys
from pathlib import Path

import click

from bley.commands.ending import EXIT_FAILED
from bley.commands.list_work import show_lists, test_lists
from bley.commands.options import config_option, json_option, load_settings

__all__ = ["lists"]


@click.command()
@config_option
@click.option("--test", is_flag=True, help="Test the lists now, without the running bley.")
@json_option
@click.argument("zones", nargs=-1)
@click.pass_obj
def lists(before: Path | None, file: Path | None, test: bool, as_json: bool, zones: tuple[str, ...]) -> None:
    """Show how the DNS lists do: all that are configured, or these ZONES."""
    configuration = load_settings(file or before)
    if test:
        is_well = test_lists(configuration.settings, zones, as_json=as_json)
    else:
        is_well = show_lists(configuration, zones, as_json=as_json)
    sys.exit(0 if is_well else EXIT_FAILED)
