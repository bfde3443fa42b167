"""Records and their sightings: laws that hold in any order and at any time."""

from datetime import datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from bley.core.greylist import OF_TRIPLETS, Lifetimes, Record, Sighting, Standing, Status, Timing, merged, united
from bley.core.mail import Triplet
from tests.fakes import NOON

LIFETIME = timedelta(days=10)
LIFETIMES = Lifetimes(greylisted=LIFETIME)
TRIPLET = Triplet("192.0.2.0/24", "a@example.com", "b@example.org")

statuses = st.sampled_from(sorted(OF_TRIPLETS))
attempts = st.integers(min_value=0, max_value=1000)
causes = st.sampled_from(["", "helo", "dnsbl", "dnsbl bl.example"])
durations = st.timedeltas(timedelta(0), timedelta(days=1))
timings = st.builds(Timing, period=durations, longest=durations, penalty=durations, lifetimes=st.just(LIFETIMES))


def _sightings(within: timedelta) -> st.SearchStrategy[Sighting]:
    def sighting(status: Status, seen: datetime, count: int, cause: str) -> Sighting:
        return Sighting(TRIPLET, status, seen, LIFETIMES, count, cause=cause)

    instants = st.just(NOON) | st.timedeltas(timedelta(0), within).map(NOON.__add__)  # equal ones are rare by chance
    return st.builds(sighting, statuses, instants, attempts, causes)


contemporary = _sightings(LIFETIME)
anytime = _sightings(50 * LIFETIME)
records = st.builds(
    lambda status, first, last, count, cause: Record(status, NOON + first, NOON + first + last, count, cause),
    *(statuses, st.just(timedelta(0)) | durations, durations, attempts, causes),
)


def _merge_all(sightings: list[Sighting]) -> Record | None:
    return reduce(merged, sightings, None)


@given(st.lists(contemporary, max_size=6).flatmap(lambda all_: st.tuples(st.just(all_), st.permutations(all_))))
def test_order_does_not_matter(orders: tuple[list[Sighting], list[Sighting]]) -> None:
    """Two nodes, or writes that were queued during an outage, produce the same record."""
    as_seen, as_written = orders
    assert _merge_all(as_seen) == _merge_all(as_written)


@given(records, contemporary, contemporary)
def test_two_sightings_commute(record: Record, one: Sighting, other: Sighting) -> None:
    """They commute on any record of the same time too."""
    assert merged(merged(record, one), other) == merged(merged(record, other), one)


@given(st.lists(records, min_size=1, max_size=6).flatmap(lambda all_: st.tuples(st.just(all_), st.permutations(all_))))
def test_accounts_are_united_in_any_order_and_any_number_of_times(orders: tuple[list[Record], list[Record]]) -> None:
    """An interrupted import can be repeated while bley runs."""
    told, retold = orders
    whole = reduce(united, told, None)
    assert reduce(united, [*retold, *told], None) == whole


@given(records, records, anytime)
def test_uniting_loses_no_status(one: Record, other: Record, sighting: Sighting) -> None:
    """The status stays, whatever is seen in between."""
    assert united(merged(united(one, other), sighting), one).status >= max(one.status, other.status)


@given(records, anytime)
def test_status_never_falls(record: Record, sighting: Sighting) -> None:
    assert merged(record, sighting).status >= record.status


@given(records, st.lists(anytime, max_size=4), timings, st.timedeltas(timedelta(0), 99 * LIFETIME))
def test_known_stays_known(record: Record, sightings: list[Sighting], timing: Timing, later: timedelta) -> None:
    """It stays known, whatever happens afterwards, and however late."""
    if timing.standing(record, NOON) is Standing.KNOWN:
        after = reduce(merged, sightings, record)
        assert timing.standing(after, NOON + later) is Standing.KNOWN


@given(timings, attempts, attempts)
def test_more_attempts_never_shorten_the_wait(timing: Timing, one: int, other: int) -> None:
    def remaining(count: int) -> timedelta:
        return timing.remaining(Record(Status.GREYLISTED, NOON, NOON, count), NOON)

    assert remaining(min(one, other)) <= remaining(max(one, other)) <= timing.longest


@given(timings, attempts, durations, durations)
def test_time_only_ends_the_wait(timing: Timing, count: int, one: timedelta, other: timedelta) -> None:
    """A triplet that has waited long enough still has a while later."""
    record = Record(Status.GREYLISTED, NOON, NOON, count)
    if timing.standing(record, NOON + min(one, other)) is Standing.WAITED:
        assert timing.standing(record, NOON + max(one, other)) is Standing.WAITED
