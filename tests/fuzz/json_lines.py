"""json_lines: a line of an import is refused with a message, or is a record whose export and import give it again."""

import json
from datetime import UTC

from bley.commands.json_lines import FormatError, header, line, read_lines
from bley.core.imported_record import is_any
from bley.core.triplet import LONGEST_PART, TripletRules
from tests.fuzz.harness import Harness
from tests.step_time import in_time

_RULES = (TripletRules(), TripletRules(privacy_key=b"k" * 32))


def check(data: bytes) -> None:
    """Check a file, first as it is, then after a valid first line."""
    lines = data.splitlines(keepends=True)
    for rules in _RULES:
        _check_file(lines, rules)
        for privacy in ("off", "keyed-hash") if rules.privacy_key else ("off",):
            _check_file([header(privacy).encode(), *lines], rules)


def _check_file(lines: list[bytes], rules: TripletRules) -> None:
    try:
        read = in_time(lambda: list(read_lines(lines, rules)))
    except FormatError as error:
        _check_printable(str(error))
        return
    assert len(read) == max(len(lines) - 1, 0), "lines are lost"
    for number, item in enumerate(read, start=2):
        if isinstance(item, str):
            assert item.startswith(f"line {number}: "), "a fault without its line"
            _check_printable(item)
            continue
        triplet, record = item
        assert triplet.client, "no client"
        assert triplet.recipient or not json.loads(lines[number - 1])["recipient"], "a recipient of blanks"
        for part in triplet:
            assert len(part.encode()) <= LONGEST_PART, "too long for an engine"
            assert part == part.strip(), "white space around it"
            assert not any(mark in part for mark in "\0\r\n"), "what no engine keeps"
        assert record.first_seen <= record.last_seen, "seen last before it was seen first"
        assert record.first_seen.tzinfo is UTC, "another time zone"
        privacy = "keyed-hash" if rules.privacy_key else "off"
        again = list(read_lines([header(privacy).encode(), line(triplet, record).encode()], rules))
        assert again == [item], f"exported and imported, {item} is {again}"
        assert is_any(triplet.sender) or not rules.privacy_key or "jane" not in triplet.sender, "a local part in clear"


def _check_printable(fault: str) -> None:
    assert fault.isprintable(), "a fault that a terminal would take for a command"


def _line(**values: object) -> bytes:
    record = {
        "client": "192.0.2.0/24",
        "sender": "a@example.com",
        "recipient": "b@example.org",
        "status": "clean",
        "first_seen": "2026-11-24T12:00:00+00:00",
        "last_seen": "2026-11-24T12:05:00+00:00",
        "attempts": 0,
    }
    return json.dumps(record | values).encode() + b"\n"


HARNESS = Harness(
    check,
    seeds=[
        header("off").encode() + b"\n" + _line() + _line(status="trusted", attempts=5),
        header("keyed-hash").encode() + b"\n" + _line(sender="00112233445566778899aabbccddeeff@example.com"),
        b'{"bley": "9.0.0", "format": 2, "privacy": "off"}\n',
        _line(sender="", recipient="ANY") + _line(sender="ANY@example.com"),
        _line(attempts=-1) + _line(first_seen="0001-01-01T00:00:00+23:59") + _line(extra=1) + b"\n{}\n[]\nnull\n\xff\n",
        _line(client="x" * 300) + _line(sender="y" * 300 + "@d"),
    ],
    finds={
        "no client": _line(client=""),
        "a client of blanks": _line(client=" \u2003"),
        "a recipient of blanks": _line(recipient="  "),
        "seen first after it was seen last": _line(first_seen="2026-11-24T12:06:00+00:00"),
        "an escape sequence in a fault": _line(status="\x1b[2J") + b'{"\\u001b[2J": 1}\n',
        "an escape sequence in the name of a field": _line(**{"\x1b[2J": 0}),
        "an escape sequence in the version": b'{"bley": "\\u001b[2J", "format": 2, "privacy": "off"}\n',
    },
    words=[b'"', b"\\u0000", b"\\r", b"\\ud800", b"2026-11-24T12:00:00", b"Z", b'"client": ', b'"sender": ', b"ANY"],
)
