"""The clock is compared with the times of files."""

from datetime import timedelta
from pathlib import Path

from bley.commands.doctor.clock import judge_clock
from bley.commands.doctor.finding import Level, worst
from tests.fakes import NOON

FILE = Path("/var/lib/bley/bley.db")


def test_a_file_of_the_future_shows_a_clock_that_is_behind() -> None:
    [finding] = judge_clock(NOON, {FILE: NOON + timedelta(days=1)}, is_synchronized=True)
    assert finding.level is Level.FAULT
    assert "/var/lib/bley/bley.db is of" in finding.what


def test_clocks_of_one_file_system_may_differ_by_minutes() -> None:
    assert worst(judge_clock(NOON, {FILE: NOON + timedelta(minutes=4)}, is_synchronized=True)) is Level.WELL


def test_a_clock_without_ntp_is_only_noted() -> None:
    """In a container or virtual machine the host may synchronize it."""
    assert worst(judge_clock(NOON, {}, is_synchronized=False)) is Level.NOTE
