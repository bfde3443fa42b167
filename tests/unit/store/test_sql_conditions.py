"""The SQL of a search; tests/property/test_history.py tests that no match is left out."""

import operator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from bley.core.history import conditions
from bley.core.history.search import DecisionQuery, Search
from bley.core.triplet import LONGEST_PART, TripletRules
from bley.store import sql_conditions as sql_conditions_module
from bley.store.sql_conditions import sql_conditions, text_conditions
from bley.store.sql_schema import decisions, triplets

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
        *sql_conditions(decisions, DecisionQuery(Search(text, RULES)).clauses),
        *sql_conditions(triplets, [Search(text, RULES).record_clause]),
    ):
        assert words in _sql(condition, dialect)


def test_a_recipient_beyond_ascii_passes_too() -> None:
    (condition,) = sql_conditions(decisions, DecisionQuery(recipients=frozenset(["jürgen@example.com"])).clauses)
    assert "char_length" in _sql(condition, POSTGRESQL)


def test_an_empty_domain_needs_no_search() -> None:
    (record,) = sql_conditions(triplets, [Search(".", RULES).record_clause])
    assert _sql(record, POSTGRESQL) == "false"
    (decision,) = sql_conditions(decisions, DecisionQuery(Search("@", RULES)).clauses)
    assert "LIKE" not in _sql(decision, POSTGRESQL)


def test_a_long_address_may_have_been_cut() -> None:
    (condition,) = sql_conditions(triplets, [Search("x" * LONGEST_PART + "@example.com", RULES).record_clause])
    assert "true" in _sql(condition, POSTGRESQL)


def test_a_search_by_text_has_no_other_condition() -> None:
    """Instants have their own index; what may be in several columns may be anywhere in the text."""
    clauses = DecisionQuery(Search("example.com", RULES), frozenset(["helo"]), since=datetime.now(UTC)).clauses
    assert len(clauses) == 3
    by_text = [_sql(condition, sqlite.dialect()) for condition in text_conditions(clauses)]
    assert [text.count(" LIKE ") for text in by_text] == [1, 1]
    assert all(
        text.startswith("CASE WHEN length(CAST(client_name AS BLOB)) = ") and "IS NULL OR" in text for text in by_text
    )


def test_every_test_of_a_text_has_patterns() -> None:
    """Otherwise a search with this test would read the whole table."""
    assert set(sql_conditions_module._PATTERNS) == set(sql_conditions_module._SQL) - {operator.ge, operator.lt}


def test_every_test_of_a_column_has_its_sql() -> None:
    """Otherwise a search with this test would fail."""
    tests = {value for value in vars(conditions).values() if callable(value) and value.__name__ in conditions.__all__}
    tests -= {conditions.Condition, conditions.MailForms, conditions.fits_all}
    tests -= {conditions.named_domain, conditions.named_network}
    assert tests == set(sql_conditions_module._SQL) - {operator.eq, operator.ge, operator.lt}
