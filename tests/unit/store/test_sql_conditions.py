"""What a search is in SQL; that nothing meant is left out, tests/property/test_history.py tries."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from bley.core.history.search import DecisionQuery, Search
from bley.core.triplet import LONGEST_PART, TripletRules
from bley.store.sql_conditions import decision_conditions, record_conditions

RULES = TripletRules()
_untyped: Any = postgresql.dialect
POSTGRESQL: sa.Dialect = _untyped()


def _sql(condition: sa.ColumnElement[bool], dialect: sa.Dialect) -> str:
    return str(condition.compile(dialect=dialect))


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        (sqlite.dialect(), "AS BLOB)) <> length("),
        (POSTGRESQL, "octet_length("),
        (mysql.dialect(), ") <> char_length("),
    ],
)
@pytest.mark.parametrize("text", ["jane@example.com", "example.com", "MÜNCHEN.example"])
def test_what_is_not_ascii_always_passes(dialect: sa.Dialect, words: str, text: str) -> None:
    for condition in (
        *decision_conditions(DecisionQuery(Search(text, RULES))),
        *record_conditions(Search(text, RULES)),
    ):
        assert words in _sql(condition, dialect)


def test_a_recipient_beyond_ascii_passes_too() -> None:
    (condition,) = decision_conditions(DecisionQuery(recipients=frozenset(["jürgen@example.com"])))
    assert "char_length" in _sql(condition, POSTGRESQL)


def test_an_empty_domain_needs_no_search() -> None:
    (records,) = record_conditions(Search(".", RULES))
    assert _sql(records, POSTGRESQL) == "false"
    (decisions,) = decision_conditions(DecisionQuery(Search("@", RULES)))
    assert "LIKE" not in _sql(decisions, POSTGRESQL)


def test_a_long_address_may_have_been_cut() -> None:
    (condition,) = record_conditions(Search("x" * LONGEST_PART + "@example.com", RULES))
    assert "true" in _sql(condition, POSTGRESQL)
