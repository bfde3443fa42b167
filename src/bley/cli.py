"""The command line."""

from importlib import import_module
from pathlib import Path

import click

from bley import __version__
from bley.commands.ending import BleyGroup
from bley.commands.options import config_option, serving_options

__all__ = ["main"]

_COMMANDS = {
    "serve": "serve",
    "ask": "ask",
    "explain": "explain",
    "why": "why",
    "stats": "stats",
    "top": "top.command",
    "lists": "lists",
    "list": "list_",
    "pass": "pass_",
    "allow": "allow",
    "import": "import_",
    "export": "export",
    "forget": "forget",
    "purge": "purge",
    "backup": "backup",
    "graph": "graph.command",
    "web-password": "web_password",
    "check-config": "check_config",
    "doctor": "doctor.command",
}
"""The module of `commands` for each command."""


class _Commands(BleyGroup):
    """The commands, each imported when it is used: to import all of them takes half a second."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the names in the order of --help."""
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import the command; None if there is no such command."""
        if name not in _COMMANDS:
            return None
        module = import_module(f"bley.commands.{_COMMANDS[name]}")
        found = (value for value in vars(module).values() if isinstance(value, click.Command) and value.name == name)
        return next(found)


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.option("-f", "--foreground", is_flag=True, help="Run in the foreground.")
@serving_options
@click.version_option(__version__, prog_name="bley")
@click.pass_context
def main(
    context: click.Context, file: Path | None, foreground: bool, pidfile: str | None, verbose: bool, debug: bool
) -> None:
    """bley, an intelligent greylisting daemon for Postfix and Exim.

    Without a command bley runs as a daemon, like bley 2: in the background unless -f or -d is given.
    """
    context.obj = file
    if context.invoked_subcommand is None:
        from bley.commands.serve import run_bley

        run_bley(file, pidfile, verbose=verbose, debug=debug, detach=not (foreground or debug))
