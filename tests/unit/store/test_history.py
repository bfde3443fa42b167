"""The most recently seen of many records, and searches that reach their deadline."""

import random
from datetime import timedelta

from bley.core.greylist import Record, Status
from bley.core.history.record_query import RecordQuery
from bley.core.mail import Triplet
from bley.store.history import FirstRecords, PartialResult
from tests.fakes import NOON


def _record(number: int) -> tuple[Triplet, Record]:
    return Triplet("c", "s", f"{number}"), Record(Status.CLEAN, NOON, NOON + timedelta(seconds=number))


def test_the_last_seen_are_kept_in_whatever_order_they_come() -> None:
    numbers = list(range(5000))
    random.Random(4711).shuffle(numbers)
    latest = FirstRecords(RecordQuery(), 7)
    for start in range(0, 5000, 100):
        latest.add(map(_record, numbers[start : start + 100]))
    assert latest.found == [_record(number) for number in range(4999, 4992, -1)]


def test_a_record_that_comes_twice_is_one() -> None:
    latest = FirstRecords(RecordQuery(), 3)
    for _ in range(2):
        latest.add(map(_record, range(5)))
    assert latest.found == [_record(4), _record(3), _record(2)]


def test_what_is_unfinished_is_a_list_and_knows_where_to_go_on() -> None:
    assert PartialResult([1, 2], "7") == [1, 2]
    assert PartialResult([1, 2], "7").before == "7"
