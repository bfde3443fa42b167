"""The command `bley completion`.

The scripts have all words in them. A script of click starts bley for each TAB, which takes half a second.
"""

import click

from bley.commands.completion.bash import bash_script
from bley.commands.completion.fish import fish_script
from bley.commands.completion.words import command_words
from bley.commands.completion.zsh import zsh_script
from bley.commands.documented import DocumentedCommand

__all__ = ["completion"]

_SCRIPTS = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}


@click.command(
    cls=DocumentedCommand,
    examples=[
        "bley completion bash >/usr/share/bash-completion/completions/bley",
        "bley completion zsh >/usr/local/share/zsh/site-functions/_bley",
        "bley completion fish >/etc/fish/completions/bley.fish",
    ],
)
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    SHELL is bash, zsh or fish. A script completes commands, options, and values where they are known, also for
    bleygraph. After an upgrade of bley, print it again.
    """
    assert context.parent is not None
    assert isinstance(context.parent.command, click.Group)
    group = context.parent.command
    names = group.list_commands(context.parent)
    commands = [command for name in names if (command := group.get_command(context.parent, name))]
    program = command_words(group, None)
    click.echo(_SCRIPTS[shell](program, [command_words(each, context.parent) for each in commands]), nl=False)
