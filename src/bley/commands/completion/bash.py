"""The completion script for bash."""

from collections.abc import Iterator, Sequence

from bley.commands.completion.words import CommandWords, Values, value_options

__all__ = ["bash_script"]

_SCRIPT = """\
# bash completion of bley and bleygraph, by `bley completion bash`
_bley() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= index words= files=
    # bash splits --option=value at the equals sign
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ ${1##*/} == bleygraph ]]; then
        command=graph
    else
        for (( index = 1; index < COMP_CWORD; index++ )); do
            case ${COMP_WORDS[index]} in
                @VALUE_OPTIONS@) [[ ${COMP_WORDS[index + 1]} == = ]] || (( index++ )) ;;
                =) (( index++ )) ;;
                -*) ;;
                *) command=${COMP_WORDS[index]}; break ;;
            esac
        done
    fi
    case $command:$before in
@VALUES@
        *) case $command:$word in
@WORDS@
        esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    # where no word fits, bash completes the names of files by itself
    if [[ $files ]]; then
        compopt -o "$files"
    fi
}
complete -F _bley bley bleygraph
"""


def bash_script(program: CommandWords, commands: Sequence[CommandWords]) -> str:
    """Return the script."""
    everything = [program._replace(name=""), *commands]
    texts = {
        "VALUE_OPTIONS": " | ".join(value_options(program)),
        "VALUES": "\n".join(line for each in everything for line in _values_of_options(each)),
        "WORDS": "\n".join(line for each in everything for line in _words(each, commands)),
    }
    script = _SCRIPT
    for name, text in texts.items():
        script = script.replace(f"@{name}@", text)
    return script


def _values_of_options(command: CommandWords) -> Iterator[str]:
    for option in command.options:
        if option.values is not None:
            patterns = " | ".join(f"{command.name}:{name}" for name in option.names)
            yield f"        {patterns}) {_assignments(option.values)} ;;"


def _words(command: CommandWords, commands: Sequence[CommandWords]) -> Iterator[str]:
    options = " ".join(name for option in command.options for name in option.names)
    arguments = command.arguments if command.name else Values(tuple(each.name for each in commands))
    yield f'            {command.name}:-*) words="{options}" ;;'
    yield f"            {command.name}:*) {_assignments(arguments or Values())} ;;"


def _assignments(values: Values) -> str:
    files = "default" if values.takes_files else "dirnames" if values.takes_folders else ""
    return f'words="{" ".join(values.words)}" files={files}'
