"""`bley check-config`: show the settings in force."""

from pathlib import Path

import click

from bley.commands.options import config_option, load_settings
from bley.core.escapes import escape_controls
from bley.dns.resolv_conf import read_system_servers
from bley.settings.sections import show_sections
from bley.settings.settings import show

__all__ = ["check_config"]


@click.command("check-config")
@config_option
def check_config(file: Path | None) -> None:
    """Show the settings in force, or every fault with its file and line."""
    configuration = load_settings(file)
    warnings = configuration.warnings
    if not configuration.settings.resolver and (warning := read_system_servers().warning):
        warnings = (*warnings, f"DNS: {warning}")
    for warning in warnings:
        click.echo(escape_controls(f"warning: {warning}", "\n\t"), err=True)
    click.echo(escape_controls(f"# {configuration.file or 'no settings file: the defaults'}", "\n\t"))
    click.echo(escape_controls(show(configuration.settings) + show_sections(configuration.sections), "\n\t"), nl=False)
