"""The command line."""

from difflib import get_close_matches
from importlib import import_module
from itertools import chain
from pathlib import Path

import click

from bley.commands.build import described_version
from bley.commands.ending import BleyGroup
from bley.commands.interrupts import ending_at_interrupt
from bley.commands.options import config_option, serving_options

__all__ = ["GROUPS", "main"]

GROUPS = {
    "run": {
        "serve": "serve",
        "check-config": "check_config",
        "doctor": "doctor.command",
        "web-password": "web_password",
    },
    "look": {
        "why": "why",
        "list": "list_",
        "stats": "stats",
        "report": "report.command",
        "top": "top.command",
        "lists": "lists",
        "graph": "graph.command",
    },
    "correct": {"allow": "allow", "pass": "pass_", "forget": "forget"},
    "data": {"import": "import_", "export": "export", "backup": "backup", "purge": "purge"},
    "test": {"try": "try_.command", "ask": "ask", "explain": "explain", "replay": "replay.command"},
    "help": {"help": "help_", "completion": "completion.command"},
}
"""The module of `commands` for each command, by the work of an administrator. --help, and bley(1), have this order."""

_SHOWN = {group: names for group, names in GROUPS.items() if group != "help"}
"""The groups that --help lists; its text names the other commands, for which a small terminal has no lines."""

_MODULES = dict(chain.from_iterable(group.items() for group in GROUPS.values()))


class _Commands(BleyGroup):
    """The commands, each imported when it is used: to import all of them takes half a second."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the names in the order of --help."""
        return list(_MODULES)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import the command; None if there is no such command."""
        if name not in _MODULES:
            return None
        with ending_at_interrupt():
            module = import_module(f"bley.commands.{_MODULES[name]}")
        found = (value for value in vars(module).values() if isinstance(value, click.Command) and value.name == name)
        return next(found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command and its arguments. Raises UsageError with the names that are similar."""
        if args[0] not in _MODULES and not args[0].startswith("-"):
            similar = " or ".join(get_close_matches(args[0], _MODULES))
            ctx.fail(f"No such command '{args[0]}'." + (f" Did you mean {similar}?" if similar else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one line for each command, which a terminal of 80 columns and 24 lines can show together."""
        with formatter.section("Commands"):
            formatter.write_dl([self._row(ctx, group, name) for group, names in _SHOWN.items() for name in names])

    def _row(self, ctx: click.Context, group: str, name: str) -> tuple[str, str]:
        command = self.get_command(ctx, name)
        assert command is not None
        label = group if name == next(iter(GROUPS[group])) else ""
        return f"{label:<9}{name}", command.get_short_help_str(limit=80)


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.option("-f", "--foreground", is_flag=True, help="Run in the foreground.")
@serving_options
@click.version_option(described_version(), prog_name="bley")
@click.pass_context
def main(
    context: click.Context, file: Path | None, foreground: bool, pidfile: str | None, verbose: bool, debug: bool
) -> None:
    """Delay only suspicious strangers: a greylisting daemon for Postfix and Exim.

    Without a command bley runs as a daemon, like bley 2: in the background, unless -f or -d is given. bley help COMMAND
    has the options and examples of a command; bley completion makes a shell complete them.
    """
    context.obj = file
    if context.invoked_subcommand is None:
        with ending_at_interrupt():
            from bley.commands.serve import run_bley
        run_bley(file, pidfile, verbose=verbose, debug=debug, detach=not (foreground or debug))
