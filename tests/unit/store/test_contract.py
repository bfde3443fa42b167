"""What every store does, whatever its engine. A further engine is one more entry in `_STORES`."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bley.core.greylist import Record, Sighting, Status, merged
from bley.core.mail import Triplet
from bley.ports import Store
from bley.store.batched import MAX_BATCH, BatchedStore
from bley.store.memory import MemoryStore
from bley.store.sql import open_sqlite
from tests.fakes import NOON

_STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda folder: BatchedStore(open_sqlite(folder / "bley.db")),
}
_LASTING = ["sqlite"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_JANE = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")


@pytest.fixture(params=_STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = _STORES[request.param](tmp_path)
    yield store
    await store.close()


def _sighting(
    triplet: Triplet = _JANE,
    status: Status = Status.GREYLISTED,
    seen: datetime = NOON,
    attempts: int = 0,
    forget_before: datetime = _EPOCH,
) -> Sighting:
    return Sighting(triplet, status, seen, forget_before, attempts)


def _folded(sightings: Sequence[Sighting]) -> Record | None:
    return reduce(merged, sightings, None)


def _instants(earliest: datetime, latest: datetime) -> st.SearchStrategy[datetime]:
    return st.timedeltas(timedelta(0), latest - earliest).map(lambda since: earliest + since)


class TestFinding:
    async def test_nothing_is_known_of_a_stranger(self, store: Store) -> None:
        assert await store.find(_JANE) is None

    async def test_what_was_recorded_is_found(self, store: Store) -> None:
        await store.record(_sighting(attempts=1))
        assert await store.find(_JANE) == Record(Status.GREYLISTED, NOON, NOON, 1)

    async def test_what_was_recorded_for_later_is_found_by_a_later_find(self, store: Store) -> None:
        store.record_later(_sighting(status=Status.TRUSTED))
        assert await store.find(_JANE) == Record(Status.TRUSTED, NOON, NOON)

    async def test_also_when_very_much_was_recorded_before(self, store: Store) -> None:
        """More than an engine takes in one go."""
        triplets = [Triplet("c", "s", str(number)) for number in range(5 * MAX_BATCH // 2)]
        for triplet in triplets:
            store.record_later(_sighting(triplet))
        assert await store.find(triplets[-1]) == _folded([_sighting()])
        assert None not in await asyncio.gather(*(store.find(triplet) for triplet in triplets))

    async def test_a_triplet_is_another_when_one_part_is_another(self, store: Store) -> None:
        await store.record(_sighting(Triplet("c", "s", "r")))
        others = [Triplet("c2", "s", "r"), Triplet("c", "s2", "r"), Triplet("c", "s", "r2"), Triplet("s", "c", "r")]
        assert await asyncio.gather(*map(store.find, others)) == [None] * 4

    async def test_each_asker_gets_its_own_record(self, store: Store) -> None:
        triplets = [Triplet("c", "s", f"r{number}") for number in range(50)]
        for number, triplet in enumerate(triplets[:40]):
            await store.record(_sighting(triplet, attempts=number))
        asked = [*triplets, triplets[7], *reversed(triplets)]
        records = await asyncio.gather(*map(store.find, asked))
        found = {triplet: record.attempts for triplet, record in zip(asked, records, strict=True) if record}
        assert found == {triplet: number for number, triplet in enumerate(triplets[:40])}
        assert records[50] == records[7]

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "jürgen@example.org",
            "jörgen@example.org",
            "漢字@例え.jp",
            "🙂@example.org",
            "o'hara@example.org",
            '"quoted \\\\" local"@example.org',
            "50%off%s%(x)s@example.org",
            ":name@example.org",
            "a?b#c@example.org",
            "null",
            "1",
            "1.0",
            "[]",
            "line\u2028end\x1b@example.org",
            f"{'x' * 4000}@{'y' * 4000}.example",
        ],
        ids=lambda address: ascii(address)[:30],
    )
    async def test_any_address_is_kept_as_it_is(self, store: Store, address: str) -> None:
        triplets = [Triplet(address, "s", "r"), Triplet("c", address, "r"), Triplet("c", "s", address)]
        for number, triplet in enumerate(triplets):
            await store.record(_sighting(triplet, attempts=number))
        records = await asyncio.gather(*map(store.find, triplets))
        assert [record and record.attempts for record in records] == [0, 1, 2]

    async def test_addresses_that_differ_in_one_letter_are_two(self, store: Store) -> None:
        await store.record(_sighting(Triplet("c", "s", "jürgen@example.org")))
        assert await store.find(Triplet("c", "s", "jörgen@example.org")) is None
        assert await store.find(Triplet("c", "s", "ju\u0308rgen@example.org")) is None


class TestMerging:
    _numbers = itertools.count()

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        sightings=st.lists(
            st.builds(
                Sighting,
                triplet=st.just(_JANE),
                status=st.sampled_from(Status),
                seen=_instants(NOON - _DAY, NOON + _DAY),
                forget_before=_instants(NOON - 2 * _DAY, NOON),
                attempts=st.integers(0, 3),
            ),
            min_size=1,
            max_size=12,
        ),
        waits=st.booleans(),
    )
    async def test_a_record_is_what_its_sightings_are_merged_to(
        self, store: Store, sightings: list[Sighting], waits: bool
    ) -> None:
        """In the order of the calls, whether they are waited for or not."""
        triplet = Triplet("c", "s", str(next(self._numbers)))
        own = [
            Sighting(triplet, sighting.status, sighting.seen, sighting.forget_before, sighting.attempts)
            for sighting in sightings
        ]
        for sighting in own:
            if waits:
                await store.record(sighting)
            else:
                store.record_later(sighting)
        assert await store.find(triplet) == _folded(own)

    async def test_no_attempt_is_lost_among_many_at_once(self, store: Store) -> None:
        await asyncio.gather(*(store.record(_sighting(attempts=1)) for _ in range(100)))
        record = await store.find(_JANE)
        assert record
        assert record.attempts == 100

    async def test_a_clean_record_never_goes_back_to_greylisted(self, store: Store) -> None:
        await store.record(_sighting(status=Status.CLEAN))
        await store.record(_sighting(seen=NOON + 30 * _DAY, forget_before=NOON + 20 * _DAY))
        assert await store.find(_JANE) == Record(Status.CLEAN, NOON, NOON + 30 * _DAY)

    async def test_a_greylisted_record_of_another_time_is_begun_anew(self, store: Store) -> None:
        await store.record(_sighting(attempts=3))
        later = NOON + 11 * _DAY
        await store.record(_sighting(seen=later, forget_before=later - 10 * _DAY, attempts=1))
        assert await store.find(_JANE) == Record(Status.GREYLISTED, later, later, 1)

    async def test_a_greylisted_record_that_is_just_not_too_old_goes_on(self, store: Store) -> None:
        await store.record(_sighting(attempts=3))
        await store.record(_sighting(seen=NOON + 10 * _DAY, forget_before=NOON, attempts=1))
        assert await store.find(_JANE) == Record(Status.GREYLISTED, NOON, NOON + 10 * _DAY, 4)

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(seen=_instants(_EPOCH, datetime.max.replace(tzinfo=UTC)))
    @example(seen=datetime(2026, 3, 29, 1, 0, 0, 1, UTC))
    @example(seen=_EPOCH)
    async def test_instants_come_back_aware_and_exact(self, store: Store, seen: datetime) -> None:
        triplet = Triplet("c", "s", seen.isoformat())
        await store.record(_sighting(triplet, Status.CLEAN, seen))
        record = await store.find(triplet)
        assert record
        assert (record.first_seen, record.first_seen.utcoffset()) == (seen, timedelta(0))

    async def test_an_instant_may_come_from_another_time_zone(self, store: Store) -> None:
        await store.record(_sighting(seen=datetime.fromisoformat("2026-11-23T14:00:00+02:00")))
        record = await store.find(_JANE)
        assert record
        assert record.last_seen == NOON


class TestPurging:
    async def test_greylisted_and_known_records_go_by_their_own_age(self, store: Store) -> None:
        ages = [1, 9, 10, 11, 39, 40, 41]
        triplets = {
            (status, age): Triplet("c", status.name, str(age)) for status, age in itertools.product(Status, ages)
        }
        for (status, age), triplet in triplets.items():
            await store.record(_sighting(triplet, status, NOON - age * _DAY))
        purged = await store.purge(greylisted_before=NOON - 10 * _DAY, known_before=NOON - 40 * _DAY)
        left = {key for key, triplet in triplets.items() if await store.find(triplet)}
        assert left == {(status, age) for status, age in triplets if age <= (10 if status is Status.GREYLISTED else 40)}
        assert purged == len(triplets) - len(left) == 6

    async def test_it_is_the_last_sighting_that_counts(self, store: Store) -> None:
        await store.record(_sighting(seen=NOON - 20 * _DAY))
        await store.record(_sighting(seen=NOON))
        assert await store.purge(greylisted_before=NOON - _DAY, known_before=NOON - _DAY) == 0
        assert await store.find(_JANE)

    async def test_there_may_be_nothing_to_forget(self, store: Store) -> None:
        assert await store.purge(greylisted_before=NOON, known_before=NOON) == 0

    async def test_there_may_be_very_much_to_forget(self, store: Store) -> None:
        """Meanwhile requests are answered."""
        count = 2 * MAX_BATCH + 10
        for number in range(count):
            store.record_later(_sighting(Triplet("c", "s", str(number))))
        await store.record(_sighting(_JANE, Status.CLEAN))
        purging = asyncio.create_task(store.purge(greylisted_before=NOON + _DAY, known_before=NOON))
        assert await store.find(_JANE)
        await store.record(_sighting(_JANE, Status.TRUSTED, NOON + _DAY))
        assert await purging == count
        assert await store.find(_JANE) == Record(Status.TRUSTED, NOON, NOON + _DAY)
        assert await store.find(Triplet("c", "s", "0")) is None


class TestLife:
    async def test_a_store_that_nobody_asked_closes(self, store: Store) -> None:
        """The fixture closes it."""

    @pytest.mark.parametrize("kind", _LASTING)
    async def test_what_was_recorded_is_there_the_next_time(self, kind: str, tmp_path: Path) -> None:
        first = _STORES[kind](tmp_path)
        await first.record(_sighting(attempts=2))
        first.record_later(_sighting(seen=NOON + _DAY))  # written by close
        await first.close()
        second = _STORES[kind](tmp_path)
        assert await second.find(_JANE) == Record(Status.GREYLISTED, NOON, NOON + _DAY, 2)
        await second.close()

    @pytest.mark.parametrize("kind", _LASTING)
    async def test_two_that_are_open_see_each_others_records(self, kind: str, tmp_path: Path) -> None:
        """What was recorded before is found; together they lose no attempt."""
        one, other = _STORES[kind](tmp_path), _STORES[kind](tmp_path)
        await one.find(_JANE)
        for _ in range(20):
            await asyncio.gather(one.record(_sighting(attempts=1)), other.record(_sighting(attempts=1)))
        records = [await one.find(_JANE), await other.find(_JANE)]
        assert [record and record.attempts for record in records] == [40, 40]
        await one.close()
        await other.close()
