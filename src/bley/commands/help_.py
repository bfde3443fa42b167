"""`bley help`: what `bley --help` and `bley COMMAND --help` show."""

import click

from bley.commands.documented import DocumentedCommand

__all__ = ["help_"]


def _complete_command(context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    parent = context.parent
    names = parent.command.list_commands(parent) if parent and isinstance(parent.command, click.Group) else []
    return [name for name in names if name.startswith(text)]


@click.command("help", cls=DocumentedCommand, examples=["bley help", "bley help why"])
@click.argument("command", required=False, shell_complete=_complete_command)
@click.pass_context
def help_(context: click.Context, command: str | None) -> None:
    """Show the help of a command.

    Without COMMAND, all commands are shown, as by bley --help.
    """
    assert context.parent is not None
    context.parent.command.main([command, "--help"] if command else ["--help"], prog_name="bley")
