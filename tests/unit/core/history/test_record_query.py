"""A query for records selects by all of its filters, and sorts the greatest first."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bley.core.greylist import Record, Status
from bley.core.history.conditions import fits_all
from bley.core.history.record_filter import RecordFilter
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import Search
from bley.core.mail import Triplet
from bley.core.triplet import TripletRules
from tests.fakes import NOON

RULES = TripletRules()
HOUR = timedelta(hours=1)
TRIPLET = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")
RECORD = Record(Status.GREYLISTED, NOON - HOUR, NOON, 3)


def _forms(*texts: str | None) -> list[RecordFilter]:
    wanted = RecordFilter(*texts)
    return [wanted.normalised(RULES), wanted.folded]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({}, True),
        ({"filters": _forms("192.0.2.7", "JOHN+x@example.com", None)}, True),
        ({"filters": _forms("192.0.2.7", "jane@example.com", None)}, False),
        ({"search": Search("example.org", RULES)}, True),
        ({"search": Search("example.net", RULES)}, False),
        ({"statuses": frozenset([Status.GREYLISTED, Status.CLEAN])}, True),
        ({"statuses": frozenset([Status.CLEAN])}, False),
        ({"since": NOON}, True),
        ({"since": NOON + HOUR}, False),
        ({"until": NOON}, False),
        ({"until": NOON + HOUR}, True),
        ({"filters": _forms(None, None, "example.org"), "statuses": frozenset([Status.TRUSTED])}, False),
    ],
)
def test_a_record_must_meet_every_filter(filters: dict[str, Any], fits: bool) -> None:
    assert RecordQuery(**filters).fits(TRIPLET, RECORD) is fits


@pytest.mark.parametrize("triplet", [TRIPLET, Triplet("example.com", "", "x@example.net")])
@pytest.mark.parametrize("filters", [_forms("192.0.0.0/16", None, "example.org"), _forms(None, "<>", None), []])
def test_its_clauses_let_each_matching_record_through(triplet: Triplet, filters: list[RecordFilter]) -> None:
    """The clauses of triplets and of records are for one row, as a SQL database has it."""
    query = RecordQuery(filters=filters)
    row = SimpleNamespace(**triplet._asdict(), **RECORD._asdict())
    assert fits_all(row, query.clauses) or not query.fits(triplet, RECORD)


def test_relations_are_found_by_their_statuses_only() -> None:
    record = RECORD._replace(status=Status.PAIR)
    assert not RecordQuery().fits(TRIPLET, record)
    assert RecordQuery(statuses=frozenset([Status.PAIR])).fits(TRIPLET, record)


def test_the_order_is_by_one_field() -> None:
    assert RecordQuery().rank(RECORD) == NOON
    assert RecordQuery(order="first_seen").rank(RECORD) == NOON - HOUR
    assert RecordQuery(order="attempts").rank(RECORD) == 3
