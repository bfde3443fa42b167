"""The behaviour of every store, on real servers. A further engine is one more entry in `ENGINES`."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bley.core.errors import StoreError
from bley.core.greylist import OF_TRIPLETS, Lifetimes, Record, Sighting, Status, merged
from bley.core.mail import Triplet
from bley.ports import Store
from bley.store import batched
from bley.store.batched import BatchedStore
from bley.store.engine import MOST_DOMAINS
from bley.store.memory import MemoryStore
from bley.store.opening import open_engine
from bley.store.request_queue import MAX_BATCH
from tests.fakes import NOON
from tests.integration.stores import ENGINES, Places

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_FOR_EVER = timedelta(days=36500)
_JANE = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine is so slow that a store is late here; test_batched.py tests late ones."""
    monkeypatch.setattr(batched, "REQUEST_SECONDS", 60.0)


@pytest.fixture(params=["memory", *ENGINES])
async def store(request: pytest.FixtureRequest, places: Places) -> AsyncIterator[Store]:
    store = MemoryStore() if request.param == "memory" else _open(places, request.param)
    yield store
    await store.close()


def _open(places: Places, engine: str) -> BatchedStore:
    return BatchedStore(open_engine(places.place(engine)))


def _sighting(
    triplet: Triplet = _JANE,
    status: Status = Status.GREYLISTED,
    seen: datetime = NOON,
    attempts: int = 0,
    lifetime: timedelta = _FOR_EVER,
) -> Sighting:
    return Sighting(triplet, status, seen, Lifetimes(greylisted=lifetime, known=_FOR_EVER), attempts)


async def _find(store: Store, triplet: Triplet) -> Record | None:
    found = (await store.find([triplet])).records
    assert set(found) <= {triplet}
    return found.get(triplet)


def _folded(sightings: Sequence[Sighting]) -> Record | None:
    return reduce(merged, sightings, None)


def _instants(earliest: datetime, latest: datetime) -> st.SearchStrategy[datetime]:
    return st.timedeltas(timedelta(0), latest - earliest).map(lambda since: earliest + since)


class TestRefusals:
    """A value that an engine never accepts: half of a surrogate pair, and NUL for PostgreSQL."""

    @pytest.mark.parametrize("sign", ["\ud800", "\0"], ids=["surrogate", "nul"])
    @pytest.mark.parametrize("name", ENGINES)
    async def test_one_value_takes_nothing_else_away(self, places: Places, name: str, sign: str) -> None:
        """Neither the other requests of its batch are lost, nor does the store go down."""
        store = _open(places, name)
        good = [_sighting(Triplet("c", "s", str(number)), attempts=1) for number in range(5)]
        bad = _sighting(_JANE._replace(sender=f"a{sign}b"), attempts=1)
        for _ in range(2):
            recording = [store.record(sighting) for sighting in (*good[:3], bad, *good[3:])]
            asking = [store.find([sighting.triplet]) for sighting in (bad, *good)]
            results = await asyncio.gather(*recording, *asking, return_exceptions=True)
            failed = [result for result in results if isinstance(result, BaseException)]
            assert all(isinstance(error, StoreError) for error in failed)
            assert len(failed) == (2 if sign != "\0" or name == "postgresql" else 0)
            assert not store.is_down
        records = [await _find(store, sighting.triplet) for sighting in good]
        assert [record and record.attempts for record in records] == [2] * 5
        await store.close()


class TestRelations:
    """The records of relations, beside those of triplets (core.relations)."""

    @pytest.mark.parametrize("status", sorted(set(Status) - OF_TRIPLETS))
    async def test_they_are_merged_and_found_like_those_of_triplets(self, store: Store, status: Status) -> None:
        key, hour = Triplet("example.com", "@example.com", ""), timedelta(hours=1)
        sightings = [_sighting(key, status, NOON + number * hour, number) for number in range(3)]
        for sighting in sightings:
            store.record_later(sighting)
        assert await _find(store, key) == _folded(sightings) == Record(status, NOON, NOON + 2 * hour, 3)

    async def test_a_pool_of_another_time_is_begun_anew(self, store: Store) -> None:
        day = timedelta(days=1)
        key = Triplet("pool", *_JANE[1:])
        old, new = (
            _sighting(key, Status.POOL, seen, lifetime=10 * day)._replace(cause=cause)
            for seen, cause in ((NOON, "192.0.2.1"), (NOON + 11 * day, "198.51.100.1"))
        )
        await store.record(old)
        await store.record(new)
        assert await _find(store, key) == new.record == _folded([old, new])

    async def test_a_pair_of_a_network_is_found_under_its_domains(self, store: Store) -> None:
        named = _sighting(Triplet("example.com", "a@example.com", "b@example.org"), Status.CLEAN)
        store.record_later(named._replace(network="192.0.2.0/24"))
        pair = _sighting(Triplet("example.com", "@example.com", ""), Status.PAIR)
        store.record_later(pair)
        assert (await store.find([pair.triplet._replace(client="192.0.2.0/24")])).records == {pair.triplet: pair.record}


class TestFinding:
    async def test_nothing_is_known_of_a_stranger(self, store: Store) -> None:
        assert await _find(store, _JANE) is None

    async def test_what_was_recorded_is_found(self, store: Store) -> None:
        await store.record(_sighting(attempts=1))
        assert await _find(store, _JANE) == Record(Status.GREYLISTED, NOON, NOON, 1)

    async def test_what_was_recorded_for_later_is_found_by_a_later_find(self, store: Store) -> None:
        store.record_later(_sighting(status=Status.TRUSTED))
        assert await _find(store, _JANE) == Record(Status.TRUSTED, NOON, NOON)

    async def test_also_when_very_much_was_recorded_before(self, store: Store) -> None:
        """More triplets than fit in one batch."""
        triplets = [Triplet("c", "s", str(number)) for number in range(5 * MAX_BATCH // 2)]
        for triplet in triplets:
            store.record_later(_sighting(triplet))
        assert await _find(store, triplets[-1]) == _folded([_sighting()])
        assert None not in await asyncio.gather(*(_find(store, triplet) for triplet in triplets))

    async def test_a_triplet_is_another_when_one_part_is_another(self, store: Store) -> None:
        await store.record(_sighting(Triplet("c", "s", "r")))
        others = [Triplet("c2", "s", "r"), Triplet("c", "s2", "r"), Triplet("c", "s", "r2"), Triplet("s", "c", "r")]
        assert await asyncio.gather(*(_find(store, other) for other in others)) == [None] * 4

    async def test_each_asker_gets_its_own_record(self, store: Store) -> None:
        triplets = [Triplet("c", "s", f"r{number}") for number in range(50)]
        for number, triplet in enumerate(triplets[:40]):
            await store.record(_sighting(triplet, attempts=number))
        asked = [*triplets, triplets[7], *reversed(triplets)]
        records = await asyncio.gather(*(_find(store, triplet) for triplet in asked))
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
            f"{'x' * 200}@{'y' * 46}.example",
            f"{'ü' * 127}x",
        ],
        ids=lambda address: ascii(address)[:30],
    )
    async def test_any_address_is_kept_as_it_is(self, store: Store, address: str) -> None:
        triplets = [Triplet(address, "s", "r"), Triplet("c", address, "r"), Triplet("c", "s", address)]
        for number, triplet in enumerate(triplets):
            await store.record(_sighting(triplet, attempts=number))
        records = await asyncio.gather(*(_find(store, triplet) for triplet in triplets))
        assert [record and record.attempts for record in records] == [0, 1, 2]

    async def test_addresses_that_differ_in_one_letter_are_two(self, store: Store) -> None:
        await store.record(_sighting(Triplet("c", "s", "jürgen@example.org")))
        assert await _find(store, Triplet("c", "s", "jörgen@example.org")) is None
        assert await _find(store, Triplet("c", "s", "ju\u0308rgen@example.org")) is None


class TestMerging:
    _numbers = itertools.count()

    @settings(
        max_examples=settings().max_examples // 4,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        sightings=st.lists(
            st.builds(
                Sighting,
                triplet=st.just(_JANE),
                status=st.sampled_from(sorted(OF_TRIPLETS)),
                seen=_instants(NOON - _DAY, NOON + _DAY),
                lifetimes=st.builds(Lifetimes, st.timedeltas(_HOUR, 2 * _DAY), st.just(_FOR_EVER)),
                attempts=st.integers(0, 3),
                first_seen=st.none() | st.just(NOON - _DAY) | _instants(NOON - _DAY, NOON),
                network=st.just(""),
                cause=st.sampled_from(["", "helo", "dnsbl", "dnsbl bl.example", "dnsbl BL"]),
            ),
            min_size=1,
            max_size=12,
        ),
        waits=st.booleans(),
    )
    async def test_a_record_is_what_its_sightings_are_merged_to(
        self, store: Store, sightings: list[Sighting], waits: bool
    ) -> None:
        """In the order of the calls, awaited or not."""
        triplet = Triplet("c", "s", str(next(self._numbers)))
        own = [sighting._replace(triplet=triplet) for sighting in sightings]
        for sighting in own:
            if waits:
                await store.record(sighting)
            else:
                store.record_later(sighting)
        assert await _find(store, triplet) == _folded(own)

    async def test_no_attempt_is_lost_among_many_at_once(self, store: Store) -> None:
        await asyncio.gather(*(store.record(_sighting(attempts=1)) for _ in range(100)))
        record = await _find(store, _JANE)
        assert record
        assert record.attempts == 100

    async def test_a_clean_record_never_goes_back_to_greylisted(self, store: Store) -> None:
        await store.record(_sighting(status=Status.CLEAN))
        await store.record(_sighting(seen=NOON + 30 * _DAY, lifetime=10 * _DAY))
        assert await _find(store, _JANE) == Record(Status.CLEAN, NOON, NOON + 30 * _DAY)

    async def test_a_greylisted_record_of_another_time_is_begun_anew(self, store: Store) -> None:
        await store.record(_sighting(attempts=3))
        later = NOON + 11 * _DAY
        await store.record(_sighting(seen=later, lifetime=10 * _DAY, attempts=1))
        assert await _find(store, _JANE) == Record(Status.GREYLISTED, later, later, 1)

    async def test_a_greylisted_record_that_is_just_not_too_old_goes_on(self, store: Store) -> None:
        await store.record(_sighting(attempts=3))
        await store.record(_sighting(seen=NOON + 10 * _DAY, lifetime=10 * _DAY, attempts=1))
        assert await _find(store, _JANE) == Record(Status.GREYLISTED, NOON, NOON + 10 * _DAY, 4)

    @settings(
        max_examples=settings().max_examples // 4,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(seen=_instants(_EPOCH, datetime.max.replace(tzinfo=UTC)))
    @example(seen=datetime(2026, 3, 29, 1, 0, 0, 1, UTC))
    @example(seen=_EPOCH)
    async def test_instants_come_back_aware_and_exact(self, store: Store, seen: datetime) -> None:
        triplet = Triplet("c", "s", seen.isoformat())
        await store.record(_sighting(triplet, Status.CLEAN, seen))
        record = await _find(store, triplet)
        assert record
        assert (record.first_seen, record.first_seen.utcoffset()) == (seen, timedelta(0))

    async def test_an_instant_may_come_from_another_time_zone(self, store: Store) -> None:
        await store.record(_sighting(seen=datetime.fromisoformat("2026-11-23T14:00:00+02:00")))
        record = await _find(store, _JANE)
        assert record
        assert record.last_seen == NOON


class TestPlaces:
    async def test_all_of_which_something_is_known_are_found(self, store: Store) -> None:
        one, two, three = (Triplet("c", "s", name) for name in "123")
        await store.record(_sighting(two, attempts=2))
        await store.record(_sighting(three, attempts=3))
        found = await asyncio.gather(store.find([one, two, three]), store.find([three, two]), store.find([one]))
        assert [list(each.records) for each in found] == [[two, three], [three, two], []]

    async def test_nothing_may_be_asked(self, store: Store) -> None:
        assert (await store.find([])).records == {}


def _named(network: str, domain: str, seen: datetime = NOON, known: timedelta = _FOR_EVER) -> Sighting:
    """A client with a name in the domain, verified on the network; the recipient is its own."""
    lifetimes = Lifetimes(greylisted=_FOR_EVER, known=known)
    return Sighting(Triplet(domain, "s", "r"), Status.CLEAN, seen, lifetimes, network=network)


class TestVerifiedDomains:
    """A triplet of a network is also found under the domains that were verified on the network."""

    async def test_a_lost_name_is_found(self, store: Store) -> None:
        await store.record(_named("192.0.2.0/24", "example.com"))
        at = Triplet("192.0.2.0/24", "s", "r")
        assert list((await store.find([at])).records) == [at._replace(client="example.com")]

    async def test_a_find_says_when_a_domain_was_last_verified(self, store: Store) -> None:
        """On that network, whatever the record has seen elsewhere."""
        at, minute = Triplet("192.0.2.0/24", "s", "r"), timedelta(minutes=1)
        for network, seen in (("192.0.2.0/24", NOON), ("192.0.2.0/24", NOON - minute), ("192.0.3.0/24", NOON + minute)):
            await store.record(_named(network, "example.com", seen))
        found = await store.find([at._replace(client="example.com"), at])
        assert found.domains["192.0.2.0/24"] == {"example.com": NOON}
        assert found.records[at._replace(client="example.com")].last_seen == NOON + minute

    @pytest.mark.parametrize(
        "other",
        [
            Triplet("192.0.3.0/24", "s", "r"),
            Triplet("192.0.2.0/24", "other", "r"),
            Triplet("192.0.2.0/24", "s", "other"),
            Triplet("example.net", "s", "r"),
        ],
        ids=["network", "sender", "recipient", "domain"],
    )
    async def test_another_triplet_is_not(self, store: Store, other: Triplet) -> None:
        await store.record(_named("192.0.2.0/24", "example.com"))
        assert (await store.find([other])).records == {}

    async def test_requests_of_one_batch_do_not_share_a_network(self, store: Store) -> None:
        await store.record(_named("192.0.2.0/24", "example.com"))
        found = await asyncio.gather(*(store.find([Triplet(f"192.0.{at}.0/24", "s", "r")]) for at in (3, 2, 4)))
        assert [len(each.records) for each in found] == [0, 1, 0]

    async def test_a_domain_has_many_networks_and_a_network_many_domains(self, store: Store) -> None:
        networks, domains = ("192.0.2.0/24", "2001:db8::/64"), ("example.com", "example.net")
        for network in networks:
            for domain in domains:
                await store.record(_named(network, domain))
        for network in networks:
            found = (await store.find([Triplet(network, "s", "r")])).records
            assert {place.client for place in found} == set(domains)

    async def test_its_own_record_is_found_as_well(self, store: Store) -> None:
        own = Triplet("192.0.2.0/24", "s", "r")
        await store.record(_sighting(own))
        await store.record(_named("192.0.2.0/24", "example.com"))
        found = (await store.find([own, Triplet("example.org", "s", "r")])).records
        assert found == {
            own: Record(Status.GREYLISTED, NOON, NOON),
            own._replace(client="example.com"): Record(Status.CLEAN, NOON, NOON),
        }

    async def test_only_the_latest_domains_of_a_network_are_kept(self, store: Store) -> None:
        """In any order, and up to twice as many for a while; a client that fills its network displaces its oldest."""
        minute = timedelta(minutes=1)
        sightings = [_named("192.0.2.0/24", f"d{number}.example", NOON + number * minute) for number in range(200)]
        for sighting in (*sightings[100:], *sightings[:100]):
            store.record_later(sighting)
        await store.record(_named("198.51.100.0/24", "example.com"))
        found = (await store.find([Triplet("192.0.2.0/24", "s", "r")])).records
        assert {place.client for place in found} >= {each.triplet.client for each in sightings[-MOST_DOMAINS:]}
        assert isinstance(store, MemoryStore) or len(found) <= 2 * MOST_DOMAINS
        assert len((await store.find([Triplet("198.51.100.0/24", "s", "r")])).records) == 1

    async def test_the_same_again_changes_nothing(self, store: Store) -> None:
        for seen in (NOON, NOON - _DAY, NOON):
            await store.record(_named("192.0.2.0/24", "example.com", seen))
        assert len((await store.find([Triplet("192.0.2.0/24", "s", "r")])).records) == 1


class TestCarried:
    """A record is carried from another place with its first attempt."""

    async def test_its_clock_goes_on(self, store: Store) -> None:
        await store.record(_sighting(seen=NOON + _DAY)._replace(first_seen=NOON))
        assert await _find(store, _JANE) == Record(Status.GREYLISTED, NOON, NOON + _DAY)

    async def test_it_is_merged_with_what_is_there(self, store: Store) -> None:
        await store.record(_sighting(seen=NOON + _DAY, attempts=2))
        await store.record(_sighting(seen=NOON + 2 * _DAY, attempts=1)._replace(first_seen=NOON))
        assert await _find(store, _JANE) == Record(Status.GREYLISTED, NOON, NOON + 2 * _DAY, 3)

    async def test_a_greylisted_record_that_was_too_old_is_replaced(self, store: Store) -> None:
        await store.record(_sighting(attempts=2))
        later = NOON + 15 * _DAY
        carried = _sighting(seen=later, attempts=1, lifetime=10 * _DAY)._replace(first_seen=later - 8 * _DAY)
        await store.record(carried)
        assert await _find(store, _JANE) == Record(Status.GREYLISTED, later - 8 * _DAY, later, 1)


class TestLife:
    async def test_a_store_that_nobody_asked_closes(self, store: Store) -> None:
        """The fixture closes the store."""

    @pytest.mark.parametrize("engine", ENGINES)
    async def test_what_was_recorded_is_there_the_next_time(self, engine: str, places: Places) -> None:
        first = _open(places, engine)
        await first.record(_sighting(attempts=2))
        first.record_later(_sighting(seen=NOON + _DAY))  # written by close
        await first.close()
        second = _open(places, engine)
        assert await _find(second, _JANE) == Record(Status.GREYLISTED, NOON, NOON + _DAY, 2)
        await second.close()
