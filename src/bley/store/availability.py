"""The state of the engine, as far as it is known from its transactions.

OPENING    no transaction has ended yet           requests wait; the transaction prepares the engine first
OPEN       the last transaction succeeded         requests wait for their batch
LATE       the running one missed a deadline      requests fail at once; its outcome is *unknown*, and is awaited
AWAY       the last transaction *failed*          requests fail at once; retried every second, after a preparation
FLUSHING   a transaction succeeded                requests wait behind the queued writes, which go batch by batch

any state ── deadline ──> LATE
any state ── failure ───> AWAY
any state ── success ───> OPEN, but LATE and AWAY ──> FLUSHING while more than a batch of writes is queued

In FLUSHING strangers would come faster than their writes can be flushed, if they did not wait.

A transaction that is late has not failed. One that failed may have been committed all the same: its connection was cut,
say, after the commit was sent. So its writes are retried, and marks (engine.Mark) make that idempotent.
"""

import logging
from enum import Enum

from bley.core.errors import StoreError
from bley.core.quantity import quantity
from bley.metrics import STORE_DOWN

__all__ = ["Availability", "State", "outage"]

_log = logging.getLogger(__name__)


def outage(error: StoreError) -> str:
    """Return the warning that the store is down."""
    return f"store: {error}; answering by on_store_error until it is back"


class State(Enum):
    """The states, each with the values of `is_prepared`, `is_down` and `refuses`."""

    OPENING = "opening", False, False, False
    OPEN = "open", True, False, False
    LATE = "late", True, True, True
    AWAY = "away", False, True, True
    FLUSHING = "flushing", True, True, False


class Availability:
    """The state machine. It logs and exports each change between up and down."""

    def __init__(self) -> None:
        self._enter(State.OPENING)

    def _enter(self, state: State) -> None:
        self.state = state
        _, self.is_prepared, self.is_down, self.refuses = state.value
        STORE_DOWN.set(self.is_down)

    def miss_deadline(self, error: StoreError) -> None:
        """Take note that the running transaction is late."""
        self._go_down(State.LATE, error)

    def fail(self, error: StoreError) -> None:
        """Take note that a transaction failed."""
        self._go_down(State.AWAY, error)

    def _go_down(self, state: State, error: StoreError) -> None:
        if not self.is_down:
            _log.warning("%s", outage(error))
        self._enter(state)

    def succeed(self, dropped: int, *, has_backlog: bool) -> None:
        """Take note that a transaction succeeded, late or not; `has_backlog`: more than a batch of writes is queued."""
        if self.is_down and has_backlog:
            self._enter(State.FLUSHING)
        elif self.state is not State.OPEN:
            if self.is_down:
                count = quantity(dropped, "write was", "writes were")
                _log.warning("store: back, all queued writes are committed, %s dropped", count)
            self._enter(State.OPEN)
