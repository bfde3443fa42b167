"""A scan returns every row once, in order, in steps that examine a bounded number of rows."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql

from bley.store.keyset import KeysetScan, ScanCursor

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


def _scan(*conditions: sa.ColumnElement[bool], descending: bool, compares_rows: bool = True) -> KeysetScan:
    return KeysetScan(TABLE, KEY, conditions, descending=descending, compares_rows=compares_rows)


@given(
    st.sets(st.tuples(*3 * [st.sampled_from(["", "a", "b", "ü"])]), max_size=40),
    st.integers(1, 10),
    st.booleans(),
    st.booleans(),
)
def test_every_row_that_meets_the_conditions_is_given_once(
    connection: sa.Connection, keys: set[tuple[str, str, str]], most: int, descending: bool, compares_rows: bool
) -> None:
    """With both forms of the comparison, and however many rows share the first column."""
    connection.execute(sa.delete(TABLE))
    if keys:
        connection.execute(sa.insert(TABLE), [{"a": a, "b": b, "c": c, "number": len(a + b + c)} for a, b, c in keys])
    scan = _scan(TABLE.c.number != 1, descending=descending, compares_rows=compares_rows)
    found, steps = _read(connection, scan, most)
    expected = sorted((key for key in keys if len("".join(key)) != 1), reverse=descending)
    assert [tuple(row)[:3] for row in found] == expected
    assert steps <= len(keys) + 3, "one without rows for each width: 3, 12 and 48"


def test_rows_that_do_not_meet_the_conditions_cost_few_steps(connection: sa.Connection) -> None:
    """The steps become wider, up to a limit."""
    connection.execute(sa.delete(TABLE))
    rows = [{"a": f"{number:05}", "b": "", "c": "", "number": number} for number in range(5000)]
    connection.execute(sa.insert(TABLE), rows)
    found, steps = _read(connection, _scan(TABLE.c.number == 4999, descending=False), 100)
    assert [row.number for row in found] == [4999]
    assert steps <= 8


@pytest.mark.parametrize("compares_rows", [True, False])
def test_pages_have_all_rows_once(connection: sa.Connection, compares_rows: bool) -> None:
    connection.execute(sa.delete(TABLE))
    keys = [(a, b, c) for a in "ab" for b in "ab" for c in "abü"]
    connection.execute(sa.insert(TABLE), [{"a": a, "b": b, "c": c, "number": 0} for a, b, c in keys])
    scan, found, after = _scan(descending=False, compares_rows=compares_rows), list[Any](), None
    while rows := scan.page(connection, after, 5):
        found += rows
        after = scan.key(rows[-1])
    assert [scan.key(row) for row in found] == sorted(keys)


def _text(scan: KeysetScan, dialect: sa.Dialect | None = None) -> Sequence[str]:
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
    for statement in _text(_scan(descending=False)):
        assert "WHERE (t.a, t.b, t.c) > (" in statement
    for statement in _text(_scan(descending=False, compares_rows=False), mysql.dialect()):
        assert "WHERE t.a > %s OR t.a = %s AND t.b > %s OR t.a = %s AND t.b = %s AND t.c > %s ORDER" in statement
