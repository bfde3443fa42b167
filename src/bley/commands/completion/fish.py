"""The completion script for fish."""

from collections.abc import Iterator, Sequence

from bley.commands.completion.words import CommandWords, OptionWords, Values, value_options

__all__ = ["fish_script"]

_SCRIPT = """\
# fish completion of bley and bleygraph, by `bley completion fish`
function __bley_command_is
    set -l tokens (commandline -opc)
    set -e tokens[1]
    set -l command ''
    while set -q tokens[1]
        switch $tokens[1]
            case @VALUE_OPTIONS@
                set -e tokens[1]
            case '-*'
            case '*'
                set command $tokens[1]
                break
        end
        set -e tokens[1]
    end
    test "$command" = "$argv[1]"
end
complete -c bley -f
complete -c bleygraph -f
"""


def fish_script(program: CommandWords, commands: Sequence[CommandWords]) -> str:
    """Return the script."""
    return "".join(
        (
            _SCRIPT.replace("@VALUE_OPTIONS@", " ".join(value_options(program))),
            *_lines(program, "bley", "__bley_command_is ''"),
            *(
                f"complete -c bley -n \"__bley_command_is ''\" -k -a {each.name} -d {_quoted(each.help)}\n"
                for each in reversed(commands)
            ),
            *(line for each in commands for line in _lines(each, "bley", f"__bley_command_is {each.name}")),
            *(line for each in commands if each.name == "graph" for line in _lines(each, "bleygraph")),
        )
    )


def _lines(command: CommandWords, name: str, condition: str = "") -> Iterator[str]:
    head = f"complete -c {name}" + (f" -n {_quoted(condition)}" if condition else "")
    if command.arguments is not None and any(command.arguments):
        yield f"{head}{_values(command.arguments)}\n"
    yield from (f"{head}{_option(option)}\n" for option in command.options)


def _option(option: OptionWords) -> str:
    names = "".join(f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in option.names)
    values = "" if option.values is None else " -r" + _values(option.values)
    return f"{names} -d {_quoted(option.help)}{values}"


def _values(values: Values) -> str:
    files = " -F" if values.takes_files else " -f"
    words = " ".join((*values.words, *(["(__fish_complete_directories)"] if values.takes_folders else [])))
    return f"{files} -a {_quoted(words)}" if words else files


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
