"""Policy delegation on the wire: what is a request, what is none, and how both sides write."""

from collections.abc import Iterable
from typing import Any

import pytest

from bley.core import wire
from bley.core.errors import ProtocolError
from bley.core.mail import Action, RawRequest, Request
from bley.core.triplet import TripletRules
from bley.core.wire import MAX_ATTRIBUTES, MAX_REQUEST_BYTES, RequestParser, encode_action, encode_request

# The example of SMTPD_POLICY_README, with its continued lines joined.
POSTFIX_EXAMPLE = b"""\
request=smtpd_access_policy
protocol_state=RCPT
protocol_name=SMTP
helo_name=some.domain.tld
queue_id=8045F2AB23
sender=foo@bar.tld
recipient=bar@foo.tld
recipient_count=0
client_address=1.2.3.4
client_name=another.domain.tld
reverse_client_name=another.domain.tld
instance=123.456.7
sasl_method=plain
sasl_username=you
sasl_sender=
size=12345
ccert_subject=solaris9.porcupine.org
stress=

"""

POSTFIX_REQUEST = Request(
    protocol_state="RCPT",
    client_address="1.2.3.4",
    client_name="another.domain.tld",
    helo_name="some.domain.tld",
    sender="foo@bar.tld",
    recipient="bar@foo.tld",
    instance="123.456.7",
    queue_id="8045F2AB23",
    sasl_username="you",
)


def parse_all(chunks: Iterable[bytes]) -> tuple[list[Request], ProtocolError | None]:
    """All requests of a stream that comes in these chunks, and the error that ended it."""
    parser = RequestParser()
    requests: list[Request] = []
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while (request := parser.next_request()) is not None:
                requests.append(request.parse())
    except ProtocolError as error:
        return requests, error
    return requests, None


def _error(data: bytes) -> str:
    _, error = parse_all([data])
    return str(error)


def test_postfix_example() -> None:
    """The request of Postfix's own documentation is read; attributes that bley does not use are ignored."""
    assert parse_all([POSTFIX_EXAMPLE]) == ([POSTFIX_REQUEST], None)


def test_crlf_ends_a_line_too() -> None:
    assert parse_all([POSTFIX_EXAMPLE.replace(b"\n", b"\r\n")]) == ([POSTFIX_REQUEST], None)


def test_one_byte_at_a_time() -> None:
    """A request is complete with the last byte of its empty line, not before."""
    parser = RequestParser()
    for byte in POSTFIX_EXAMPLE[:-1]:
        parser.feed(bytes([byte]))
        assert parser.next_request() is None
    parser.feed(POSTFIX_EXAMPLE[-1:])
    assert (request := parser.next_request())
    assert request.parse() == POSTFIX_REQUEST


def test_requests_follow_each_other_on_one_connection() -> None:
    requests, error = parse_all([b"sender=a@d\n\nsender=b@d\n\nsender=c"])
    assert [request.sender for request in requests] == ["a@d", "b@d"]
    assert error is None


def test_an_empty_line_alone_is_a_request_without_attributes() -> None:
    assert parse_all([b"\n\r\nsender=a@d\n\n"]) == ([Request(), Request(), Request(sender="a@d")], None)


@pytest.mark.parametrize(
    ("line", "sender"),
    [
        pytest.param(b"sender=", "", id="the null sender"),
        pytest.param(b"sender=a=b@d", "a=b@d", id="equals signs in a value"),
        pytest.param(b"sender= a b ", " a b ", id="white space"),
        pytest.param("sender=jürgen@bücher.example".encode(), "jürgen@bücher.example", id="UTF-8"),
        pytest.param(b"sender=a\\b@d", r"a\b@d", id="a backslash"),
        pytest.param(b"sender=a\\x4\\xg0@d", r"a\x4\xg0@d", id="a backslash that begins no code"),
        pytest.param(b"sender=a\rb@d", r"a\x0db@d", id="a carriage return inside"),
        pytest.param(b"sender=a@d\r\r", r"a@d\x0d", id="carriage returns at the end, of which one is the line's"),
        pytest.param(b"sender=a\\xffb@d", r"a\x5cxffb@d", id="the text that such a byte would become"),
        pytest.param(b"sender=a\\XFFb@d", r"a\x5cXFFb@d", id="and in capitals, which triplets do not tell"),
        pytest.param(b"sender=a\\x5cb@d", r"a\x5cx5cb@d", id="the text of a backslash's code"),
        pytest.param(b"sender=a\xc2\x85b@d", "a\x85b@d", id="what Unicode calls a line end"),
        pytest.param(b"sender=j\xfcrgen@d", r"j\xfcrgen@d", id="bytes that are not UTF-8"),
        pytest.param(b"sender=j\xf6rgen@d", r"j\xf6rgen@d", id="other bytes that are not UTF-8"),
    ],
)
def test_value_is_kept_as_it_came(line: bytes, sender: str) -> None:
    assert parse_all([line + b"\n\n"]) == ([Request(sender=sender)], None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GET / HTTP/1.1\r\n", r"'GET / HTTP/1.1\r' instead of name=value"),
        (b"GET /", "'GET /' instead of name=value"),
        (b"sender\n", "'sender' instead of name=value"),
        (b"sender\n\n", "'sender' instead of name=value"),
        (b"=a@d\n\n", "'=a@d' instead of name=value"),
        (b"sen der=a@d\n\n", "'sen der=a@d' instead of name=value"),
        (b"sender=a@d\n\rx", r"'\rx' instead of name=value"),
        (b"sender=a\0b@d\n\n", r"'sender=a\x00b@d' instead of name=value"),
        ("sendér=a@d\n\n".encode(), "'sendér=a@d' instead of name=value"),
        (b"s\xff=a@d\n\n", r"'s\\xff=a@d' instead of name=value"),
        (b"\x16\x03\x01\x02\x00", r"'\x16\x03\x01\x02\x00' instead of name=value"),
        (b"x" * 100 + b"\n", f"{'x' * 40!r} instead of name=value"),
        (b"request=junk_mail_policy\n\n", "request='junk_mail_policy' instead of smtpd_access_policy"),
        (b"request=" + b"x" * 100 + b"\n\n", f"request={'x' * 40!r} instead of smtpd_access_policy"),
        (b"request=\n\n", "request='' instead of smtpd_access_policy"),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, message: str) -> None:
    """As early as it is certain, with what was sent in the message, cut to a length fit for a log."""
    assert _error(data) == message


@pytest.mark.parametrize("begun", [b"", b"s", b"sender", b"sender=", b"sender=a@d", b"sender=a@d\n", b"sender=a@d\n\r"])
def test_what_can_still_become_a_request_is_waited_for(begun: bytes) -> None:
    assert parse_all([begun]) == ([], None)


def test_requests_before_an_error_are_good() -> None:
    requests, error = parse_all([b"sender=a@d\n\nnonsense\n\n"])
    assert requests == [Request(sender="a@d")]
    assert error is not None


def _sender_of_a_request_of(size: int) -> bytes:
    return b"sender=" + b"x" * (size - len(b"sender="))


@pytest.mark.parametrize("end", [b"\n\n", b"\n\r\n"])
def test_size_is_bounded(end: bytes) -> None:
    """The longest request passes, in one piece or two; with one byte more it does not."""
    longest, too_long = _sender_of_a_request_of(MAX_REQUEST_BYTES), _sender_of_a_request_of(MAX_REQUEST_BYTES + 1)
    for chunks in ([longest + end], [longest + end[:-1], end[-1:]]):
        requests, error = parse_all(chunks)
        assert error is None
        assert [len(request.sender) for request in requests] == [MAX_REQUEST_BYTES - len("sender=")]
    for chunks in ([too_long + end], [too_long + end[:-1], end[-1:]]):
        requests, error = parse_all(chunks)
        assert requests == []
        assert str(error) == f"a request of more than {MAX_REQUEST_BYTES} bytes"


def test_size_is_bounded_while_the_end_has_not_come() -> None:
    """A peer that never ends its request cannot fill the memory."""
    assert _error(b"sender=" + b"x" * MAX_REQUEST_BYTES) == f"a request of more than {MAX_REQUEST_BYTES} bytes"


def test_attributes_are_bounded() -> None:
    lines = [b"a%d=b\n" % number for number in range(MAX_ATTRIBUTES + 1)]
    assert parse_all([*lines[:MAX_ATTRIBUTES], b"\n"]) == ([Request()], None)
    assert parse_all([*lines, b"\n"])[1] is not None
    assert _error(b"".join(lines) + b"\n") == f"a request of more than {MAX_ATTRIBUTES} attributes"


def test_pending_are_the_bytes_that_wait() -> None:
    """None, and the peer may leave without losing a request."""
    parser = RequestParser()
    assert parser.pending == 0
    parser.feed(b"sender=a@d\n\nsender=b@d\n\ns")
    assert parser.pending == 25
    parser.next_request()
    assert parser.pending == 13
    parser.next_request()
    parser.feed(b"ender=c@d\n")
    assert parser.next_request() is None
    assert parser.pending == 11
    parser.feed(b"\n")
    assert parser.next_request() == RawRequest("sender=c@d\n")
    assert parser.pending == 0


def _read(raw: RawRequest | None) -> Request | None:
    return raw and raw.parse()


def test_no_two_senders_become_one() -> None:
    """A byte that is not UTF-8, its code, and the code of its code."""
    sent = [b"\xff", rb"\xff", rb"\xFF", rb"\x5cxff", rb"\x5c\xff", b"\\\xff", b"\r", rb"\r", rb"\x0d", "ÿ".encode()]
    requests, _ = parse_all([b"".join(b"sender=" + sender + b"@d\n\n" for sender in sent)])
    triplets = {TripletRules().sender(request.sender) for request in requests}
    assert len(triplets) == len(sent) - 1  # case does not matter


@pytest.fixture
def patterns(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """What is compiled, nothing at first."""
    wire._Layout.of.cache_clear()
    patterns: dict[Any, Any] = {}
    monkeypatch.setattr(wire, "_patterns", patterns)
    return patterns


class TestWhole:
    """A peer that sends the same attributes again and again is read faster, to the same requests."""

    def _parser(self, data: bytes = POSTFIX_EXAMPLE) -> RequestParser:
        """One that has read this twice."""
        parser = RequestParser()
        for _ in range(2):
            parser.feed(data)
            assert parser.next_request() is not None
        return parser

    def test_the_third_alike_is_read_at_once(self) -> None:
        parser = self._parser()
        assert _read(parser.parse_one(POSTFIX_EXAMPLE)) == POSTFIX_REQUEST
        other = POSTFIX_EXAMPLE.replace(b"foo@bar.tld", r"jürgen=\a@bar.tld".encode()).replace(b"size=12345", b"size=")
        assert _read(parser.parse_one(other)) == POSTFIX_REQUEST._replace(sender=r"jürgen=\a@bar.tld")

    def test_the_second_is_not_yet(self) -> None:
        parser = RequestParser()
        parser.feed(POSTFIX_EXAMPLE)
        parser.next_request()
        assert parser.parse_one(POSTFIX_EXAMPLE) is None

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(POSTFIX_EXAMPLE[:-1], id="not whole"),
            pytest.param(POSTFIX_EXAMPLE * 2, id="two"),
            pytest.param(POSTFIX_EXAMPLE + b"\n", id="two, of which one is empty"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"stress=\n", b""), id="an attribute less"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"stress=", b"stress=\nsender=x"), id="one more"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"stress=", b"sender="), id="another"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"_policy", b"_play"), id="another kind of request"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"\n", b"\r\n"), id="other line ends"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"you", b"y\0u"), id="NUL"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"you", b"y\xffu"), id="no UTF-8"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"you", b"y\ru"), id="a carriage return"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"you", rb"y\xffu"), id="a code"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"you", rb"y\XFFu"), id="a code in capitals"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"policy\n", b"policy_too\n"), id="a longer kind of request"),
            pytest.param(POSTFIX_EXAMPLE[:-1] + b"x=y\n", id="an attribute in place of the empty line"),
            pytest.param(POSTFIX_EXAMPLE.replace(b"you", MAX_REQUEST_BYTES * b"y"), id="too long"),
            pytest.param(b"", id="nothing"),
        ],
    )
    @pytest.mark.parametrize("is_compiled", [False, True])
    def test_what_is_not_just_such_a_request_is_to_be_fed(self, data: bytes, is_compiled: bool) -> None:
        parser = self._parser()
        for _ in range(1000 if is_compiled else 0):
            assert parser.parse_one(POSTFIX_EXAMPLE)
        assert parser.parse_one(data) is None

    def test_requests_in_one_piece_are_read_as_one_by_one(self) -> None:
        requests, error = parse_all([POSTFIX_EXAMPLE * 5])
        assert requests == 5 * [POSTFIX_REQUEST]
        assert error is None

    def test_attributes_that_are_not_sent_are_empty(self) -> None:
        for sent in ("size", "instance", "sasl_username"):
            parser = self._parser(f"{sent}=1\nsender=a@d\n\n".encode())
            expected = Request(sender="b@d")._replace(**{sent: "2"} if sent != "size" else {})
            assert _read(parser.parse_one(f"{sent}=2\nsender=b@d\n\n".encode())) == expected
        assert _read(self._parser(b"size=1\n\n").parse_one(b"size=2\n\n")) == Request()

    def test_what_decides_is_the_same_for_each_mail(self) -> None:
        """However it is read; and of two requests that differ in anything else it is not."""
        parser = self._parser()
        other_mail = POSTFIX_EXAMPLE.replace(b"123.456.7", b"789.0").replace(b"size=12345", b"size=6")
        first, second = parser.parse_one(POSTFIX_EXAMPLE), parser.parse_one(other_mail)
        assert first
        assert second == first._replace(instance="789.0")
        parser.feed(POSTFIX_EXAMPLE.replace(b"\n", b"\r\n"))
        assert parser.next_request() == first
        for value in (b"RCPT", b"you", b"1.2.3.4", b"another.domain.tld", b"some.domain", b"foo@", b"bar@"):
            other = parser.parse_one(POSTFIX_EXAMPLE.replace(value, b"x", 1))
            assert other
            assert other.deciding != first.deciding

    def test_a_layout_that_is_read_often_is_read_to_the_same(self, patterns: dict[Any, Any]) -> None:
        """By a pattern, which all connections share."""
        parser, other = self._parser(), self._parser()
        read = [parser.parse_one(POSTFIX_EXAMPLE) for _ in range(1100)]
        assert set(read) == {other.parse_one(POSTFIX_EXAMPLE)}
        assert len(patterns) == 1

    def test_layouts_that_a_peer_chooses_cost_nothing(self, patterns: dict[Any, Any]) -> None:
        """None is compiled before it was read a thousand times, only so many are at all, and others are read too."""
        for number in range(300):
            assert _read(self._parser(b"x%d=\nsender=a@d\n\n" % number).parse_one(b"x%d=\nsender=b@d\n\n" % number))
        assert not patterns
        for number in range(20):
            parser = self._parser(b"y%d=\nsender=a@d\n\n" % number)
            for _ in range(1001):
                raw = parser.parse_one(b"y%d=\nsender=b@d\n\n" % number)
                assert raw == RawRequest("sender=b@d\n")
        assert len(patterns) == 16

    def test_a_layout_of_many_bytes_is_not_remembered(self) -> None:
        """A thousand connections would remember a thousand."""
        data = b"".join(b"%d%s=\n" % (number, 100 * b"x") for number in range(90)) + b"\n"
        parser = self._parser(data)
        assert parser.parse_one(data) is None
        assert not parser._names


@pytest.mark.parametrize(
    ("action", "data"),
    [
        (Action("DUNNO"), b"action=DUNNO\n\n"),
        (Action("DEFER_IF_PERMIT", "später"), "action=DEFER_IF_PERMIT später\n\n".encode()),
        (Action("PREPEND", "X-Greylist: delayed"), b"action=PREPEND X-Greylist: delayed\n\n"),
    ],
)
def test_answer_is_one_line_and_an_empty_one(action: Action, data: bytes) -> None:
    assert encode_action(action) == data


def test_request_is_written_as_postfix_writes_it() -> None:
    """With its type first, and without what is empty."""
    request = Request(protocol_state="RCPT", client_address="192.0.2.1", recipient="jane@example.org")
    assert encode_request(request) == (
        b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.1\nrecipient=jane@example.org\n\n"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_end_in_a_value_becomes_a_space(end: str) -> None:
    """So no value can add an attribute to the request."""
    data = encode_request(Request(sender=f"a{end}sasl_username=b"))
    assert parse_all([data]) == ([Request(sender="a sasl_username=b")], None)
