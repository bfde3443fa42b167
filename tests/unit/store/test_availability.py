"""The states of the store: a transaction that is late has not failed."""

import logging
from collections.abc import Callable

import pytest

from bley.core.errors import StoreError
from bley.metrics import REGISTRY
from bley.store.availability import Availability, State

_ERROR = StoreError("disk full")
_EVENTS: dict[str, Callable[[Availability], None]] = {
    "late": lambda store: store.miss_deadline(_ERROR),
    "failure": lambda store: store.fail(_ERROR),
    "success": lambda store: store.succeed(3, has_backlog=False),
    "success with a backlog": lambda store: store.succeed(3, has_backlog=True),
}


@pytest.mark.parametrize(
    ("events", "state", "warnings"),
    [
        ([], State.OPENING, 0),
        (["success"], State.OPEN, 0),
        (["success with a backlog"], State.OPEN, 0),
        (["late"], State.LATE, 1),
        (["late", "success"], State.OPEN, 2),
        (["late", "failure"], State.AWAY, 1),
        (["success", "late", "success with a backlog"], State.FLUSHING, 1),
        (["failure"], State.AWAY, 1),
        (["failure", "late", "failure"], State.AWAY, 1),
        (["failure", "success"], State.OPEN, 2),
        (["failure", "success with a backlog"], State.FLUSHING, 1),
        (["failure", "success with a backlog", "success"], State.OPEN, 2),
        (["failure", "success with a backlog", "failure"], State.AWAY, 1),
    ],
)
def test_each_change_between_up_and_down_is_logged_once(
    events: list[str], state: State, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = Availability()
    for event in events:
        _EVENTS[event](store)
    assert store.state is state
    assert store.is_down == (state in (State.LATE, State.AWAY, State.FLUSHING))
    assert store.refuses == (state in (State.LATE, State.AWAY))
    assert REGISTRY.get_sample_value("bley_store_down") == store.is_down
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == warnings


def test_only_a_failure_makes_another_preparation_necessary() -> None:
    """Another database may stand in its place; one that is late is still the same."""
    store, prepared = Availability(), []
    for event in ("success", "late", "success with a backlog", "failure"):
        prepared.append(store.is_prepared)
        _EVENTS[event](store)
    assert [*prepared, store.is_prepared] == [False, True, True, True, False]


def test_the_log_has_the_number_of_dropped_writes(caplog: pytest.LogCaptureFixture) -> None:
    store = Availability()
    store.fail(_ERROR)
    store.succeed(3, has_backlog=False)
    assert caplog.messages == [
        "store: disk full; answering by on_store_error until it is back",
        "store: back, all queued writes are committed, 3 writes were dropped",
    ]
