"""What commands print, for people and for programs."""

import json
from datetime import datetime, timedelta, timezone

import pytest

from bley.commands.output import instant_document, print_document, print_steps, print_table, record_document
from bley.core.greylist import Record, Status
from bley.core.mail import Triplet
from tests.fakes import NOON


def test_a_document_is_read_back_and_all_but_ascii_is_written_as_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"helo_name": "bücher\x1b[31m\u2028", "score": None}
    print_document(document)
    printed = capsys.readouterr().out
    assert json.loads(printed) == document
    assert printed.isascii()
    assert printed.replace("\n", "").isprintable()


def test_steps_stand_in_columns_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    print_steps([("request", "from <a\x1b[31m\nb@example.com>"), ("", "and no name goes on"), ("verdict", "pass")])
    assert capsys.readouterr().out.splitlines() == [
        r"request     from <a\x1b[31m\x0ab@example.com>",
        "            and no name goes on",
        "verdict     pass",
    ]


def test_a_table_into_a_pipe_has_one_plain_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """However long, and with nothing in it that commands a terminal."""
    print_table(("name", "number"), [("a\x1b[31m\nb [bold]:smile:", "1"), ("x" * 300, "12")], right=("number",))
    shown = r"a\x1b[31m\x0ab [bold]:smile:"
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        f"{'name':<300}  number",
        f"{shown:<300}       1",
        f"{'x' * 300}      12",
    ]


@pytest.mark.parametrize("at", [NOON, NOON.astimezone(timezone(timedelta(hours=9)))])
def test_instants_are_in_utc(at: datetime) -> None:
    assert instant_document(at) == "2026-11-23T12:00:00+00:00"


def test_a_record_has_the_fields_of_an_export() -> None:
    record = Record(Status.GREYLISTED, NOON, NOON + timedelta(minutes=5), attempts=2, cause="helo")
    assert record_document(Triplet("192.0.2.0/24", "a@example.com", "b@example.org"), record) == {
        "client": "192.0.2.0/24",
        "sender": "a@example.com",
        "recipient": "b@example.org",
        "status": "greylisted",
        "first_seen": "2026-11-23T12:00:00+00:00",
        "last_seen": "2026-11-23T12:05:00+00:00",
        "attempts": 2,
        "cause": "helo",
    }
