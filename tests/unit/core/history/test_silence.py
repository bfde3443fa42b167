"""When the silence of a mail server is remarkable, by the pauses that it usually makes."""

from datetime import datetime, timedelta

import pytest

from bley.core.history.silence import Silence, find_node_silences, find_silence
from tests.fakes import NOON

HOUR = timedelta(hours=1)


def hours(*are_busy: bool, end: datetime = NOON) -> list[int]:
    """Return the starts of the busy hours; the last one is the hour before `end`."""
    first = end - len(are_busy) * HOUR
    return [int((first + number * HOUR).timestamp()) for number, busy in enumerate(are_busy) if busy]


BUSY = [True] * 200
NIGHTS = ([True] * 16 + [False] * 8) * 20 + [True] * 12
WEEKENDS = ([True] * 24 * 5 + [False] * 48) * 4 + [True] * 24


@pytest.mark.parametrize(
    ("are_busy", "silent_hours", "is_remarkable"),
    [
        (BUSY, 1.9, False),
        (BUSY, 2, True),
        (NIGHTS, 8, False),
        (NIGHTS, 11.9, False),
        (NIGHTS, 12, True),
        (WEEKENDS, 60, False),
        (WEEKENDS, 72, True),
        ([*BUSY, *[False] * 90, *BUSY], 2, True),  # one outage is not usual
        ([*BUSY, *[False] * 90, *BUSY, *[False] * 40, *BUSY], 59, False),
        ([*BUSY, *[False] * 90, *BUSY, *[False] * 40, *BUSY], 60, True),
        ([True] * 23, 1000, False),  # too little is known
    ],
)
def test_a_silence_is_remarkable_if_it_is_longer_than_the_usual_pauses(
    are_busy: list[bool], silent_hours: float, is_remarkable: bool
) -> None:
    found = find_silence(hours(*are_busy), NOON, NOON + silent_hours * HOUR)
    assert (found is not None) is is_remarkable
    if found:
        assert (found.since, found.length) == (NOON, silent_hours * HOUR)


def test_a_mail_server_that_has_never_asked_is_silent_for_ever() -> None:
    assert find_silence([], None, NOON) == Silence(None)


def test_without_a_stored_decision_the_last_counted_hour_is_the_last_request() -> None:
    """Decisions are deleted after log_days, which may be shorter than a silence."""
    found = find_silence(hours(*BUSY), None, NOON + 50 * HOUR)
    assert found
    assert (found.since, found.usual, found.length) == (NOON, timedelta(0), 50 * HOUR)


class TestNodes:
    def test_a_node_is_silent_while_another_one_has_requests(self) -> None:
        nodes = {"mx1": hours(*BUSY, end=NOON + 5 * HOUR), "mx2": hours(*BUSY), "mx3": hours(*[True] * 23)}
        (silence,) = find_node_silences(nodes, NOON + 5 * HOUR)
        assert silence == Silence(NOON, timedelta(0), 5 * HOUR, "mx2")

    def test_a_backup_has_longer_pauses_of_its_own(self) -> None:
        seldom = hours(*([True] + [False] * 19) * 30)
        nodes = {"mx1": hours(*BUSY, end=NOON + 8 * HOUR), "mx2": seldom}
        assert list(find_node_silences(nodes, NOON + 8 * HOUR)) == []
        assert [each.node for each in find_node_silences(nodes, NOON + 40 * HOUR)] == ["mx1", "mx2"]

    def test_a_node_that_was_removed_is_forgotten_after_a_week(self) -> None:
        for days, nodes in ((6, ["mx2"]), (7, [])):
            now = NOON + timedelta(days=days)
            found = find_node_silences({"mx1": hours(*BUSY, end=now), "mx2": hours(*BUSY)}, now)
            assert [each.node for each in found] == nodes

    def test_the_only_node_is_all_of_bley(self) -> None:
        assert list(find_node_silences({"mx1": hours(*BUSY)}, NOON + 50 * HOUR)) == []
