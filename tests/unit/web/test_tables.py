"""Tables as CSV and JSON."""

import csv
import io
import json

import pytest

from bley.web.tables import Table, as_csv, as_json

TABLE = Table(("name", "number"), [("a, b", 1), ('say "x"', None), ("two\nlines", 0.5)])


def test_csv_has_a_head_and_quotes_what_needs_it() -> None:
    assert list(csv.reader(io.StringIO(as_csv(TABLE)))) == [
        ["name", "number"],
        ["a, b", "1"],
        ['say "x"', ""],
        ["two\nlines", "0.5"],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", "\n=1"])
def test_what_a_spreadsheet_would_compute_is_text(text: str) -> None:
    (cell,) = list(csv.reader(io.StringIO(as_csv(Table(("x",), [(text,)])), newline="")))[1]
    assert cell == f"'{text}"


def test_what_would_command_a_terminal_has_codes() -> None:
    assert as_csv(Table(("x",), [("a\x1b[2J\x9b\u202e@example.com",)])).splitlines()[1] == (
        "a\\x1b[2J\\x9b\\u202e@example.com"
    )


def test_numbers_stay_numbers() -> None:
    assert as_csv(Table(("x",), [(-1,)])).splitlines()[1] == "-1"


def test_json_is_a_list_of_objects() -> None:
    assert json.loads(as_json(TABLE))[0] == {"name": "a, b", "number": 1}
