"""The running bley is known by its metrics."""

import pytest

from bley import __version__
from bley.commands.doctor.daemon import RunningState, judge_state, parse_state
from bley.commands.doctor.finding import Level, worst

METRICS = """# TYPE bley_build_info gauge
bley_build_info{python="3.11.2",version="3.0.0"} 1.0
# TYPE bley_hidden_clients gauge
bley_hidden_clients 2.0
"""


def test_version_and_hidden_clients_are_read() -> None:
    assert parse_state(METRICS) == RunningState("3.0.0", 2)


def test_metrics_of_another_program_are_an_error() -> None:
    with pytest.raises(ValueError, match="another program"):
        parse_state("up 1\n")


def test_another_version_and_hidden_clients_are_warnings() -> None:
    assert worst(judge_state(RunningState(__version__, 0))) is Level.WELL
    assert [each.level for each in judge_state(RunningState("2.9", 1))] == [Level.WARNING, Level.WARNING]
