"""The builds of bley that are measured: that of this Python, and those of other virtual environments.

PYTHON -m bench.builds        prints the name of this Python's build, `pure` or `compiled`
"""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from bley.commands.build import is_compiled

__all__ = ["Build", "build_name", "find_builds"]


@dataclass(frozen=True)
class Build:
    """A Python that has bley, and the name of its build; that of another virtual environment includes its Python."""

    python: str
    name: str


def find_builds(others: Iterable[str]) -> list[Build]:
    """Return the build of this Python, then those of the others. Raises CalledProcessError if one has no bley."""
    return [Build(sys.executable, build_name()), *(Build(python, _name_of(python)) for python in others)]


def build_name() -> str:
    """Return the name of the build that this Python runs."""
    return "compiled" if is_compiled() else "pure"


def _name_of(python: str) -> str:
    ran = subprocess.run([python, "-m", __name__], stdout=subprocess.PIPE, check=True, text=True)
    return f"{ran.stdout.strip()}, {python}"


if __name__ == "__main__":
    print(build_name())
