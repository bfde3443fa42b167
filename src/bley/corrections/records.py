"""Changes of records, by `bley pass`, `bley forget` and on the dashboard: released, or deleted, on all nodes.

A node finds a released record in the store, since its caches have only known triplets. For each, a decision with the
reason `released` is stored, so that `bley why` shows what the operator did. A deletion is noticed within 20 seconds.

Work is done in portions. `before_portion` is called before each with the number of records that are done, and may
raise an error to stop.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from bley.core.decision import Decision, DecisionEntry
from bley.core.greylist import Record, Status
from bley.core.history.conditions import named_network
from bley.core.history.record_filter import RecordFilter
from bley.core.mail import Request, Triplet
from bley.core.quantity import quantity
from bley.core.reasons import Reason
from bley.core.relations import is_relation
from bley.core.triplet import TripletRules
from bley.settings.file import Configuration
from bley.store.engine import Engine

__all__ = ["Release", "forget_records", "number_of", "release_records", "select_release"]

_PORTION = 1000

_NO_RECORD = (
    "no record matches: `bley why ADDRESS` shows all attempts and records. A client with a name has its domain there. "
    "If there was no attempt yet, name the client's IP address and whole addresses of sender and recipient"
)


def _proceed(_done: int) -> None:
    pass


class Release(NamedTuple):
    """The records that are to pass, as they are then, and the number of those that pass already."""

    released: Sequence[tuple[Triplet, Record]]
    known: int = 0
    attempt: str = "next"

    def describe(self, *, is_done: bool = True) -> str:
        """Return what was done, or would be done."""
        if self.released:
            verb = ("passes" if len(self.released) == 1 else "pass") if is_done else "would pass"
            return f"{quantity(len(self.released), 'record')} {verb} at the {self.attempt} attempt"
        if self.known:
            return f"no record waits; {quantity(self.known, 'record passes', 'records pass')} already"
        return _NO_RECORD


def number_of(records: Sequence[tuple[Triplet, Record]]) -> str:
    """Return the number of records, and of relations among them, in words."""
    relations = sum(is_relation(record) for _, record in records)
    text = quantity(len(records) - relations, "record")
    return f"{text} and {quantity(relations, 'relation')}" if relations else text


def select_release(
    found: Sequence[tuple[Triplet, Record]], wanted: RecordFilter, rules: TripletRules, now: datetime
) -> Release:
    """Return which of the records that match are to pass; a new one if there is none of a completely named mail."""
    found = [each for each in found if not is_relation(each[1])]
    if not found and (triplet := wanted.triplet(rules)):
        return Release([(triplet, Record(Status.CLEAN, now, now))], attempt="first")
    waiting = [each for each in found if each[1].status is Status.GREYLISTED]
    released = [(triplet, record._replace(status=Status.CLEAN, last_seen=now)) for triplet, record in waiting]
    return Release(released, len(found) - len(waiting))


async def release_records(
    engine: Engine,
    configuration: Configuration,
    selection: Release,
    now: datetime,
    audit: Callable[[str], Awaitable[None]],
    before_portion: Callable[[int], None] = _proceed,
) -> None:
    """Let these records pass at their next attempt. Raises StoreError, and the errors of `audit`."""
    lifetimes = configuration.settings.lifetimes
    done = 0
    try:
        for start in range(0, len(selection.released), _PORTION):
            before_portion(start)
            portion = selection.released[start : start + _PORTION]
            await engine.unite(portion, now, lifetimes)
            done = start + len(portion)
            await engine.add_decisions([_entry(*each, now, configuration) for each in portion], {})
    finally:
        if done:
            await audit(selection._replace(released=selection.released[:done]).describe())


def _entry(triplet: Triplet, record: Record, now: datetime, configuration: Configuration) -> DecisionEntry:
    """Return the decision of the operator, which is about no request, but about the client of the record."""
    client, sender, recipient = triplet
    name = "" if named_network(client) else client
    request = Request(client_address=client, client_name=name, sender=sender, recipient=recipient)
    decision = Decision(request, Reason.RELEASED, triplet=triplet, record=record)
    is_private, node = bool(configuration.privacy_key), configuration.settings.node_name
    return DecisionEntry(now, "pass", decision, sender, recipient, is_private, node)


async def forget_records(
    engine: Engine,
    triplets: Sequence[Triplet],
    audit: Callable[[str], Awaitable[None]],
    before_portion: Callable[[int], None] = _proceed,
) -> None:
    """Delete these records, so that their mail waits again. Raises StoreError, and the errors of `audit`."""
    done = 0
    try:
        for start in range(0, len(triplets), _PORTION):
            before_portion(start)
            portion = triplets[start : start + _PORTION]
            await engine.forget(portion)
            done = start + len(portion)
    finally:
        if done:
            await audit(f"{quantity(done, 'record')} forgotten")
