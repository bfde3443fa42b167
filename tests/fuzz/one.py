"""Fuzz one target for a while: guided by coverage if atheris is installed, otherwise with random inputs.

    .venv/bin/python -m tests.fuzz.one NAME SECONDS FOLDER

FOLDER gets `corpus/NAME/`, the start of the next run, and for a find NAME-crash-…; then the exit status is not 0.
"""

import hashlib
import importlib
import importlib.util
import random
import sys
import time
import traceback
from pathlib import Path

import click

from tests.fuzz.harness import Harness, load_harness
from tests.fuzz.mutation import mutated
from tests.step_time import allow_more_time

__all__ = ["FIND_STATUS"]

FIND_STATUS = 77
"""libFuzzer's own."""

_INSTRUMENTED = ["bley", "spf"]
_SLOWNESS = 10
"""The slowdown of instrumented code at most; measured: three to six times."""
_INPUT_SECONDS = 300
"""A limit by the clock, on a machine that may be busy; the harnesses measure the time of a step themselves."""

_MEMORY_MB = 2000


@click.command()
@click.argument("name")
@click.argument("seconds", type=int)
@click.argument("folder", type=click.Path(path_type=Path))
def main(name: str, seconds: int, folder: Path) -> None:
    """Fuzz NAME for SECONDS."""
    if importlib.util.find_spec("atheris"):
        _led_by_coverage(name, seconds, folder)
    else:
        print("by chance, since atheris is not installed")
        _by_chance(name, seconds, folder)


def _led_by_coverage(name: str, seconds: int, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):
        harness = load_harness(name)
    allow_more_time(_SLOWNESS)
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in (*harness.seeds, *harness.finds.values()):
        corpus.joinpath(hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "max_len": harness.longest,
        "timeout": _INPUT_SECONDS,
        "report_slow_units": _INPUT_SECONDS,
        "rss_limit_mb": _MEMORY_MB,
        "artifact_prefix": f"{folder}/{name}-",
        "dict": _dictionary(harness, folder / f"{name}.dict"),
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{option}={value}" for option, value in options.items()), str(corpus)], harness.check
    )
    atheris.Fuzz()  # this ends the process


def _dictionary(harness: Harness, file: Path) -> Path:
    """Return the words of the harness in libFuzzer's form."""
    words = ("".join(f"\\x{octet:02x}" for octet in word) for word in harness.words if word)
    file.write_text("".join(f'"{word}"\n' for word in words))
    return file


def _by_chance(name: str, seconds: int, folder: Path) -> None:
    harness, end, number = load_harness(name), time.monotonic() + seconds, 0
    for data in mutated(harness, random.Random()):
        if time.monotonic() > end:
            break
        try:
            harness.check(data)
        except Exception:  # noqa: BLE001 (every exception is a find)
            find = folder / f"{name}-crash-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}"
            find.write_bytes(data)
            traceback.print_exc()
            sys.exit(FIND_STATUS)
        number += 1
    print(f"stat::number_of_executed_units: {number}")


if __name__ == "__main__":
    main()
