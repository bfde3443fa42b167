"""Ctrl-C while the modules of a command are imported."""

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bley.commands.interrupts import ending_at_interrupt

_SCRIPTS = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["scripts"]
_INTERRUPTED = """
import importlib, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == awaited:
            signal.raise_signal(signal.SIGINT)

awaited, module, function, *sys.argv = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
getattr(importlib.import_module(module), function)()
"""
"""Runs a script, and interrupts it as it imports the awaited module."""


@pytest.mark.parametrize(
    ("awaited", "words"),
    [
        ("click", ["bley", "--version"]),
        ("pydantic_core", ["bley", "stats"]),
        ("bley.commands.try_.command", ["bley", "try", "x"]),
        ("spf", ["bley", "try", "x"]),
        ("spf", ["bley", "--help"]),
        ("bley.commands.serve", ["bley", "-f"]),
        ("click", ["bleygraph"]),
    ],
)
def test_an_import_that_is_interrupted_ends_the_command_quietly(awaited: str, words: list[str]) -> None:
    """The library of SPF would take the KeyboardInterrupt for a missing module."""
    script = [sys.executable, "-c", _INTERRUPTED, awaited, *_SCRIPTS[words[0]].split(":"), *words]
    ended = subprocess.run(script, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (-signal.SIGINT, b"")


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_the_handler_is_restored(handler: signal.Handlers) -> None:
    """A signal that is ignored, as below nohup, stays ignored."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        with ending_at_interrupt():
            during = signal.getsignal(signal.SIGINT)
        assert during == (handler if handler == signal.SIG_IGN else signal.SIG_DFL)
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)
