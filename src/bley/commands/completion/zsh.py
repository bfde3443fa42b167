"""The completion script for zsh."""

from collections.abc import Sequence

from bley.commands.completion.words import CommandWords, OptionWords, Values

__all__ = ["zsh_script"]

_SCRIPT = """\
#compdef bley bleygraph
# zsh completion of bley and bleygraph, by `bley completion zsh`

_bley() {
    local curcontext=$curcontext state line
    local -a commands
    if [[ $service == bleygraph ]]; then
        _bley_command graph
        return
    fi
    commands=(
@COMMANDS@
    )
    _arguments -C -s \\
@OPTIONS@
        '1:command:->command' '*::argument:->rest' && return
    case $state in
        command) _describe -V command commands ;;
        rest) _bley_command $words[1] ;;
    esac
}

_bley_command() {
    case $1 in
@CASES@
    esac
}

_bley "$@"
"""


def zsh_script(program: CommandWords, commands: Sequence[CommandWords]) -> str:
    """Return the script."""
    texts = {
        "COMMANDS": "\n".join(f"        {_quoted(f'{each.name}:{each.help}')}" for each in commands),
        "OPTIONS": "\n".join(f"        {_option(option)} \\" for option in program.options),
        "CASES": "\n".join(map(_case, commands)),
    }
    script = _SCRIPT
    for name, text in texts.items():
        script = script.replace(f"@{name}@", text)
    return script


def _case(command: CommandWords) -> str:
    specs = [*map(_option, command.options)]
    if command.arguments is not None:
        specs.append(_quoted(f"*:argument:{_action(command.arguments)}"))
    return f"        {command.name}) _arguments -s \\\n            " + " \\\n            ".join(specs) + " ;;"


def _option(option: OptionWords) -> str:
    exclusive = f"({' '.join(option.names)})" if not option.is_repeatable else "*"
    text = f"[{_escaped(option.help)}]"
    value = "" if option.values is None else f":value:{_action(option.values)}"
    names = [name + "=" if option.values is not None and name.startswith("--") else name for name in option.names]
    return " ".join(_quoted(f"{exclusive}{name}{text}{value}") for name in names)


def _action(values: Values) -> str:
    """Return the action that completes the values. A space completes nothing."""
    files = "_files" if values.takes_files else "_path_files -/" if values.takes_folders else ""
    words = f"({' '.join(values.words)})" if values.words else ""
    if words and files:
        return f'_alternative "words:word:{words}" "files:file:{files}"'
    return words or files or " "


def _escaped(text: str) -> str:
    """Return a text that `_arguments` shows as it is."""
    return "".join(f"\\{each}" if each in "[]:\\" else each for each in text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
