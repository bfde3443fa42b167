"""Real shells that complete command lines: bash and zsh at a terminal, by keys, and fish by its command `complete`."""

import os
import pty
import shlex
import subprocess
import tty
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.integration.servers import require

__all__ = ["COMPLETED_BY"]

_SECONDS = 60.0
"""Only a hang reaches this limit."""

_COMPLETE, _NEXT = "\x14", "\x0f"
"""The keys that complete, and that end a line without running it."""

_BASHRC = """
. {folder}/script
cd {folder}/files
PS1=
bind '"\\C-t": insert-completions'
bind -x '"\\C-o": printf "%s\\n" "$READLINE_LINE" >>{folder}/found; READLINE_LINE='
"""
"""All completions are inserted into the line, as readline quotes them."""

_ZSHRC = r"""
fpath=({folder} $fpath)
autoload -Uz compinit
compinit -u -d {folder}/dump
cd {folder}/files
PS1=
LISTMAX=10000
compadd() {
    local -a hits
    if [[ -z ${(M)@:#-[OAD]} ]]; then
        builtin compadd -A hits "$@"
        print -rl -- $hits >>{folder}/found
    fi
    builtin compadd "$@"
}
bindkey '^T' list-choices
next() { print END >>{folder}/found; BUFFER= }
zle -N next
bindkey '^O' next
"""
"""All completions are written to a file on their way to the list below the line."""


def _by_bash(script: str, lines: Sequence[str], folder: Path) -> list[list[str]]:
    folder.joinpath("script").write_text(script)
    folder.joinpath("bashrc").write_text(_BASHRC.replace("{folder}", str(folder)))
    _type(["bash", "--rcfile", str(folder / "bashrc"), "-i"], lines)
    found = folder.joinpath("found").read_text().splitlines()
    words = [shlex.split(after[line.rfind(" ") + 1 :]) for line, after in zip(lines, found, strict=True)]
    return [[word for word in each if not line.endswith(f" {word}")] for line, each in zip(lines, words, strict=True)]


def _by_zsh(script: str, lines: Sequence[str], folder: Path) -> list[list[str]]:
    require("zsh", "zsh", as_root=False)
    folder.joinpath("_bley").write_text(script)
    folder.joinpath(".zshrc").write_text(_ZSHRC.replace("{folder}", str(folder)))
    _type(["zsh", "-d", "-i"], lines, ZDOTDIR=str(folder))
    return [shlex.split(part) for part in folder.joinpath("found").read_text().split("END\n")[:-1]]


def _by_fish(script: str, lines: Sequence[str], folder: Path) -> list[list[str]]:
    """Leave out what fish 4 offers in addition: words with the letters in between."""
    require("fish", "fish", as_root=False)
    folder.joinpath("script").write_text(script)
    commands = f"source {folder}/script; cd {folder}/files; for line in $argv; complete -C $line; echo END; end"
    ran = subprocess.run(
        ["fish", "--no-config", "-c", commands, *lines], capture_output=True, text=True, check=True, timeout=_SECONDS
    )
    found = [[choice.split("\t")[0] for choice in part.splitlines()] for part in ran.stdout.split("END\n")[:-1]]
    typed = [line.rpartition(" ")[2] for line in lines]
    return [[each for each in part if each.startswith(word)] for part, word in zip(found, typed, strict=True)]


def _type(shell: Sequence[str], lines: Sequence[str], **environment: str) -> None:
    """Type the lines at the terminal of a shell, and complete each."""
    keys = "".join(f"{line}{_COMPLETE}{_NEXT}" for line in lines) + "exit\n"
    terminal, inner = pty.openpty()
    tty.setraw(inner)
    with subprocess.Popen(
        shell,
        stdin=inner,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"TERM": "dumb"} | environment,
    ) as process:
        os.close(inner)
        os.write(terminal, keys.encode())
        try:
            process.wait(_SECONDS)
        finally:
            process.kill()
            os.close(terminal)


COMPLETED_BY: Mapping[str, Callable[[str, Sequence[str], Path], list[list[str]]]] = {
    "bash": _by_bash,
    "zsh": _by_zsh,
    "fish": _by_fish,
}
"""The function of each shell. It gets the script, lines, and a folder with a folder `files`, where the shell runs."""
