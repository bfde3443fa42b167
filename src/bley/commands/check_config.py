"""`bley check-config`: show the settings in force, and what `bley serve` would report at its start."""

from pathlib import Path

import click
import uvloop

from bley.commands.documented import DocumentedCommand
from bley.commands.ending import exit_with_faults
from bley.commands.options import config_option, load_settings, run
from bley.commands.policy_client import fetch_running
from bley.core.errors import SettingsError
from bley.core.escapes import escape_controls
from bley.daemon.start_check import check_start
from bley.settings.sections import show_sections
from bley.settings.settings import show

__all__ = ["check_config"]


@click.command(
    "check-config",
    cls=DocumentedCommand,
    examples=["bley check-config -c /etc/bley/bley.conf"],
    statuses={0: "bley serve would start, perhaps with warnings.", 2: "bley serve would end with a fault."},
)
@config_option
def check_config(file: Path | None) -> None:
    """Show the settings in force, and all their faults.

    The command also tries what bley serve opens at its start: addresses, store, DNS servers, certificate, log and pid
    file. Nothing is changed.
    """
    configuration = load_settings(file)
    click.echo(escape_controls(f"# {configuration.file or 'no settings file: the defaults'}", "\n\t"))
    click.echo(escape_controls(show(configuration.settings) + show_sections(configuration.sections), "\n\t"), nl=False)
    # On the loop of `serve`, whose errors have words of their own.
    report = run(check_start(configuration, fetch_running(configuration)), uvloop.new_event_loop)
    for warning in report.warnings:
        click.echo(escape_controls(f"warning: {warning}", "\n\t"), err=True)
    if report.faults:
        exit_with_faults(SettingsError(report.faults))
