"""The parser yields requests, a ProtocolError, or nothing yet, however the bytes are cut."""

import re
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from bley.core.mail import Request
from bley.core.wire import MAX_ATTRIBUTES, MAX_REQUEST_BYTES, RequestParser, encode_request
from tests.fuzz import wire
from tests.unit.core.test_wire import POSTFIX_EXAMPLE, parse_all

_USED = list(Request._fields)

plain = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=40)
values = plain.filter(lambda value: not re.search(r"(?i)\\x[0-9a-f]{2}", value))
names = st.sampled_from(_USED) | st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="="), min_size=1, max_size=20
).filter(lambda name: name != "request")
blocks = st.dictionaries(names, values, max_size=MAX_ATTRIBUTES - 1)
cuts = st.lists(st.integers(min_value=0, max_value=400), max_size=10)

pieces = st.sampled_from(
    [
        *(b"\n", b"\n\n", b"\r\n", b"\r", b"\0", b"=", b"a", b"a=b", b"a=b\n", b"\xff", b"\xc3", "ü".encode()),
        *(b"request=", b"request=smtpd_access_policy\n", b"sender=a@d\n\n", b"client_address=192.0.2.1\r\n"),
        *(POSTFIX_EXAMPLE, b"a=" + b"x" * (MAX_REQUEST_BYTES - 2), b"a=b\n" * MAX_ATTRIBUTES),
    ]
)


def _cut(data: bytes, positions: Iterable[int]) -> list[bytes]:
    """Cut `data` at these positions, modulo its length."""
    marks = sorted({0, len(data), *(position % (len(data) + 1) for position in positions)})
    return [data[begin:end] for begin, end in pairwise(marks)]


def _encode(block: dict[str, str], end: str) -> bytes:
    return "".join(f"{name}={value}{end}" for name, value in block.items()).encode() + end.encode()


def _request(block: dict[str, str]) -> Request:
    return Request(**{name: value for name, value in block.items() if name in _USED})


@given(st.lists(st.tuples(blocks, st.sampled_from(["\n", "\r\n"])), max_size=5), cuts)
def test_valid_stream(requests: list[tuple[dict[str, str], str]], positions: list[int]) -> None:
    """Every request is parsed to itself, in order, wherever the network cut the stream."""
    data = b"".join(_encode(block, end) for block, end in requests)
    expected = [_request(block) for block, _ in requests]
    assert parse_all(_cut(data, positions)) == (expected, None)


@given(blocks, st.lists(values, min_size=1, max_size=5))
def test_requests_alike(block: dict[str, str], senders: list[str]) -> None:
    """A peer that always sends the same attributes gets the same results as on its first request."""
    parser = RequestParser()
    for sender in ["", "", *senders]:
        data = _encode(block | {"sender": sender}, "\n")
        parser.feed(data)
        expected = parser.next_request()
        assert expected
        assert expected.parse() == _request(block | {"sender": sender})
        assert parser.parse_one(data) in (None, expected)
    assert parser.parse_one(data) == expected


@given(st.binary(max_size=200) | st.lists(pieces, max_size=8).map(b"".join), cuts)
@example(b"s\xff=a@d\n\n", [6])
@example(b"a=b\n\rx=c\n\n", [5])
def test_any_bytes(data: bytes, positions: list[int]) -> None:
    """The requests and the error, if any, are the same in one piece, cut anywhere, and byte by byte."""
    requests, error = parse_all([data])
    ways = [_cut(data, positions)] + ([_cut(data, range(len(data)))] if len(data) < 1000 else [])
    for chunks in ways:
        requests_of_cut, error_of_cut = parse_all(chunks)
        assert requests_of_cut == requests
        assert (error_of_cut is None) == (error is None)


sent = st.lists(
    st.sampled_from([b"\r", b"\xff", b"\xc3", "ü".encode(), b"\\", b"x", b"X", b"ff", b"5c", b"0d", b"a", b" "]),
    max_size=8,
).map(b"".join)


@given(sent, sent)
def test_any_bytes_of_a_value_survive(one: bytes, other: bytes) -> None:
    """They are distinct, are sent again unchanged, and have no line end."""
    first, second = (_sender(b"sender=" + value + b"\r\n\n") for value in (one, other))
    assert (first == second) == (one == other)
    assert (
        encode_request(Request(sender=first))
        == encode_request(Request()).removesuffix(b"\n")
        + (b"sender=" + one + (b"\r\n" if one.endswith(b"\r") else b"\n") if one else b"")
        + b"\n"
    )
    assert _sender(encode_request(Request(sender=first))) == first
    assert not set(first) & set("\0\r\n")


def _sender(data: bytes) -> str:
    requests, error = parse_all([data])
    assert error is None
    (request,) = requests
    return request.sender


@given(st.builds(Request, **dict.fromkeys(_USED, values)))
def test_encoded_request_is_parsed_to_itself(request: Request) -> None:
    """This holds for all values that a request can have: without NUL and line ends, which are LF and CR."""
    assert parse_all([encode_request(request)]) == ([request], None)


@given(cuts, st.lists(pieces, max_size=12).map(b"".join))
@example([], POSTFIX_EXAMPLE * 2 + POSTFIX_EXAMPLE.replace(b"foo@bar.tld", b"a\rb@d"))
@example([], POSTFIX_EXAMPLE * 2 + POSTFIX_EXAMPLE.replace(b"foo@bar.tld", b"\xff@d"))
def test_nasty_bytes(positions: list[int], data: bytes) -> None:
    """This holds for learned layouts too; a parsed value has no line end, and is sent unchanged."""
    wire.check(bytes(position % 256 for position in [*positions, 0, 0, 0, 0][:4]) + data)
