"""The completion scripts in real shells. They start no program, so they need no bley, and complete at once."""

from pathlib import Path

import pytest

from tests.integration.shells import COMPLETED_BY
from tests.integration.warm_start import run_bley
from tests.test_docs import COMMANDS

CASES = {
    "bley do": ["doctor"],
    "bley ": [*COMMANDS],
    "bley -c rec": ["records of 3.jsonl"],
    "bley -c bley.conf pa": ["pass"],
    "bley --config=bley.conf pa": ["pass"],
    "bley -f --deb": ["--debug"],
    "bley list --st": ["--status"],
    "bley list --status ": ["waiting", "known", "clean", "trusted", "relation"],
    "bley list --status waiting --status k": ["known"],
    "bley list --status=t": ["trusted"],
    "bley list --sort first": ["first-seen"],
    "bley list --json --sen": ["--sender"],
    "bley list -c rec": ["records of 3.jsonl"],
    "bley why jane@example.com --js": ["--json"],
    "bley why r": [],
    "bley allow --until r": [],
    "bley allow --client --com": ["--comment"],
    "bley lists zen": ["zen.spamhaus.org"],
    "bley lists --test list.dn": ["list.dnswl.org"],
    "bley import postg": ["postgrey"],
    "bley import rec": ["records of 3.jsonl"],
    "bley export rec": ["records of 3.jsonl"],
    "bley doctor --postfix g": ["graphs"],
    "bley doctor --postfix rec": [],
    "bley graph --format ": ["png", "svg"],
    "bleygraph --format s": ["svg"],
    "bleygraph --dest": ["--destdir"],
    "bleygraph -d g": ["graphs"],
    "bley help al": ["allow"],
    "bley completion ": ["bash", "zsh", "fish"],
    "bley nonsense r": [],
}
"""Command lines, with the words that complete them in a folder with one file and one folder."""


@pytest.mark.parametrize("shell", COMPLETED_BY)
def test_a_shell_completes_commands_options_and_their_values(tmp_path: Path, shell: str) -> None:
    tmp_path.joinpath("files/graphs").mkdir(parents=True)
    tmp_path.joinpath("files/records of 3.jsonl").touch()
    script = run_bley(["completion", shell]).stdout.decode()
    found = COMPLETED_BY[shell](script, [*CASES], tmp_path)
    words = [{word.removeprefix("--status=").rstrip("/") for word in each} for each in found]
    expected = {line: set(each) for line, each in CASES.items()}
    assert dict(zip(CASES, words, strict=True)) == expected


def test_another_shell_is_refused_with_the_names_of_those_that_are_known() -> None:
    ran = run_bley(["completion", "tcsh"])
    assert ran.returncode == 2
    assert b"'tcsh' is not one of 'bash', 'zsh', 'fish'" in ran.stderr
