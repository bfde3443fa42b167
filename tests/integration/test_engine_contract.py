"""The behaviour of every engine besides answering requests, on real servers."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from bley.commands.json_lines import header, line, read_lines
from bley.core.decision import Decision, DecisionEntry
from bley.core.errors import RefusedError
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check
from bley.core.greylist import LONGEST_CAUSE, Lifetimes, Record, Sighting, Status, merged, united
from bley.core.history.attempts import key_of
from bley.core.history.periods import PERIODS
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, Search
from bley.core.history.statistics import Count
from bley.core.mail import Request, Triplet
from bley.core.reasons import Reason
from bley.core.triplet import ANY, TripletRules
from bley.core.wire import RequestParser
from bley.store.engine import Engine, Mark, Marks, Purged, RemoteChanges, counts_per_span
from bley.store.opening import open_engine
from bley.store.redis import RedisEngine
from bley.store.redis_history import RedisHistory
from bley.store.redis_keys import counts_key, record_key
from bley.store.rows import microseconds, stored_decision
from bley.store.sql import SqlEngine
from bley.store.sql_schema import counts, decisions
from tests.integration.running_bley import WAIT_SECONDS
from tests.integration.stores import ENGINES, OpenStores, Places

_NOW = datetime.now(UTC).replace(microsecond=123456)
_DAY = timedelta(days=1)
_LIFETIMES = Lifetimes(greylisted=10 * _DAY, known=40 * _DAY, decisions=30 * _DAY)
_SQL_ENGINES = [engine for engine in ENGINES if not engine.startswith("redis")]
_JANE = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(params=ENGINES, loop_scope="module")
async def engine(request: pytest.FixtureRequest, stores: OpenStores) -> Engine:
    return (await stores.empty(request.param)).engine


def _record(status: Status = Status.CLEAN, ago: timedelta = timedelta(0), attempts: int = 0) -> Record:
    return Record(status, _NOW - ago - timedelta(hours=1), _NOW - ago, attempts)


async def _all(engine: Engine) -> dict[Triplet, Record]:
    found: dict[Triplet, Record] = {}
    async for records in engine.records():
        assert not found.keys() & dict(records).keys()
        found |= dict(records)
    return found


def _decision(at: datetime = _NOW, reason: Reason = Reason.HELO, sender: str = "a@example.com") -> DecisionEntry:
    request = Request("RCPT", "", "192.0.2.1", "unknown", "frïend", sender, "b@example.org", "4711.0", "4XyZ")
    evidence: Evidence = {
        Check.HELO: Finding(2, "frïend is not the client's name"),
        Check.SPF: Finding(None, "no answer in time"),
    }
    decision = Decision(request, reason, defers=True, triplet=_JANE, evidence=evidence, wait=timedelta(minutes=5))
    return DecisionEntry(at, "greylist", decision, sender, "b@example.org")


async def _sql(engine: SqlEngine, query: sa.Executable) -> list[dict[str, Any]]:
    work: Callable[[sa.Connection], list[dict[str, Any]]] = lambda connection: [  # noqa: E731
        row._asdict() for row in connection.execute(query)
    ]
    return await engine._transactions.run(work, writes=False)


async def _decisions(engine: Engine) -> list[dict[str, Any]]:
    """Return the rows of the database, in order."""
    if isinstance(engine, SqlEngine):
        return await _sql(engine, sa.select(decisions).order_by(decisions.c.id))
    assert isinstance(engine, RedisEngine)
    entries = await engine._client.xrange("bley:decisions")
    texts = [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]
    return [fields | {"at": int(fields["at"])} for fields in texts]


async def _counts(engine: Engine) -> dict[Count, int]:
    if isinstance(engine, SqlEngine):
        rows = await _sql(engine, sa.select(counts))
        return {Count(row["seconds"], row["start"], row["kind"], row["name"]): row["count"] for row in rows}
    assert isinstance(engine, RedisEngine)
    found = {}
    async for key in engine._client.scan_iter(match="bley:counts:*"):
        seconds = int(key.decode().split(":")[2])
        for name, number in (await engine._client.hgetall(key)).items():
            start, kind, word = name.decode().split(" ")
            found[Count(seconds, int(start), kind, word)] = int(number)
    return found


class TestDecisions:
    async def test_they_are_kept_with_all_that_was_found(self, engine: Engine) -> None:
        await engine.add_decisions([_decision(), _decision(reason=Reason.EARLY)], {})
        first, second = await _decisions(engine)
        assert (first["reason"], second["reason"]) == ("helo", "early")
        assert json.loads(first.pop("details")) == _decision().details
        expected = {
            "at": microseconds(_NOW),
            "outcome": "greylist",
            "reason": "helo",
            "client_address": "192.0.2.1",
            "client_name": "unknown",
            "helo_name": "frïend",
            "sender": "a@example.com",
            "recipient": "b@example.org",
            "instance": "4711.0",
            "queue_id": "4XyZ",
            "node": "",
        }
        assert int(first.pop("mail")) == key_of(_decision())
        assert {name: value for name, value in first.items() if name != "id"} == expected

    @pytest.mark.parametrize(
        "sender", ["ü" * 2000, "🙂@example.org", "%s%(x)s:name?'\"\\"], ids=["long", "emoji", "signs"]
    )
    async def test_any_sender_is_kept_as_far_as_there_is_room(self, engine: Engine, sender: str) -> None:
        await engine.add_decisions([_decision(sender=sender)], {})
        (kept,) = await _decisions(engine)
        assert kept["sender"] == sender[:512]

    async def test_there_may_be_none(self, engine: Engine) -> None:
        await engine.add_decisions([], {})
        assert await _decisions(engine) == []

    async def test_counts_add_up_by_minute_and_hour(self, engine: Engine) -> None:
        hour = 3600 * 400_000
        minutes = {
            (hour // 60, "pass", "clean"): 2,
            (hour // 60 + 1, "pass", "clean"): 3,
            (hour // 60, "pass", "known"): 1,
        }
        await asyncio.gather(*(engine.add_decisions([], counts_per_span(minutes)) for _ in range(3)))
        assert await _counts(engine) == {
            Count(60, hour, "pass", "clean"): 6,
            Count(60, hour + 60, "pass", "clean"): 9,
            Count(60, hour, "pass", "known"): 3,
            Count(3600, hour, "pass", "clean"): 15,
            Count(3600, hour, "pass", "known"): 3,
        }


class TestMerging:
    async def test_a_transaction_may_have_new_and_stored_triplets_in_any_order(self, engine: Engine) -> None:
        """And one of them several times."""
        triplets = [_JANE._replace(client=f"192.0.{number}.0/24") for number in range(100)]
        await engine.transact(
            [Sighting(each, Status.GREYLISTED, _NOW - _DAY, _LIFETIMES) for each in triplets[::7]], []
        )
        sightings = [
            Sighting(
                each, Status(number % 3), _NOW - number * _DAY, _LIFETIMES, attempts=int(number == 30), cause="helo"
            )
            for number, each in enumerate([*triplets, *triplets[50:60], *triplets[:80:10]])
        ]
        expected = {each: Record(Status.GREYLISTED, _NOW - _DAY, _NOW - _DAY) for each in triplets[::7]}
        for sighting in sightings:
            expected[sighting.triplet] = merged(expected.get(sighting.triplet), sighting)
        assert (await engine.transact(sightings, triplets)).records == expected


class TestMarks:
    """A retry after an unknown outcome changes nothing."""

    async def test_attempts_are_added_once(self, engine: Engine) -> None:
        marks = Marks()
        early = [Sighting(_JANE, Status.GREYLISTED, _NOW, _LIFETIMES, 1)] * 3
        numbered = [marks.next() for _ in early]
        for upto in (1, 1, 3, 3):
            found = await engine.transact(early[:upto], [_JANE], numbered[:upto])
            assert found.records[_JANE].attempts == upto

    async def test_decisions_and_numbers_are_kept_once(self, engine: Engine) -> None:
        marks, minute = Marks(), int(_NOW.timestamp()) // 60
        numbers = counts_per_span({(minute, "pass", "clean"): 2, (minute - 100_000, "pass", "clean"): 1})
        for mark in (marks.next(), marks.next(), Marks().next()):
            for _ in range(2):
                await engine.add_decisions([_decision(), _decision()], numbers, mark)
        assert len(await _decisions(engine)) == 6
        assert await _counts(engine) == {count: 3 * number for count, number in numbers.items()}

    async def test_several_writers_at_once_do_not_disturb_each_other(self, engine: Engine, places: Places) -> None:
        minute = int(_NOW.timestamp()) // 60
        early = Sighting(_JANE, Status.GREYLISTED, _NOW, _LIFETIMES, 1)

        async def write(number: int) -> None:
            marks, other_marks = Marks(), Marks()
            for _ in range(5):
                mark, other = marks.next(), other_marks.next()
                for _ in range(2):
                    await engine.transact([early], [], [mark])
                    await engine.add_decisions(
                        [_decision()], counts_per_span({(minute, "pass", "clean"): number}), other
                    )

        await asyncio.gather(*(write(number) for number in range(4)))
        assert (await engine.transact([], [_JANE])).records[_JANE].attempts == 20
        assert len(await _decisions(engine)) == 20
        assert sum(number for count, number in (await _counts(engine)).items() if count.seconds == 60) == 30


@pytest.mark.parametrize(
    ("engine", "asked"),
    [("postgresql", "SHOW idle_in_transaction_session_timeout"), ("mariadb", "SELECT @@SESSION.wait_timeout")],
    indirect=["engine"],
)
async def test_a_server_ends_a_transaction_whose_client_has_gone(engine: SqlEngine, asked: str) -> None:
    """The network is cut without notice: its locks would block the next transaction."""
    (found,) = await _sql(engine, sa.text(asked))
    assert list(found.values()) in (["1min"], [60])


class TestRefusals:
    """Only a value that an engine never accepts is lost."""

    @pytest.mark.parametrize("sender", ["\ud800@example.org", "a\0b@example.org"], ids=["surrogate", "nul"])
    async def test_all_else_is_done_once(self, engine: Engine, sender: str) -> None:
        """With NUL too, which only PostgreSQL refuses."""
        marks, minute = Marks(), int(_NOW.timestamp()) // 60
        bad, numbers = _JANE._replace(sender=sender), counts_per_span({(minute, "pass", "clean"): 1})
        sightings = [Sighting(each, Status.GREYLISTED, _NOW, _LIFETIMES, 1) for each in (bad, _JANE)]
        numbered, mark = [marks.next(), marks.next()], Marks().next()
        errors: list[RefusedError] = []
        for _ in range(2):
            for asked in (
                engine.transact(sightings, [], numbered),
                engine.add_decisions([_decision(sender=sender), _decision()], numbers, mark),
                engine.unite([(bad, _record()), (_JANE._replace(client="other"), _record())], _NOW, _LIFETIMES),
                engine.transact([], [bad, _JANE]),
            ):
                try:
                    await asked
                except RefusedError as error:
                    errors.append(error)
        assert all(error.first.isprintable() and str(error).isprintable() for error in errors)
        assert (await engine.transact([], [_JANE])).records[_JANE].attempts == 1
        assert (await _counts(engine)) == numbers
        is_refused = sender.startswith("\ud800") or engine.place.startswith("pgsql")
        assert bool(errors) == is_refused
        assert len(await _decisions(engine)) == (1 if is_refused else 2)

    @pytest.mark.parametrize("engine", ["redis", "redis-cluster"], indirect=True)
    async def test_what_somebody_else_wrote_under_a_key_of_ours_does_no_harm(self, engine: RedisEngine) -> None:
        """A value of another type, or fields that are no numbers."""
        text, broken = _JANE._replace(recipient="text"), _JANE._replace(recipient="broken")
        minute = int(_NOW.timestamp()) // 60
        numbers = counts_per_span({(minute, "pass", "clean"): 1, (minute, "pass", "known"): 1})
        hour, start = counts_key(3600, minute * 60 // 3600 * 3600), minute * 60
        await engine._client.set(record_key(text), "x")
        await engine._client.hset(
            record_key(broken), mapping={"status": "0", "first_seen": "never", "attempts": "many"}
        )
        await engine._client.set(hour, "x")
        await engine._client.hset(counts_key(60, start), f"{start} pass clean", "one")

        triplets = [text, broken, _JANE]
        sightings = [Sighting(each, Status.CLEAN, _NOW, _LIFETIMES) for each in triplets]
        with pytest.raises(RefusedError) as caught:
            await engine.transact(sightings, triplets)
        assert [value for value, _ in caught.value.refused] == [sightings[0], text]
        assert caught.value.found.records == {each: Record(Status.CLEAN, _NOW, _NOW) for each in (broken, _JANE)}

        mark = Marks().next()
        with pytest.raises(RefusedError) as refused:
            await engine.add_decisions([_decision()], numbers, mark)
        in_hour = {count for count in numbers if count.seconds == 3600}
        assert {count for (count, _), _ in refused.value.refused} == {Count(60, start, "pass", "clean"), *in_hour}
        with pytest.raises(RefusedError):
            await engine.add_decisions([_decision()], numbers, mark)
        assert len(await _decisions(engine)) == 1
        assert await engine._client.hget(counts_key(60, start), f"{start} pass known") == b"1"

    @pytest.mark.parametrize("engine", ["redis", "redis-cluster"], indirect=True)
    async def test_nor_where_it_is_read(self, engine: RedisEngine) -> None:
        """By the dashboard, `bley export` and other commands."""
        text, minute = _JANE._replace(recipient="text"), int(_NOW.timestamp()) // 60
        start = minute * 60
        await engine.add_decisions([_decision()], counts_per_span({(minute, "pass", "known"): 1}))
        await engine.unite([(_JANE, _record())], _NOW, _LIFETIMES)
        for key in (record_key(text), "bley:t:one part", b"bley:t:\xff\na\nb", counts_key(60, start - 86400)):
            await engine._client.set(key, "x")
        await engine._client.hset(counts_key(60, start), mapping={"one": 1, f"{start} pass clean": "x", b"\xff a b": 1})
        await engine._client.xadd("bley:decisions", {"one": 1})
        await engine._client.xadd("bley:decisions", {"at": "x", "details": b"\xff"})
        history = RedisHistory(engine.place, engine._client)
        assert await _all(engine) == {_JANE: _record()}
        assert [
            triplet for triplet, _ in await history.records(RecordQuery(Search("jane@example.org", TripletRules())), 10)
        ] == [_JANE]
        assert (await history.find([text, _JANE])).records == {_JANE: _record()}
        (kept,) = await history.decisions(DecisionQuery(), 10)
        assert (await history.decision(kept.number)) == kept
        assert sum((await history.counts(PERIODS["24h"], _NOW)).values()) == 1
        assert (await history.waiting(_NOW - _DAY, 10)).number == 0

    @pytest.mark.parametrize("engine", ["redis"], indirect=True)
    async def test_decisions_are_read_in_a_thread(self, engine: RedisEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        """Otherwise parsing JSON would block the event loop for half a second."""
        threads: set[str] = set()

        def read(*arguments: Any) -> Any:
            threads.add(threading.current_thread().name)
            return stored_decision(*arguments)

        monkeypatch.setattr("bley.store.redis_history.stored_decision", read)
        await engine.add_decisions([_decision()] * 300, {})
        await engine.transact([Sighting(_JANE, Status.GREYLISTED, _NOW, _LIFETIMES)], [])
        assert (await RedisHistory(engine.place, engine._client).waiting(_NOW - _DAY, 10)).number == 1
        assert threads
        assert threading.main_thread().name not in threads

    @pytest.mark.parametrize("engine", ["redis", "redis-cluster"], indirect=True)
    async def test_a_key_that_scan_repeats_is_read_once(
        self, engine: RedisEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SCAN may do so when the table grows, or a slot moves."""
        records = [(_JANE._replace(recipient=str(number)), _record()) for number in range(1500)]
        await engine.unite(records, _NOW, _LIFETIMES)
        scan = engine._client.scan_iter

        async def repeating(**options: Any) -> AsyncIterator[bytes]:
            for _ in range(2):
                async for key in scan(**options):
                    yield key
                    yield key

        monkeypatch.setattr(engine._client, "scan_iter", repeating)
        assert await _all(engine) == dict(records)


class TestPurging:
    @pytest.mark.parametrize("engine", _SQL_ENGINES, indirect=True)
    async def test_greylisted_and_known_records_go_by_their_own_age(self, engine: Engine) -> None:
        ages = [1, 9, 10, 11, 39, 40, 41, 89, 90, 91, 399, 400, 401]
        records = {
            Triplet("c", status.name, str(age)): _record(status, age * _DAY) for status in Status for age in ages
        }
        await engine.unite(list(records.items()), _NOW, _LIFETIMES)
        purged = await engine.purge(_NOW, _LIFETIMES, 100)
        left = await _all(engine)
        assert left == {key: each for key, each in records.items() if not _LIFETIMES.are_over(each, _NOW)}
        assert purged == Purged(len(records) - len(left), 0, 0)

    @pytest.mark.parametrize("engine", _SQL_ENGINES, indirect=True)
    async def test_a_slice_is_no_larger_than_wanted(self, engine: Engine) -> None:
        old = [(Triplet("c", "s", str(number)), _record(ago=50 * _DAY)) for number in range(5)]
        await engine.unite(old, _NOW, _LIFETIMES)
        assert [(await engine.purge(_NOW, _LIFETIMES, 2)).records for _ in range(4)] == [2, 2, 1, 0]

    @pytest.mark.parametrize("engine", _SQL_ENGINES, indirect=True)
    async def test_decisions_and_counts_go_by_their_age(self, engine: Engine) -> None:
        await engine.add_decisions([_decision(_NOW - age * _DAY) for age in (31, 30, 29)], {})
        minute = int(_NOW.timestamp()) // 60
        await engine.add_decisions(
            [], counts_per_span({(minute - age * 1440, "pass", "clean"): 1 for age in (401, 9, 7)})
        )
        assert await engine.purge(_NOW, _LIFETIMES, 100) == Purged(0, 1, 3)
        assert [kept["at"] for kept in await _decisions(engine)] == [
            microseconds(_NOW - age * _DAY) for age in (30, 29)
        ]
        assert sorted(count.seconds for count in await _counts(engine)) == [60, 3600, 3600]

    async def test_each_past_day_keeps_the_domains_with_the_most_mail_that_passed(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then those with the most deferrals. The number of those that went is kept; today is not over."""
        for module in ("sql_purge", "redis_domain_counts"):
            monkeypatch.setattr(f"bley.store.{module}.STORED_DOMAINS", {"to": 2, "from": 3})
        today = int(_NOW.timestamp()) // 86400 * 86400
        days = today, today - 86400, today - 3 * 86400
        ranked = {"a": {"pass": 9}, "b": {"delay-300": 3}, "c": {"pass": 2, "dnsbl": 99}, "d": {"dnsbl": 50}}
        counts = {
            Count(86400, day, f"{side}-{event}", name): number
            for day in days
            for side in ("to", "from")
            for name, events in ranked.items()
            for event, number in events.items()
        }
        await engine.add_decisions([], counts | {Count(86400, days[1], "to-pass", "*"): 7})
        later = datetime.fromtimestamp(today, UTC) + timedelta(hours=2)
        for _ in range(2):
            while not (await engine.trim_domains(later, 1)).is_done:
                pass
        left = await _counts(engine)
        assert {count: number for count, number in left.items() if count.start == today} == {
            count: number for count, number in counts.items() if count.start == today
        }
        past = {count: number for count, number in left.items() if count.start == days[1]}
        assert {(count.kind, count.name): number for count, number in past.items()} == {
            ("to-pass", "a"): 9, ("to-delay-300", "b"): 3, ("to-cut", "*"): 2, ("to-pass", "*"): 7,
            ("from-pass", "a"): 9, ("from-delay-300", "b"): 3, ("from-pass", "c"): 2, ("from-dnsbl", "c"): 99,
            ("from-cut", "*"): 1,
        }  # fmt: skip
        assert len(left) == len(past) - 1 + len(past) + 10

    @pytest.mark.parametrize("engine", ["redis", "redis-cluster"], indirect=True)
    async def test_redis_forgets_by_itself(self, engine: RedisEngine) -> None:
        """Records expire by their status and age; a further sighting prolongs them."""
        soon = Lifetimes(greylisted=timedelta(milliseconds=300), known=_DAY)
        late = Triplet("c", "s", "late")
        await engine.transact(
            [Sighting(_JANE, Status.GREYLISTED, _NOW, soon), Sighting(late, Status.CLEAN, _NOW, soon)], []
        )
        async with asyncio.timeout(WAIT_SECONDS):
            while (await engine.transact([], [_JANE, late])).records.keys() != {late}:  # noqa: ASYNC110 (Redis has no event for it)
                await asyncio.sleep(0.05)
        await engine.unite([(_JANE, _record(ago=41 * _DAY))], _NOW, _LIFETIMES)
        assert (await engine.transact([], [_JANE])).records == {}

    @pytest.mark.parametrize("engine", ["redis", "redis-cluster"], indirect=True)
    async def test_redis_caps_the_stream(self, engine: RedisEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bley.store.redis.MAX_STREAM", 100)
        for _ in range(10):
            await engine.add_decisions([_decision()] * 100, {})
        assert 100 <= len(await _decisions(engine)) <= 200


class TestUniting:
    async def test_what_is_told_is_united_with_what_is_known(self, engine: Engine) -> None:
        one, other = _record(Status.GREYLISTED, 2 * _DAY, attempts=3), _record(Status.CLEAN, _DAY, attempts=1)
        await engine.unite([(_JANE, one)], _NOW, _LIFETIMES)
        await engine.unite([(_JANE, other)], _NOW, _LIFETIMES)
        assert (await engine.transact([], [_JANE])).records == {_JANE: united(one, other)}

    @pytest.mark.parametrize("other_cause", ["", "dnsbl", "dnsbl BL", "dnsbl b", "dnsbl bl.example", "helo"])
    @pytest.mark.parametrize("later", [-1, 0, 1])
    async def test_the_cause_is_that_of_the_earlier_first_attempt(
        self, engine: Engine, later: int, other_cause: str
    ) -> None:
        """Of two at one instant it is the greater text, by its bytes, whatever the collation of the server."""
        one = _record(Status.GREYLISTED)._replace(cause="dnsbl bl")
        other = one._replace(first_seen=one.first_seen + later * timedelta(microseconds=1), cause=other_cause)
        await engine.unite([(_JANE, one)], _NOW, _LIFETIMES)
        await engine.unite([(_JANE, other)], _NOW, _LIFETIMES)
        assert (await engine.transact([], [_JANE])).records == {_JANE: united(one, other)}

    async def test_the_longest_cause_is_stored(self, engine: Engine) -> None:
        record = _record(Status.GREYLISTED)._replace(cause="~" * LONGEST_CAUSE)
        await engine.unite([(_JANE, record)], _NOW, _LIFETIMES)
        assert await _all(engine) == {_JANE: record}

    async def test_a_record_of_an_older_bley_has_no_cause(self, engine: Engine) -> None:
        await engine.unite([(_JANE, _record(Status.GREYLISTED)._replace(cause="helo"))], _NOW, _LIFETIMES)
        if isinstance(engine, RedisEngine):
            await engine._client.hdel(record_key(_JANE), "cause")
        else:
            pytest.skip("the column has a default value: tests/unit/store/test_sql.py")
        assert await _all(engine) == {_JANE: _record(Status.GREYLISTED)}
        later = _record(Status.GREYLISTED, -_DAY)._replace(cause="helo")
        await engine.unite([(_JANE, later)], _NOW, _LIFETIMES)
        assert (await _all(engine))[_JANE].cause == ""

    async def test_twice_is_as_good_as_once(self, engine: Engine) -> None:
        records = [
            (Triplet("c", "s", str(number)), _record(Status.GREYLISTED, attempts=number)) for number in range(50)
        ]
        for _ in range(2):
            await engine.unite(records, _NOW, _LIFETIMES)
        assert await _all(engine) == dict(records)

    async def test_the_same_may_be_told_twice_at_once(self, engine: Engine) -> None:
        one, other = _record(ago=2 * _DAY), _record(Status.TRUSTED, _DAY)
        await engine.unite([(_JANE, one), (_JANE, other)], _NOW, _LIFETIMES)
        assert await _all(engine) == {_JANE: united(one, other)}

    async def test_all_records_are_told_in_portions(self, engine: Engine) -> None:
        """Also if parts of the key are equal, empty, or sorted otherwise than in Python."""
        parts = ["", "A", "a", "ä", "z", "ANY", "1", "10", "2"]
        records = {
            Triplet(c, s, f"{r}{n or ''}"): _record() for c in parts for s in parts for r in parts for n in range(3)
        }
        await engine.unite(list(records.items()), _NOW, _LIFETIMES)
        assert await _all(engine) == records

    async def test_what_comes_by_the_wire_is_kept_as_it_is(self, engine: Engine) -> None:
        """Two senders stay two, whatever bytes they contain, and none is refused."""
        rules = TripletRules()
        sent = [
            b"",
            b"a\rb",
            b"\xff",
            rb"\xff",
            rb"\x5cxff",
            b"a\\",
            b"%s'\"",
            b"\x01\x7f",
            b"a b",
            b"a\xc2\xa0b",
            b"7" * 600,
        ]
        sent += [
            text.encode() for text in ("ü" * 300, "\U0001f642" * 100, "\u2028\u202e", "a\u0308", "\u00e4", "\ufffe")
        ]
        records = {}
        for value in sent:
            parser = RequestParser()
            parser.feed(b"sender=" + value + b"@d\nrecipient=r" + value + b"@d\n\n")
            raw = parser.next_request()
            assert raw
            triplet = Triplet("c", rules.sender(raw.parse().sender), rules.recipient(raw.parse().recipient))
            records[triplet] = _record()
        assert len(records) == len(sent)
        await engine.unite(list(records.items()), _NOW, _LIFETIMES)
        assert await _all(engine) == records
        assert (await engine.transact([], list(records))).records == records
        lines = [header("off").encode(), *(line(*record).encode() for record in records.items())]
        assert dict(item for item in read_lines(lines, rules) if not isinstance(item, str)) == records


class TestNews:
    async def test_at_first_there_are_none(self, engine: Engine) -> None:
        assert await engine.remote_changes() == RemoteChanges(0, has_any=False)

    async def test_what_was_forgotten_is_gone_and_heard_of(self, engine: Engine) -> None:
        other = Triplet("c", "s", "r")
        await engine.unite([(_JANE, _record()), (other, _record())], _NOW, _LIFETIMES)
        await engine.forget([_JANE])
        assert await _all(engine) == {other: _record()}
        assert await engine.remote_changes() == RemoteChanges(1, has_any=False)
        await asyncio.gather(*(engine.forget([]) for _ in range(5)))
        assert (await engine.remote_changes()).forgotten == 6

    @pytest.mark.parametrize("kind", ENGINES)
    async def test_the_first_ones_to_forget_are_all_heard_at_once_too(self, kind: str, places: Places) -> None:
        """There is no row yet for which one of them could wait."""
        engines = [open_engine(places.place(kind)) for _ in range(5)]
        await engines[0].prepare()
        await asyncio.gather(*(engine.remote_changes() for engine in engines))  # all are connected
        await asyncio.gather(*(engine.forget([_JANE]) for engine in engines))
        assert (await engines[0].remote_changes()).forgotten == 5
        for engine in engines:
            await engine.close()

    async def test_records_for_any_sender_or_recipient_are_heard_of(self, engine: Engine) -> None:
        await engine.unite([(Triplet("192.0.2.0/24", ANY, ANY), _record())], _NOW, _LIFETIMES)
        assert await engine.remote_changes() == RemoteChanges(0, has_any=True)


class TestPreparing:
    @pytest.mark.parametrize("kind", ENGINES)
    async def test_many_may_prepare_at_once_and_again(self, kind: str, places: Places) -> None:
        engines = [open_engine(places.place(kind)) for _ in range(5)]
        for _ in range(2):
            await asyncio.gather(*(engine.prepare() for engine in engines))
        assert await _all(engines[0]) == {}
        await asyncio.gather(*(engine.close() for engine in engines))


@pytest.mark.parametrize("name", _SQL_ENGINES)
@pytest.mark.parametrize("renamed", [(), ("kind",), ("kind", "name")], ids=["all", "half", "none"])
async def test_the_counts_of_version_1_are_taken_with_other_names(
    name: str, renamed: tuple[str, ...], places: Places
) -> None:
    """Also if an upgrade was interrupted: MySQL renames columns outside of any transaction."""
    first = open_engine(places.place(name))
    await first.prepare()
    assert isinstance(first, SqlEngine)
    count = Count(60, 3600, "pass", "clean")
    await first.add_decisions([], {count: 7})

    def go_back(connection: sa.Connection) -> None:
        for new, old in (("kind", "outcome"), ("name", "reason")):
            if new not in renamed:
                connection.execute(sa.text(f"ALTER TABLE counts RENAME COLUMN {new} TO {old}"))
        connection.execute(sa.text("UPDATE meta SET value = 1 WHERE name = 'schema'"))

    await first._transactions.run(go_back)
    await first.close()
    second = open_engine(places.place(name))
    assert not await second.is_prepared()
    await second.prepare()
    assert await _counts(second) == {count: 7}
    await second.add_decisions([], {count: 1})
    assert await _counts(second) == {count: 8}
    await second.close()


@pytest.mark.parametrize("name", _SQL_ENGINES)
async def test_the_tables_of_version_2_are_upgraded_where_they_are(name: str, places: Places) -> None:
    """By several nodes at once; the rows stay."""
    first = open_engine(places.place(name))
    await first.prepare()
    assert isinstance(first, SqlEngine)
    count = Count(60, 3600, "pass", "clean")
    await first.add_decisions([_decision()], {count: 7})
    await first.unite([(_JANE, _record())], _NOW, _LIFETIMES)

    def go_back(connection: sa.Connection) -> None:
        connection.execute(sa.text("DROP TABLE writers"))
        connection.execute(sa.text("UPDATE meta SET value = 2 WHERE name = 'schema'"))

    await first._transactions.run(go_back)
    nodes = [first, *(open_engine(places.place(name)) for _ in range(2))]
    assert [await node.is_prepared() for node in nodes] == [False] * 3
    await asyncio.gather(*(node.prepare() for node in nodes))
    for _ in range(2):
        await nodes[1].add_decisions([_decision()], {count: 1}, Mark("writer", 1))
    assert await _counts(nodes[2]) == {count: 8}
    assert len(await _decisions(nodes[2])) == 2
    assert await _all(nodes[2]) == {_JANE: _record()}
    await asyncio.gather(*(node.close() for node in nodes))


@pytest.mark.parametrize("name", _SQL_ENGINES)
@pytest.mark.parametrize("is_interrupted", [False, True])
async def test_the_tables_of_version_4_get_columns_where_they_are(
    name: str, is_interrupted: bool, places: Places
) -> None:
    """Also if an upgrade was interrupted after its first change; counts then have names of 255 characters."""
    first = open_engine(places.place(name))
    await first.prepare()
    assert isinstance(first, SqlEngine)
    count = Count(60, 3600, "pass", "clean")
    await first.add_decisions([_decision()], {count: 7})
    await first.unite([(_JANE, _record())], _NOW, _LIFETIMES)
    changes = ["ALTER TABLE decisions DROP COLUMN node", "DROP TABLE audit"]
    if name == "sqlite":
        changes.insert(0, "DROP INDEX decisions_by_text")
    if name == "mariadb":
        changes.append("ALTER TABLE counts MODIFY name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL")
    if not is_interrupted:
        changes.append("ALTER TABLE triplets DROP COLUMN cause")

    def go_back(connection: sa.Connection) -> None:
        for change in [*changes, "UPDATE meta SET value = 4 WHERE name = 'schema'"]:
            connection.execute(sa.text(change))

    await first._transactions.run(go_back)
    await first.close()
    nodes = [open_engine(places.place(name)) for _ in range(2)]
    assert [await node.is_prepared() for node in nodes] == [False] * 2
    await asyncio.gather(*(node.prepare() for node in nodes))
    long = Count(60, 3600, "pass", "n" * 255)
    await nodes[0].add_decisions([_decision()], {long: 1})
    assert await _counts(nodes[1]) == {count: 7, long: 1}
    assert [row["node"] for row in await _decisions(nodes[1])] == ["", ""]
    assert await _all(nodes[1]) == {_JANE: _record()}
    await asyncio.gather(*(node.close() for node in nodes))
