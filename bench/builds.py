"""The builds of bley that are measured: that of this Python, and those of other virtual environments."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Build", "find_builds"]

_NAME = "import bley.core.policy as module; print('pure' if module.__file__.endswith('.py') else 'compiled')"


@dataclass(frozen=True)
class Build:
    """A Python that has bley; the name of its build is `pure` or `compiled`."""

    python: str
    name: str


def find_builds(others: Iterable[str]) -> list[Build]:
    """Return the build of this Python, then those of the others. Raises CalledProcessError if one has no bley."""
    return [Build(python, _name(python)) for python in (sys.executable, *others)]


def _name(python: str) -> str:
    return subprocess.run([python, "-c", _NAME], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
