"""How all tests run."""

import asyncio
import os
from collections.abc import Callable, Generator, Mapping

import pytest
from hypothesis import settings

from tests.leaping_loop import LeapingLoop

# A busy machine is no fault of the code; and CI must find tomorrow what it finds today, a developer new things.
IN_CI = os.environ.get("CI") == "true"
for profile, examples in {"quick": 50, "ci": 200, "nightly": 5_000}.items():
    settings.register_profile(profile, max_examples=examples, deadline=None, derandomize=IN_CI)
settings.load_profile("ci")  # unless --hypothesis-profile says otherwise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what is no UTF-8 in a test's output: a worker of pytest-xdist that has to send it ends the whole run."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Name what failed once more in the last lines: pytest's own summary is as long as the differences it shows."""
    yield
    for kind in ("failed", "error"):
        for report in terminalreporter.stats.get(kind, []):
            terminalreporter.write_line(f"{kind}: {report.nodeid}")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Move the time of tests with the mark `leaps` (pyproject.toml)."""
    return {"leaping": LeapingLoop} if item.get_closest_marker("leaps") else {"asyncio": asyncio.new_event_loop}
