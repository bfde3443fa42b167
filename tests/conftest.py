"""The configuration of all tests."""

import asyncio
import os
import signal
from collections.abc import Callable, Generator, Mapping

import pytest
from hypothesis import Phase, settings

from tests.leaping_loop import LeapingLoop

# A busy machine is no fault of the code. CI must find the same tomorrow as today, a developer should find new faults.
PHASES = [phase for phase in Phase if phase is not Phase.explain]  # it traces each example
IN_CI = os.environ.get("CI") == "true"
for profile, examples in {"quick": 50, "ci": 200, "nightly": 5_000}.items():
    settings.register_profile(profile, max_examples=examples, deadline=None, derandomize=IN_CI, phases=PHASES)
settings.load_profile("ci")  # --hypothesis-profile overrides it

# A shell without job control, as in CI, starts background processes with SIGINT ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


LONGEST = (
    "soak",
    "deb",
    "container",
    "systemd",
    "workers",
    "import",
    "dns_failures",
    "store_nodes",
    "store_failures",
    "accessibility",
    "dashboard",
    "live",
    "file_failures",
)
"""Test files that take a minute or more, mostly waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest files, so that no process has one left at the end."""
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape invalid UTF-8 in a test's output: a worker of pytest-xdist that has to send it ends the whole run."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Repeat the names of failed tests in the last lines: pytest's own summary may be long."""
    yield
    for kind in ("failed", "error"):
        for report in terminalreporter.stats.get(kind, []):
            terminalreporter.write_line(f"{kind}: {report.nodeid}")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Use a LeapingLoop for tests with the mark `leaps` (pyproject.toml)."""
    return {"leaping": LeapingLoop} if item.get_closest_marker("leaps") else {"asyncio": asyncio.new_event_loop}
