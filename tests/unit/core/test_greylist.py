"""How a record ages, at its very edges."""

from datetime import datetime, timedelta

import pytest

from bley.core.greylist import Record, Sighting, Standing, Status, Timing, merged
from bley.core.mail import Triplet
from tests.fakes import NOON

TIMING = Timing(
    period=timedelta(minutes=5), longest=timedelta(minutes=20), penalty=timedelta(minutes=2), lifetime=timedelta(days=1)
)
INSTANT = timedelta(microseconds=1)
TRIPLET = Triplet("192.0.2.0/24", "a@example.com", "b@example.org")


def _sighting(status: Status, seen: datetime, attempts: int = 0) -> Sighting:
    return Sighting(TRIPLET, status, seen, TIMING.forget_before(seen), attempts)


def _greylisted(ago: timedelta, attempts: int = 0) -> Record:
    return Record(Status.GREYLISTED, NOON - ago, NOON - ago, attempts)


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [
        pytest.param(0, 5, id="no early retry: the period"),
        pytest.param(1, 7, id="each adds the penalty"),
        pytest.param(7, 19, id="to the last that fits"),
        pytest.param(8, 20, id="but never more than the longest"),
        pytest.param(10**9, 20, id="however many"),
    ],
)
def test_wait(attempts: int, minutes: int) -> None:
    assert TIMING.wait(attempts) == timedelta(minutes=minutes)


def test_remaining_counts_from_the_first_attempt() -> None:
    assert TIMING.remaining(_greylisted(timedelta(minutes=3)), NOON) == timedelta(minutes=2)
    assert TIMING.remaining(_greylisted(timedelta(minutes=3), attempts=1), NOON) == timedelta(minutes=4)
    assert TIMING.remaining(_greylisted(timedelta(minutes=6)), NOON) == -timedelta(minutes=1)


@pytest.mark.parametrize(
    ("record", "standing"),
    [
        pytest.param(None, Standing.NEW, id="no record"),
        pytest.param(_greylisted(timedelta(0)), Standing.EARLY, id="at once"),
        pytest.param(_greylisted(timedelta(minutes=5)), Standing.EARLY, id="the wait must be exceeded"),
        pytest.param(_greylisted(timedelta(minutes=5) + INSTANT), Standing.WAITED, id="now it is"),
        pytest.param(_greylisted(timedelta(minutes=6), attempts=1), Standing.EARLY, id="an early retry waits longer"),
        pytest.param(_greylisted(timedelta(days=1)), Standing.WAITED, id="at the end of its lifetime"),
        pytest.param(_greylisted(timedelta(days=1) + INSTANT), Standing.NEW, id="older than that: a stranger again"),
        pytest.param(_greylisted(-timedelta(hours=1)), Standing.EARLY, id="by another node's clock, an hour ahead"),
        pytest.param(Record(Status.CLEAN, NOON, NOON), Standing.KNOWN, id="clean"),
        pytest.param(Record(Status.TRUSTED, NOON, NOON), Standing.KNOWN, id="trusted"),
        pytest.param(Record(Status.CLEAN, NOON - timedelta(days=99), NOON), Standing.KNOWN, id="known has no lifetime"),
    ],
)
def test_standing(record: Record | None, standing: Standing) -> None:
    assert TIMING.standing(record, NOON) is standing


def test_first_sighting_makes_the_record() -> None:
    sighting = _sighting(Status.GREYLISTED, NOON, attempts=1)
    assert merged(None, sighting) == Record(Status.GREYLISTED, NOON, NOON, 1)


def test_sightings_add_up() -> None:
    """The higher status, the earliest and the latest instant, all attempts."""
    hour = timedelta(hours=1)
    record = Record(Status.CLEAN, NOON, NOON + hour, attempts=2)
    earlier = merged(record, _sighting(Status.GREYLISTED, NOON - hour, attempts=1))
    assert earlier == Record(Status.CLEAN, NOON - hour, NOON + hour, attempts=3)
    later = merged(record, _sighting(Status.TRUSTED, NOON + 2 * hour))
    assert later == Record(Status.TRUSTED, NOON, NOON + 2 * hour, attempts=2)


def test_greylisted_record_is_forgotten_after_its_lifetime() -> None:
    """Its clock starts again, so that an old attempt is no wait."""
    sighting = _sighting(Status.GREYLISTED, NOON)
    old, older = _greylisted(TIMING.lifetime, attempts=3), _greylisted(TIMING.lifetime + INSTANT, attempts=3)
    assert merged(old, sighting).first_seen == NOON - TIMING.lifetime
    assert merged(older, sighting) == Record(Status.GREYLISTED, NOON, NOON, 0)


def test_known_record_is_not_forgotten() -> None:
    record = Record(Status.CLEAN, NOON - timedelta(days=99), NOON - timedelta(days=98))
    after = merged(record, _sighting(Status.GREYLISTED, NOON))
    assert after == Record(Status.CLEAN, record.first_seen, NOON)
