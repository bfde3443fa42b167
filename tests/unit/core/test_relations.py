"""What does earlier mail say of a stranger?"""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bley.core.greylist import Lifetimes, Record, Status, Timing
from bley.core.mail import Triplet
from bley.core.reasons import Reason
from bley.core.relations import (
    NO_KEYS,
    Relation,
    RelationRules,
    correspondent_key,
    find_relation,
    find_waited,
    is_relation,
    make_keys,
    status_of_pair,
)
from tests.fakes import NOON

RULES, TIMING = RelationRules(), Timing()
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SENDER, RECIPIENT = "a@example.com", "b@example.org"
KEYS = make_keys("example.net", "example.com", SENDER, RECIPIENT, RULES)
PAIR, CLIENT = Triplet("example.net", "@example.com", ""), Triplet("example.net", "", "")
POOL, CORRESPONDENT = Triplet("pool", SENDER, RECIPIENT), Triplet("correspondent", SENDER, RECIPIENT)


class TestKeys:
    def test_each_kind_has_its_own(self) -> None:
        assert KEYS == (PAIR, CLIENT, POOL, CORRESPONDENT)
        assert correspondent_key(SENDER, RECIPIENT) == CORRESPONDENT

    def test_mail_without_an_origin_has_no_relation(self) -> None:
        assert make_keys("", "example.com", SENDER, RECIPIENT, RULES) == NO_KEYS

    def test_the_null_sender_has_that_of_its_client_only(self) -> None:
        assert make_keys("example.net", "", "", RECIPIENT, RULES) == NO_KEYS._replace(client=CLIENT)

    @pytest.mark.parametrize(
        ("rules", "missing"),
        [
            (RULES._replace(known_pairs=False), "pair"),
            (RULES._replace(auto_known=0), "client"),
            (RULES._replace(known_by_spf=False), "pool"),
            (RULES._replace(correspondents=timedelta(0)), "correspondent"),
        ],
    )
    def test_a_setting_switches_each_off(self, rules: RelationRules, missing: str) -> None:
        keys = make_keys("example.net", "example.com", SENDER, RECIPIENT, rules)
        assert [name for name, key in keys._asdict().items() if key is None] == [missing]

    def test_a_domain_may_be_too_long_to_store(self) -> None:
        keys = make_keys("example.net", "x" * 300, "a@" + "x" * 300, RECIPIENT, RULES)
        assert keys.pair
        assert len(keys.pair.sender.encode()) <= 255


@pytest.mark.parametrize(
    ("status", "expected"), [(Status.CLEAN, False), (Status.GREYLISTED, False), (Status.POOL, True)]
)
def test_the_status_shows_a_relation(status: Status, *, expected: bool) -> None:
    assert is_relation(Record(status, NOON, NOON)) is expected


class TestPair:
    @pytest.mark.parametrize(
        ("status", "last", "is_known"),
        [
            pytest.param(Status.PAIR, DAY, True, id="it is known"),
            pytest.param(Status.PAIR, 399 * DAY, True, id="for a year"),
            pytest.param(Status.PAIR, 401 * DAY, False, id="it has expired"),
            pytest.param(Status.NEW_PAIR, DAY, False, id="it is new"),
        ],
    )
    def test_it_is_known_for_some_time(self, status: Status, last: timedelta, *, is_known: bool) -> None:
        record = Record(status, NOON - 500 * DAY, NOON - last)
        relation = find_relation(KEYS, {PAIR: record}, RULES, TIMING, NOON)
        assert relation == (Relation(Reason.KNOWN_PAIR, PAIR, record) if is_known else None)

    @pytest.mark.parametrize(
        ("record", "status"),
        [
            pytest.param(None, Status.NEW_PAIR, id="its first mail"),
            pytest.param(Record(Status.NEW_PAIR, NOON - 12 * HOUR, NOON), Status.NEW_PAIR, id="twelve hours later"),
            pytest.param(Record(Status.NEW_PAIR, NOON - 20 * HOUR, NOON - 20 * HOUR), Status.PAIR, id="another day"),
            pytest.param(Record(Status.PAIR, NOON, NOON), Status.PAIR, id="it stays"),
        ],
    )
    def test_it_becomes_known_when_it_comes_on_another_day(self, record: Record | None, status: Status) -> None:
        assert status_of_pair(PAIR, {PAIR: record} if record else {}, NOON) is status

    def test_it_becomes_known_when_it_waited(self) -> None:
        """Its retry shows a server, whenever it came first."""
        assert status_of_pair(PAIR, {}, NOON, waited=True) is Status.PAIR

    @pytest.mark.parametrize(
        ("first", "is_known"),
        [
            pytest.param(NOON - 13 * HOUR, True, id="an evening"),
            pytest.param(NOON - 12 * HOUR, False, id="the same day"),
            pytest.param(NOON, False, id="now"),
        ],
    )
    def test_it_holds_on_another_day(self, first: datetime, *, is_known: bool) -> None:
        record = Record(Status.PAIR, first, NOON)
        assert (find_relation(KEYS, {PAIR: record}, RULES, TIMING, NOON) is not None) is is_known

    def test_a_night_is_between_two_days(self) -> None:
        """A run of spam around midnight is of one day."""
        midnight, record = NOON + 12 * HOUR, Record(Status.PAIR, NOON + 11 * HOUR, NOON + 11 * HOUR)
        assert find_relation(KEYS, {PAIR: record}, RULES, TIMING, midnight + 6 * HOUR) is None
        assert find_relation(KEYS, {PAIR: record}, RULES, TIMING, midnight + 7 * HOUR)

    def test_it_may_stand_under_a_domain_of_the_network(self) -> None:
        keys = make_keys("192.0.2.0/24", "example.com", SENDER, RECIPIENT, RULES)
        record = Record(Status.PAIR, NOON - 2 * DAY, NOON)
        assert find_relation(keys, {PAIR: record}, RULES, TIMING, NOON)

    def test_it_is_described(self) -> None:
        relation = Relation(Reason.KNOWN_PAIR, PAIR, Record(Status.PAIR, NOON - 2 * DAY, NOON))
        assert relation.says == (
            "mail of example.com came from example.net and passed, first on 2026-11-21, last on 2026-11-23"
        )


class TestClient:
    @pytest.mark.parametrize(
        ("attempts", "last", "is_known"),
        [(5, DAY, True), (4, DAY, False), (5, 41 * DAY, False), (1000, 39 * DAY, True)],
    )
    def test_it_is_known_when_enough_came_back(self, attempts: int, last: timedelta, *, is_known: bool) -> None:
        record = Record(Status.CLIENT, NOON - 50 * DAY, NOON - last, attempts)
        relation = find_relation(KEYS, {CLIENT: record}, RULES, TIMING, NOON)
        assert relation == (Relation(Reason.KNOWN_CLIENT, CLIENT, record) if is_known else None)

    def test_another_domain_of_the_network_is_another_client(self) -> None:
        keys = make_keys("192.0.2.0/24", "example.com", SENDER, RECIPIENT, RULES)
        assert find_relation(keys, {CLIENT: Record(Status.CLIENT, NOON, NOON, 9)}, RULES, TIMING, NOON) is None

    def test_it_is_described(self) -> None:
        relation = Relation(Reason.KNOWN_CLIENT, CLIENT, Record(Status.CLIENT, NOON - DAY, NOON, 7))
        assert relation.says == "7 deferrals of example.net came back, the first on 2026-11-22"


class TestCorrespondent:
    @pytest.mark.parametrize(("last", "is_known"), [(DAY, True), (89 * DAY, True), (91 * DAY, False)])
    def test_it_is_known_for_some_time(self, last: timedelta, *, is_known: bool) -> None:
        record = Record(Status.CORRESPONDENT, NOON - 99 * DAY, NOON - last)
        relation = find_relation(KEYS, {CORRESPONDENT: record}, RULES, TIMING, NOON)
        assert relation == (Relation(Reason.CORRESPONDENT, CORRESPONDENT, record) if is_known else None)

    def test_it_is_described(self) -> None:
        relation = Relation(Reason.CORRESPONDENT, CORRESPONDENT, Record(Status.CORRESPONDENT, NOON, NOON))
        assert relation.says == "<b@example.org> wrote to <a@example.com>, last on 2026-11-23"


class TestPool:
    @pytest.mark.parametrize(
        ("first", "cause", "is_found"),
        [
            pytest.param(6 * MINUTE, "192.0.2.1", True, id="the wait is over"),
            pytest.param(4 * MINUTE, "192.0.2.1", False, id="it is not"),
            pytest.param(6 * MINUTE, "198.51.100.7", False, id="the same client"),
            pytest.param(6 * MINUTE, "", False, id="it is unknown which client"),
            pytest.param(11 * DAY, "192.0.2.1", False, id="too long ago"),
        ],
    )
    def test_mail_that_waited_under_another_client(self, first: timedelta, cause: str, *, is_found: bool) -> None:
        record = Record(Status.POOL, NOON - first, NOON - first, 0, cause)
        relation = find_waited(KEYS, {POOL: record}, "198.51.100.7", TIMING, NOON)
        assert relation == (Relation(Reason.KNOWN_BY_SPF, POOL, record) if is_found else None)
        assert find_relation(KEYS, {POOL: record}, RULES, TIMING, NOON) is None, "SPF is queried first"

    def test_without_a_key_there_is_none(self) -> None:
        assert find_waited(NO_KEYS, {}, "198.51.100.7", TIMING, NOON) is None

    def test_it_is_described(self) -> None:
        relation = Relation(Reason.KNOWN_BY_SPF, POOL, Record(Status.POOL, NOON, NOON, 0, "192.0.2.1"))
        assert relation.says == "the mail was deferred from 192.0.2.1 on 2026-11-23, and SPF permits both clients"


def test_a_correspondent_outlives_a_known_triplet() -> None:
    lifetimes = replace(Lifetimes(), correspondents=90 * DAY)
    assert [lifetimes.of(status) / DAY for status in Status] == [10, 40, 40, 40, 400, 40, 90, 10]
