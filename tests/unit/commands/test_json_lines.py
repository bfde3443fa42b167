"""Records as JSON lines: what is written is read again, what is none is told with its line."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bley import __version__
from bley.commands.json_lines import FormatError, header, line, read_lines
from bley.core.greylist import MAX_ATTEMPTS, Record, Status
from bley.core.mail import Triplet
from bley.core.triplet import ANY, LONGEST_PART, TripletRules
from tests.fakes import NOON

RULES = TripletRules()
PRIVATE = TripletRules(privacy_key=b"k" * 32)
TRIPLET = Triplet("192.0.2.0/24", "john@example.com", "jane@example.org")
RECORD = Record(Status.GREYLISTED, NOON, NOON + timedelta(minutes=5, microseconds=1), 3)


def _read(*lines: str, rules: TripletRules = RULES, privacy: str = "off") -> Iterator[tuple[Triplet, Record] | str]:
    return read_lines([f"{each}\n".encode() for each in (header(privacy), *lines)], rules)


def _line(**changes: object) -> str:
    values: dict[str, Any] = json.loads(line(TRIPLET, RECORD))
    return json.dumps({name: value for name, value in (values | changes).items() if value is not None})


def test_the_form() -> None:
    assert header("off") == f'{{"bley": "{__version__}", "format": 1, "privacy": "off"}}'
    assert line(TRIPLET, RECORD) == (
        '{"client": "192.0.2.0/24", "sender": "john@example.com", "recipient": "jane@example.org", '
        '"status": "greylisted", "first_seen": "2026-11-23T12:00:00+00:00", '
        '"last_seen": "2026-11-23T12:05:00.000001+00:00", "attempts": 3}'
    )


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize(
    "address", ["", "jane@example.org", "jürgen@example.org", "🙂@example.org", '"a\\"b"@d', "a\u2028\x1b@d", ANY]
)
def test_what_is_written_is_read(address: str, status: Status) -> None:
    """Each in one line, whatever it holds."""
    triplet, record = Triplet("c", address, address), Record(status, NOON, NOON, 1)
    text = line(triplet, record)
    assert text.isprintable()
    assert list(_read(text)) == [(triplet, record)]


def test_a_cause_is_written_where_there_is_one() -> None:
    """An older bley, whose files have none, reads the lines without one."""
    record = RECORD._replace(cause="dnsbl bl.example")
    text = line(TRIPLET, record)
    assert text.endswith('"attempts": 3, "cause": "dnsbl bl.example"}')
    assert list(_read(text)) == [(TRIPLET, record)]


def test_what_need_not_be_there() -> None:
    assert list(_read(_line(attempts=None))) == [(TRIPLET, Record(Status.GREYLISTED, NOON, RECORD.last_seen, 0))]


def test_instants_of_other_time_zones() -> None:
    ((_, record),) = [
        each for each in _read(_line(first_seen="2026-11-23T14:00:00+02:00")) if not isinstance(each, str)
    ]
    assert record.first_seen == NOON
    assert record.first_seen.utcoffset() == timedelta(0)


def test_parts_that_are_too_long_are_kept_as_the_daemon_would() -> None:
    address = f"{'x' * 300}@example.org"
    ((triplet, _),) = [each for each in _read(_line(recipient=address)) if not isinstance(each, str)]
    assert triplet.recipient == RULES.recipient(address)
    assert len(triplet.recipient) == LONGEST_PART


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[]", "Input should be an object"),
        (_line(client=None), "client: Field required"),
        (_line(cause="x" * 256), "cause: Value error, is not ASCII of at most 255 characters: write a reason"),
        (_line(cause="hël"), "cause: Value error, is not ASCII of at most 255 characters: write a reason"),
        (_line(cause="helo\n"), "cause: Value error, is not ASCII of at most 255 characters: write a reason"),
        (
            _line(status="known"),
            "status: Input should be 'greylisted', 'clean', 'trusted', 'new_pair', 'pair', 'client', ",
        ),
        (_line(first_seen="yesterday"), "first_seen: Input should be a valid datetime"),
        (_line(first_seen="2026-11-23T12:00:00"), "first_seen: Input should have timezone info"),
        (_line(last_seen="9999-12-31T23:59:59-23:00"), "last_seen: Value error, is outside the calendar"),
        (_line(attempts=-1), "attempts: Input should be greater than or equal to 0"),
        (_line(attempts=MAX_ATTEMPTS + 1), "attempts: Input should be less than or equal to 1000000"),
        (_line(sender=7), "sender: Input should be a valid string"),
        (_line(sender="a\nb"), "sender: String should match pattern"),
        (_line(recipient="a\0b"), "recipient: String should match pattern"),
        (_line(client=""), "client: Value error, is empty: write an address, a network or a domain"),
        (_line(client=" \t"), "client: Value error, is empty"),
        (_line(recipient="  "), "recipient: Value error, is blank: write a mail address"),
        (_line(recipient="\u00a0"), "recipient: Value error, is blank"),
        (_line(first_seen="2026-11-23T12:05:01+00:00"), "Value error, first_seen is after last_seen: exchange them"),
        (_line(first_seen="0000-01-01T00:00:00+00:00"), "first_seen: Input should be a valid datetime"),
        (_line(first_seen="0001-01-01T00:00:00+00:00"), "first_seen: Value error, is not between 1970 and 2200"),
        (_line(last_seen="9999-12-31T23:59:59+00:00"), "last_seen: Value error, is not between 1970 and 2200"),
        (_line(first_seen=1_795_000_000), "first_seen: Value error, is not an instant: write it as 2026"),
        (_line(first_seen="1795000000"), "first_seen: Value error, is not an instant"),
        (_line(first_seen=True), "first_seen: Value error, is not an instant: write it as 2026"),
        (_line(first_seen=float("nan")), "first_seen: "),
        (_line().replace('"attempts": 3', '"attempts": 1e400'), "attempts: Input should be a "),
        (_line(attempts=float("nan")), "attempts: Input should be a "),
        (_line(attempts=True), "attempts: Input should be a valid integer"),
        (_line(attempts="3"), "attempts: Input should be a valid integer"),
        (_line(attempts=1.5), "attempts: Input should be a valid integer"),
        (_line(more=1), "more: Extra inputs are not permitted"),
        (_line(**{"\x1b[2J\r": 1}), r"\x1b[2J\x0d: Extra inputs are not permitted"),
    ],
)
def test_a_line_that_is_none_is_told_and_the_others_are_read(text: str, why: str) -> None:
    first, told, last = _read(_line(), text, _line())
    assert first == last == (TRIPLET, RECORD)
    assert isinstance(told, str)
    assert told.startswith(f"line 3: {why}")


def test_bytes_that_are_no_text_are_told() -> None:
    lines = [header("off").encode(), b'{"client": "\xff"}', _line().encode()]
    told, record = read_lines(lines, RULES)
    assert isinstance(told, str)
    assert told.startswith("line 2: ")
    assert record == (TRIPLET, RECORD)


class TestHeader:
    @pytest.mark.parametrize("text", ["", "{}", "[]", "x", _line(), '{"bley": "3", "format": "1", "privacy": "off"}'])
    def test_what_is_no_such_file(self, text: str) -> None:
        with pytest.raises(FormatError) as caught:
            list(read_lines([f"{text}\n".encode()], RULES))
        assert str(caught.value) == "line 1 is not the first line of a file of `bley export`"

    def test_an_empty_file(self) -> None:
        with pytest.raises(FormatError, match="line 1 is not the first line"):
            list(read_lines([], RULES))

    def test_a_newer_format(self) -> None:
        with pytest.raises(FormatError) as caught:
            list(read_lines([b'{"bley": "4.0", "format": 2, "privacy": "off"}'], RULES))
        assert str(caught.value) == "has format 2, of bley 4.0; this bley reads format 1: upgrade bley"

    def test_what_a_file_says_of_itself_cannot_command_a_terminal(self) -> None:
        with pytest.raises(FormatError, match=r"of bley \\x1b\[2J;"):
            list(read_lines([b'{"bley": "\\u001b[2J", "format": 2, "privacy": "off"}'], RULES))


class TestPrivacy:
    def test_clear_addresses_are_hashed(self) -> None:
        kept = Triplet(TRIPLET.client, PRIVATE.sender(TRIPLET.sender), PRIVATE.recipient(TRIPLET.recipient))
        assert list(_read(_line(), rules=PRIVATE)) == [(kept, RECORD)]

    def test_what_stands_for_many_stays(self) -> None:
        kept = Triplet("c", f"{ANY}@example.com", ANY)
        assert list(_read(line(kept, RECORD), rules=PRIVATE)) == [(kept, RECORD)]

    def test_hashed_addresses_are_not_hashed_again(self) -> None:
        kept = Triplet("c", PRIVATE.sender("a@d"), PRIVATE.recipient("b@d"))
        assert list(_read(line(kept, RECORD), rules=PRIVATE, privacy="keyed-hash")) == [(kept, RECORD)]

    def test_without_a_key_hashed_addresses_are_refused(self) -> None:
        with pytest.raises(FormatError) as caught:
            list(_read(_line(), privacy="keyed-hash"))
        assert str(caught.value) == (
            "has hashed addresses: set privacy = keyed-hash here too, and copy its privacy_key_file"
        )
