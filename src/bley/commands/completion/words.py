"""The words that complete a command line, from the commands as click knows them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click

__all__ = ["CommandWords", "OptionWords", "Values", "command_words", "value_options"]


class Values(NamedTuple):
    """The possible values of an option or argument, as far as they are known."""

    words: tuple[str, ...] = ()
    takes_files: bool = False
    takes_folders: bool = False


class OptionWords(NamedTuple):
    """An option; `values` is None for a switch."""

    names: tuple[str, ...]
    help: str
    values: Values | None
    is_repeatable: bool


class CommandWords(NamedTuple):
    """A command. The values of its arguments, if it has any, are not distinguished by their position."""

    name: str
    help: str
    options: tuple[OptionWords, ...]
    arguments: Values | None


def command_words(command: click.Command, parent: click.Context | None) -> CommandWords:
    """Return the words of a command."""
    context = click.Context(command, parent, command.name, **command.context_settings)
    parameters = command.get_params(context)
    arguments = [_values(each, context) for each in parameters if isinstance(each, click.Argument)]
    return CommandWords(
        command.name or "",
        command.get_short_help_str(limit=80),
        tuple(_option(each, context) for each in parameters if isinstance(each, click.Option)),
        _joined(arguments) if arguments else None,
    )


def value_options(command: CommandWords) -> Iterator[str]:
    """Yield the names of the options with a value."""
    for option in command.options:
        if option.values is not None:
            yield from option.names


def _option(option: click.Option, context: click.Context) -> OptionWords:
    values = None if option.is_flag else _values(option, context)
    return OptionWords(tuple(option.opts), (option.help or "").split(". ")[0].rstrip("."), values, option.multiple)


def _joined(arguments: Sequence[Values]) -> Values:
    return Values(
        tuple(word for each in arguments for word in each.words),
        any(each.takes_files for each in arguments),
        any(each.takes_folders for each in arguments),
    )


def _values(parameter: click.Parameter, context: click.Context) -> Values:
    items = parameter.shell_complete(context, "")
    return Values(
        tuple(str(item.value) for item in items if item.type == "plain"),
        any(item.type == "file" for item in items),
        any(item.type == "dir" for item in items),
    )
