"""How a record ages, at its very edges."""

from datetime import datetime, timedelta

import pytest

from bley.core.greylist import MAX_ATTEMPTS, Lifetimes, Record, Sighting, Standing, Status, Timing, merged, united
from bley.core.mail import Triplet
from tests.fakes import NOON

LIFETIMES = Lifetimes(greylisted=timedelta(days=1), known=timedelta(days=4), decisions=timedelta(days=3))
TIMING = Timing(
    period=timedelta(minutes=5), longest=timedelta(minutes=20), penalty=timedelta(minutes=2), lifetimes=LIFETIMES
)
INSTANT = timedelta(microseconds=1)
TRIPLET = Triplet("192.0.2.0/24", "a@example.com", "b@example.org")


def _sighting(status: Status, seen: datetime, attempts: int = 0) -> Sighting:
    return Sighting(TRIPLET, status, seen, LIFETIMES, attempts)


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


@pytest.mark.parametrize("ahead", [timedelta(seconds=1), timedelta(days=1), timedelta(days=36500)])
def test_what_remains_is_never_more_than_the_whole_wait(ahead: timedelta) -> None:
    """A clock that was ahead has been set back: the next attempt is the first, and the one after the wait passes."""
    record = _greylisted(-ahead, attempts=1)
    assert TIMING.remaining(record, NOON) == timedelta(minutes=7)
    record = merged(record, _sighting(Status.GREYLISTED, NOON))
    assert TIMING.standing(record, NOON + timedelta(minutes=7) + INSTANT) is Standing.WAITED


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


def test_attempts_are_counted_so_far_and_no_further() -> None:
    """Every engine can keep the number, whoever sends all day for years."""
    sighting = _sighting(Status.GREYLISTED, NOON, attempts=1)
    nearly = Record(Status.GREYLISTED, NOON, NOON, MAX_ATTEMPTS - 1)
    assert merged(nearly, sighting).attempts == merged(merged(nearly, sighting), sighting).attempts == MAX_ATTEMPTS


def test_greylisted_record_is_forgotten_after_its_lifetime() -> None:
    """Its clock starts again, so that an old attempt is no wait."""
    sighting = _sighting(Status.GREYLISTED, NOON)
    old, older = (_greylisted(LIFETIMES.greylisted + more, attempts=3) for more in (timedelta(0), INSTANT))
    assert merged(old, sighting).first_seen == NOON - LIFETIMES.greylisted
    assert merged(older, sighting) == Record(Status.GREYLISTED, NOON, NOON, 0)


def test_known_record_is_not_forgotten() -> None:
    record = Record(Status.CLEAN, NOON - timedelta(days=99), NOON - timedelta(days=98))
    after = merged(record, _sighting(Status.GREYLISTED, NOON))
    assert after == Record(Status.CLEAN, record.first_seen, NOON)


def test_a_sighting_forgets_by_the_lifetimes_it_came_with() -> None:
    """A reload changes them; a sighting that was kept meanwhile is merged as when it was seen."""
    record = _greylisted(timedelta(days=2), attempts=3)
    longer = Sighting(TRIPLET, Status.GREYLISTED, NOON, Lifetimes(greylisted=timedelta(days=2)))
    assert merged(record, longer).first_seen == record.first_seen
    assert merged(record, _sighting(Status.GREYLISTED, NOON)).first_seen == NOON


@pytest.mark.parametrize(
    ("status", "lifetime"),
    [
        (Status.GREYLISTED, LIFETIMES.greylisted),
        (Status.CLEAN, LIFETIMES.known),
        (Status.TRUSTED, LIFETIMES.known),
    ],
)
def test_a_record_may_be_forgotten_so_long_after_it_was_last_seen(status: Status, lifetime: timedelta) -> None:
    long_ago = NOON - timedelta(days=99)
    assert LIFETIMES.of(status) == lifetime
    assert not LIFETIMES.are_over(Record(status, long_ago, NOON - lifetime), NOON)
    assert LIFETIMES.are_over(Record(status, long_ago, NOON - lifetime - INSTANT), NOON)


@pytest.mark.parametrize(
    ("stored", "seen", "cause"),
    [
        pytest.param("helo", "dnsbl", "helo", id="of the earlier attempt"),
        pytest.param("", "dnsbl", "", id="which may have passed, or be of another greylister"),
    ],
)
def test_the_cause_is_that_of_the_earliest_first_attempt(stored: str, seen: str, cause: str) -> None:
    """In whichever order two nodes write, and whichever way records are combined."""
    minute = timedelta(minutes=1)
    early = Record(Status.GREYLISTED, NOON, NOON, cause=stored)
    late = _sighting(Status.GREYLISTED, NOON + minute)._replace(cause=seen)
    assert merged(early, late).cause == cause
    assert merged(late.record, _sighting(Status.GREYLISTED, NOON)._replace(cause=stored)).cause == cause
    assert united(early, late.record).cause == united(late.record, early).cause == cause


def test_of_two_first_attempts_at_once_a_cause_is_not_lost() -> None:
    record, unknown = (Record(Status.GREYLISTED, NOON, NOON, cause=cause) for cause in ("helo", ""))
    assert united(record, unknown) == united(unknown, record) == record
    assert merged(unknown, _sighting(Status.GREYLISTED, NOON)._replace(cause="helo")) == record


def test_an_expired_cause_is_forgotten_with_its_record() -> None:
    old = _greylisted(LIFETIMES.greylisted + INSTANT)._replace(cause="helo")
    assert merged(old, _sighting(Status.GREYLISTED, NOON)._replace(cause="dnsbl")).cause == "dnsbl"


def test_two_accounts_of_a_triplet_say_more_together() -> None:
    """The higher status, the earliest and latest instant; attempts are those of the one that knows of more."""
    hour = timedelta(hours=1)
    one = Record(Status.CLEAN, NOON, NOON + hour, attempts=2)
    other = Record(Status.GREYLISTED, NOON - hour, NOON, attempts=5)
    assert united(one, other) == united(other, one) == Record(Status.CLEAN, NOON - hour, NOON + hour, attempts=5)


def test_what_was_told_before_changes_nothing() -> None:
    record = Record(Status.GREYLISTED, NOON, NOON, attempts=3)
    assert united(None, record) == united(record, record) == record
