"""The definition of a harness, and the list of them."""

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
    "received",
    "mail_logs",
)
"""Modules of this package, each with its HARNESS."""


@dataclass(frozen=True)
class Harness:
    """One target: `check` raises AssertionError, or the target's exception, if the bytes reveal a defect.

    A harness depends on nothing but the bytes, so that they alone replay a find.
    """

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    """Valid inputs to start with."""
    finds: Mapping[str, bytes] = field(default_factory=dict)
    """Inputs that once revealed a defect, by its name."""
    words: Sequence[bytes] = ()
    """Tokens of the target's syntax, for mutations."""
    longest: int = 4096
    """The maximal length of an input in bytes."""


def load_harness(name: str) -> Harness:
    """Import and return the harness of this name."""
    harness = importlib.import_module(f"tests.fuzz.{name}").HARNESS
    assert isinstance(harness, Harness)
    return harness
