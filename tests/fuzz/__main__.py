"""Fuzz all targets, or some, for a number of minutes: `make fuzz MINUTES=10`.

    .venv/bin/python -m tests.fuzz [--minutes 10] [--processes N] [--folder var/fuzz] [NAME...]

The targets share the time of the processes equally. FOLDER has, for each target, the output of its fuzzer (NAME.log),
the inputs that reached new code (corpus/NAME/), and its finds. At the end the new inputs are checked once more without
instrumentation, which shows a slow step better. The exit status is 1 if there is a find.
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click

from tests.fuzz.harness import NAMES

_EXECUTED = re.compile(r"number_of_executed_units: *(\d+)")


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long all of it takes.")
@click.option("--processes", default=os.cpu_count() or 1, show_default=True, help="Targets at the same time.")
@click.option("--folder", default=Path("var/fuzz"), type=click.Path(path_type=Path), show_default=True)
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
def main(minutes: float, processes: int, folder: Path, names: tuple[str, ...]) -> None:
    """Fuzz, and print the finds."""
    names = names or NAMES
    folder.mkdir(parents=True, exist_ok=True)
    processes = min(processes, len(names))
    seconds = max(int(minutes * 60 * processes / len(names)), 1)
    click.echo(f"{len(names)} targets, {seconds} s each, {processes} at the same time; {folder}/NAME.log tells more")
    with ThreadPoolExecutor(processes) as pool:
        is_sound = list(pool.map(partial(_fuzz, seconds=seconds, folder=folder), names))
    sys.exit(not all(is_sound))


def _fuzz(name: str, seconds: int, folder: Path) -> bool:
    """Fuzz one target, and print the result; return whether there is no find."""
    before = set(folder.glob(f"{name}-*-*"))
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(seconds), str(folder)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        _, state, used = os.wait4(process.pid, 0)
    status = process.returncode = os.waitstatus_to_exitcode(state)
    finds: list[Path] = sorted(set(folder.glob(f"{name}-*-*")) - before)
    corpus = folder / "corpus" / name
    if status == 0 and corpus.is_dir():
        replayed = subprocess.run(_replay(name, corpus), capture_output=True, text=True, check=False)
        if replayed.returncode:
            finds.append(corpus)
            log.write_text(log.read_text(errors="replace") + replayed.stdout + replayed.stderr)
    executed = _EXECUTED.search(log.read_text(errors="replace"))
    number = f"{int(executed[1]):,} inputs" if executed else "no count of inputs"
    minutes = (used.ru_utime + used.ru_stime) / 60
    click.echo(f"{name}: {number}, {minutes:.1f} min of processor time, {'a find' if finds or status else 'no find'}")
    for find in finds:
        click.echo(f"    {' '.join(_replay(name, find))}")
    if status and not finds:
        click.echo(f"    status {status}: see {log}")
    return not (finds or status)


def _replay(name: str, path: Path) -> list[str]:
    return [os.path.relpath(sys.executable), "-m", "tests.fuzz.replay", name, str(path)]


if __name__ == "__main__":
    main()
