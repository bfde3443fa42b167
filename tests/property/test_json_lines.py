"""A request from the wire survives export and import: the same record of the same triplet."""

import re
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bley.commands.json_lines import header, line, read_lines
from bley.core.greylist import LONGEST_CAUSE, MAX_ATTEMPTS, Record, Status
from bley.core.mail import Triplet
from bley.core.triplet import TripletRules
from bley.log.decision_line import DecisionLog
from tests.unit.core.test_wire import parse_all

KEYS = (b"", b"k" * 32)

_bytes = st.binary(max_size=40) | st.lists(
    st.sampled_from(
        [b"\r", b"\xff", "ü".encode(), b"\\xff", b"\\XFF", b"\\x5c", b" ", b"+", b"@", b"a", b"\xe2\x80\xa8"]
    )
).map(b"".join)
_values = _bytes.map(lambda value: value.translate(None, b"\0\n"))
_instants = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
_CODE = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


@given(
    _values,
    _values,
    st.tuples(_instants, _instants).map(sorted),
    st.integers(0, MAX_ATTEMPTS),
    st.sampled_from(KEYS),
    st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=LONGEST_CAUSE),
)
@example(b"a\rb@d", b"\\xff@d", [datetime(2026, 1, 1, tzinfo=UTC)] * 2, 0, b"", "dnsbl bl.example")
def test_a_request_s_record_is_exported_and_imported(
    sender: bytes, recipient: bytes, seen: list[datetime], attempts: int, key: bytes, cause: str
) -> None:
    (request,), error = parse_all([b"sender=" + sender + b"\r\nrecipient=" + recipient + b"\r\n\r\n"])
    assert error is None
    rules = TripletRules(privacy_key=key)
    triplet = Triplet(
        rules.client(ip_address("192.0.2.1"), ""), rules.sender(request.sender), rules.recipient(request.recipient)
    )
    record = Record(Status.GREYLISTED, seen[0], seen[1], attempts, cause)
    head = header("keyed-hash", key) if key else header("off")
    written = f"{head}\n{line(triplet, record)}\n".encode()
    assert written.count(b"\n") == 2
    assert list(read_lines(written.splitlines(keepends=True), rules)) == [(triplet, record)]
    if not key:  # in clear, it is hashed in the same way as the request
        private = TripletRules(privacy_key=KEYS[1])
        (read,) = read_lines(written.splitlines(keepends=True), private)
        assert not isinstance(read, str)
        assert read[0].sender == private.sender(request.sender)


@given(_values.filter(lambda value: value.strip()), _values)
def test_a_line_of_the_log_gives_the_values_back(sender: bytes, instance: bytes) -> None:
    (request,), _ = parse_all([b"sender=" + sender + b"\r\ninstance=" + instance + b"\r\n\r\n"])
    told = DecisionLog(is_json=False, observes=False).known_line(request)
    assert told.isprintable()
    fields = dict(field.split("=", 1) for field in told.split(", "))
    assert _CODE.sub(lambda code: chr(int(code[1] or code[2] or code[3], 16)), fields["sender"]) == request.sender


@pytest.mark.parametrize("text", ["\\xff", "\\x0d", "\\x5cxff"])
def test_the_codes_of_the_wire_are_texts_like_others(text: str) -> None:
    """They are not decoded on the way."""
    triplet = Triplet("c", f"{text}@d", f"{text}@d")
    record = Record(Status.CLEAN, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    lines = [header("off").encode(), line(triplet, record).encode()]
    assert list(read_lines(lines, TripletRules())) == [(triplet, record)]
