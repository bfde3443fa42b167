"""The store of a trial: it finds what the store in memory finds, in little memory."""

import random
from datetime import UTC, datetime, timedelta

from bley.core.greylist import Lifetimes, Record, Sighting, Status
from bley.core.mail import Triplet
from bley.store.memory import MemoryStore
from bley.trial.memory import HashTable, TrialStore
from bley.trial.trial import run_now

NOW = datetime(2026, 11, 6, tzinfo=UTC)
LIFETIMES = Lifetimes()


def _triplet(number: int) -> Triplet:
    return Triplet(f"192.0.{number % 7}.0/24", f"a{number}@example.com", "b@example.org")


def _sightings() -> list[Sighting]:
    """Return thousands of sightings within an hour, in which no record expires."""
    chosen = random.Random(7)
    return [
        Sighting(
            _triplet(chosen.randrange(9000)),
            Status(chosen.randrange(3)),
            NOW + timedelta(seconds=number // 4),
            LIFETIMES,
            chosen.randrange(2),
            cause=chosen.choice(("", "helo", "dynamic")),
        )
        for number in range(14_000)
    ]


def test_it_finds_the_records_of_the_store_in_memory() -> None:
    trial, memory = TrialStore(LIFETIMES), MemoryStore()
    for sighting in _sightings():
        trial.record_later(sighting)
        memory.record_later(sighting)
    for number in range(9500):
        assert run_now(trial.find([_triplet(number)])).records == run_now(memory.find([_triplet(number)])).records


def test_records_are_found_under_the_domains_of_a_network() -> None:
    trial = TrialStore(LIFETIMES)
    triplet = Triplet("example.com", "a@example.com", "b@example.org")
    trial.record_later(Sighting(triplet, Status.CLEAN, NOW, LIFETIMES, network="192.0.2.0/24"))
    assert list(run_now(trial.find([triplet._replace(client="192.0.2.0/24")])).records) == [triplet]


def test_an_expired_record_is_not_found() -> None:
    trial = TrialStore(LIFETIMES)
    trial.record_later(Sighting(_triplet(1), Status.CLEAN, NOW, LIFETIMES))
    last = int((NOW + LIFETIMES.known).timestamp())
    trial.set_now(last)
    assert run_now(trial.find([_triplet(1)])).records == {_triplet(1): Record(Status.CLEAN, NOW, NOW)}
    trial.set_now(last + 1)
    assert run_now(trial.find([_triplet(1)])).records == {}


def test_a_table_of_expired_rows_does_not_grow() -> None:
    table = HashTable(1)
    for key in range(1, 1_000_000, 3):
        table.now = key
        table.put(key, key + 1000)
    assert len(table._keys) == 1 << 12
    assert table.row(999_997 - 999) is not None
