"""A scan returns every row once, in order, in steps that examine a bounded number of rows."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, sqlite

from bley.store.dialects import Dialect
from bley.store.keyset import KeysetScan, ScanCursor
from bley.store.sqlite_dialect import Sqlite

METADATA = sa.MetaData()
TABLE = sa.Table(
    "t",
    METADATA,
    sa.Column("a", sa.Text, primary_key=True),
    sa.Column("b", sa.Text, primary_key=True),
    sa.Column("c", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer),
)
KEY = ("a", "b", "c")


class ComparesColumns(Sqlite):
    """SQLite with the comparison that MySQL needs."""

    compares_rows = False


SQLITE: sa.Dialect = sqlite.dialect()
DIALECTS = [Sqlite(""), ComparesColumns("")]


@pytest.fixture(scope="module")
def connection() -> Iterator[sa.Connection]:
    database = sa.create_engine("sqlite://")
    with database.connect() as connection:
        METADATA.create_all(connection)
        yield connection
    database.dispose()


def _read(connection: sa.Connection, scan: KeysetScan, most: int) -> tuple[list[Any], int]:
    """Return all rows, and the number of steps."""
    found: list[Any] = []
    cursor, steps = ScanCursor(width=3), 0
    while not cursor.is_done:
        rows, cursor = scan.step(connection, cursor, most)
        assert len(rows) <= most
        found += rows
        steps += 1
    return found, steps


def _scan(*conditions: sa.ColumnElement[bool], dialect: Dialect = DIALECTS[0], descending: bool = False) -> KeysetScan:
    return KeysetScan(TABLE, KEY, dialect, conditions, descending=descending)


def _fill(connection: sa.Connection, number: int) -> None:
    connection.execute(sa.delete(TABLE))
    rows = [{"a": f"{each:05}", "b": "", "c": "", "number": each} for each in range(number)]
    connection.execute(sa.insert(TABLE), rows)


@given(
    st.sets(st.tuples(*3 * [st.sampled_from(["", "a", "b", "ü"])]), max_size=40),
    st.integers(1, 10),
    st.booleans(),
    st.sampled_from(DIALECTS),
)
def test_every_row_that_meets_the_conditions_is_given_once(
    connection: sa.Connection, keys: set[tuple[str, str, str]], most: int, descending: bool, dialect: Dialect
) -> None:
    """With both forms of the comparison, and however many rows share the first column."""
    connection.execute(sa.delete(TABLE))
    if keys:
        connection.execute(sa.insert(TABLE), [{"a": a, "b": b, "c": c, "number": len(a + b + c)} for a, b, c in keys])
    scan = _scan(TABLE.c.number != 1, dialect=dialect, descending=descending)
    found, steps = _read(connection, scan, most)
    expected = sorted((key for key in keys if len("".join(key)) != 1), reverse=descending)
    assert [tuple(row)[:3] for row in found] == expected
    assert steps <= len(keys) + 1, "each but the last one reads a row that has not been read"


def test_rows_that_do_not_meet_the_conditions_cost_few_steps(connection: sa.Connection) -> None:
    """A step after the first one examines ten thousands."""
    _fill(connection, 5000)
    found, steps = _read(connection, _scan(TABLE.c.number == 4999), 100)
    assert [row.number for row in found] == [4999]
    assert steps <= 5


def test_a_step_is_one_statement_that_examines_a_bounded_number_of_rows(connection: sa.Connection) -> None:
    """It ends at a row that does not meet the conditions, after some 500; ten times as many are most unlikely."""
    _fill(connection, 20_000)
    rows, cursor = _scan(TABLE.c.number < 0).step(connection, ScanCursor(width=500), 50)
    assert (rows, cursor.is_done) == ([], False)
    assert cursor.after
    assert 50 <= int(cursor.after[0]) <= 5000
    assert len(_text(_scan(TABLE.c.number < 0))) == 1


def test_no_row_beyond_the_bounds_is_examined() -> None:
    """They are no alternative to milestones, which would be searched in the whole table."""
    scan = KeysetScan(TABLE, KEY, DIALECTS[0], [TABLE.c.number == 1], bounds=[TABLE.c.a >= "x"], descending=True)
    (statement,) = _text(scan)
    assert "AND t.a >= ? ORDER BY t.a DESC" in statement


def test_where_all_rows_are_meant_no_other_is_read() -> None:
    (statement,) = _text(_scan())
    assert "random" not in statement


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pages_have_all_rows_once(connection: sa.Connection, dialect: Dialect) -> None:
    connection.execute(sa.delete(TABLE))
    keys = [(a, b, c) for a in "ab" for b in "ab" for c in "abü"]
    connection.execute(sa.insert(TABLE), [{"a": a, "b": b, "c": c, "number": 0} for a, b, c in keys])
    scan, found, after = _scan(dialect=dialect), list[Any](), None
    while rows := scan.page(connection, after, 5):
        found += rows
        after = scan.key(rows[-1])
    assert [scan.key(row) for row in found] == sorted(keys)


def _text(scan: KeysetScan, dialect: sa.Dialect = SQLITE) -> Sequence[str]:
    """Return the statements of a step in the middle."""
    statements: list[str] = []

    class Recorder:
        def execute(self, statement: sa.Select[Any]) -> "Recorder":
            statements.append(" ".join(str(statement.compile(dialect=dialect)).split()))
            return self

        def all(self) -> list[Any]:
            return []

    scan.step(Recorder(), ScanCursor(("x", "y", "z")), 10)  # type: ignore[arg-type]
    return statements


def test_databases_are_asked_in_words_by_which_they_use_the_index() -> None:
    """MySQL uses no index for a comparison of rows."""
    (statement,) = _text(_scan())
    assert "WHERE (t.a, t.b, t.c) > (" in statement
    (statement,) = _text(_scan(dialect=DIALECTS[1]), mysql.dialect())
    assert "WHERE t.a > %s OR t.a = %s AND t.b > %s OR t.a = %s AND t.b = %s AND t.c > %s ORDER" in statement
