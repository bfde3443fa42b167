"""What a harness is, and which there are."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["NAMES", "Harness", "load_harness"]

NAMES = (
    "wire",
    "list_files",
    "settings_file",
    "list_syntax",
    "triplet",
    "names",
    "spf",
    "predecessors",
    "json_lines",
    "search",
    "wanted",
    "log_lines",
)
"""Each is a module of this package, which has its HARNESS."""


@dataclass(frozen=True)
class Harness:
    """One target: `check` raises AssertionError, or what the target raised, if the bytes show a defect.

    A harness depends on nothing but the bytes, so that they alone replay a find.
    """

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    """Inputs to begin with; each is sound."""
    finds: Mapping[str, bytes] = field(default_factory=dict)
    """Inputs that showed a defect once, by what it was."""
    words: Sequence[bytes] = ()
    """Tokens of the target's syntax, for mutations."""
    longest: int = 4096
    """Bytes of one input."""


def load_harness(name: str) -> Harness:
    """Return the harness of this name; its target is imported now."""
    harness = importlib.import_module(f"tests.fuzz.{name}").HARNESS
    assert isinstance(harness, Harness)
    return harness
