"""Isolation of unit and property tests: those that open sockets, start processes or draw are integration tests.

An audit hook records the actions of the running test (sys.addaudithook). It cannot be removed and is called for each of
Python's events, so it is one lookup in a set. A pair of sockets without names, as each event loop has, is no event.
"""

import sys
from collections.abc import Generator
from functools import wraps
from typing import Any

import pytest

_DRAWING = "matplotlib.Figure.savefig"  # our own event: matplotlib has none
_OUTSIDE = {
    *("socket.bind", "socket.connect", "socket.sendto"),
    *("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"),
    _DRAWING,
}
"""Source: docs.python.org/3/library/audit_events.html."""

_seen: list[str] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _OUTSIDE or (event == "import" and arguments[0] == "matplotlib"):
        _seen.append(event)


sys.addaudithook(_note)


def _announce_drawings() -> None:
    """Raise our own event when matplotlib draws, if an integration test in the same process has imported it already."""
    figure: Any = sys.modules.get("matplotlib.figure")
    if not figure or hasattr(figure.Figure.savefig, "__wrapped__"):
        return
    savefig = figure.Figure.savefig

    @wraps(savefig)
    def announced(*arguments: Any, **options: Any) -> None:
        sys.audit(_DRAWING)
        savefig(*arguments, **options)

    figure.Figure.savefig = announced


def pytest_runtest_setup() -> None:
    """Forget the actions of earlier tests."""
    _announce_drawings()
    _seen.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Fail a test that has left its process. The end of the last test also stops the servers of integration."""
    seen = set(_seen)
    yield
    assert not seen, f"a test with {seen} belongs into tests/integration"
