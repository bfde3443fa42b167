"""`bley help`: what `bley --help` and `bley COMMAND --help` show."""

import click

from bley.commands.documented import DocumentedCommand

__all__ = ["help_"]


@click.command("help", cls=DocumentedCommand, examples=["bley help", "bley help why"])
@click.argument("command", required=False)
@click.pass_context
def help_(context: click.Context, command: str | None) -> None:
    """Show the help of a command.

    Without COMMAND, all commands are shown, as by bley --help.
    """
    assert context.parent is not None
    context.parent.command.main([command, "--help"] if command else ["--help"], prog_name="bley")
