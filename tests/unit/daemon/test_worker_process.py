"""When a dead worker is replaced, and how its end is told. Whole workers are in integration."""

import signal

import pytest

from bley.daemon.worker_process import RestartBackoff, describe_exit


def test_who_dies_is_replaced_at_once() -> None:
    assert RestartBackoff().delay_after(3600) == 0
    assert RestartBackoff().delay_after(1) == 0


def test_who_dies_again_and_again_waits_longer_and_longer_but_not_for_ever() -> None:
    backoff = RestartBackoff()
    assert [backoff.delay_after(1) for _ in range(9)] == [0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_long_life_is_forgiven() -> None:
    backoff = RestartBackoff()
    for _ in range(5):
        backoff.delay_after(1)
    assert backoff.delay_after(60) == 0
    assert backoff.delay_after(1) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exited with status 0"), (2, "exited with status 2"), (-signal.SIGKILL, "was killed by SIGKILL")],
)
def test_how_it_ended_is_told(status: int, words: str) -> None:
    assert describe_exit(status) == words
