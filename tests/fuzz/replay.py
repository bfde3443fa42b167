"""Check inputs again, without fuzzing: a find, or the whole corpus of a fuzzer.

.venv/bin/python -m tests.fuzz.replay NAME FILE_OR_FOLDER...
"""

import sys
import traceback
from pathlib import Path

import click

from tests.fuzz.harness import load_harness

__all__ = ["main"]


@click.command()
@click.argument("name")
@click.argument("paths", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
def main(name: str, paths: tuple[Path, ...]) -> None:
    """Check each of PATHS, or the files in it, by the harness NAME; the exit status is 1 if one reveals a defect."""
    harness = load_harness(name)
    has_failed = False
    for file in (file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])):
        try:
            harness.check(file.read_bytes())
        except Exception:  # noqa: BLE001 (every exception is a find)
            has_failed = True
            print(f"{file}: {file.read_bytes()[:200]!r}")
            traceback.print_exc(limit=-3, file=sys.stdout)
    print("a defect" if has_failed else "no defect")
    sys.exit(has_failed)


if __name__ == "__main__":
    main()
