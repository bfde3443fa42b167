"""Unit and property tests stay in their process: what opens sockets, starts processes or draws is in integration.

An audit hook notes what the running test does (sys.addaudithook). It can never be removed and is called for each of
Python's events, so it is one look into a set. A pair of sockets without names, as each event loop has, is no event.
"""

import sys
from collections.abc import Generator
from functools import wraps
from typing import Any

import pytest

_DRAWING = "matplotlib.Figure.savefig"  # our own: matplotlib has none
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
    """Where an integration test in the same process has imported matplotlib already."""
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
    """Forget what the tests before it did."""
    _announce_drawings()
    _seen.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Fail a test that has left its process. At the last one's end the servers of integration are stopped."""
    seen = set(_seen)
    yield
    assert not seen, f"a test with {seen} belongs into tests/integration"
