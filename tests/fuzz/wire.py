"""core.wire: the requests do not depend on how the bytes are cut; no value has a line end; no two senders are one."""

import re
from itertools import pairwise

from bley.core.errors import ProtocolError
from bley.core.mail import RawRequest, Request
from bley.core.wire import MAX_ATTRIBUTES, MAX_REQUEST_BYTES, RequestParser, encode_request
from tests.fuzz.harness import Harness
from tests.step_time import Steps, run_in_time
from tests.unit.core.test_wire import POSTFIX_EXAMPLE

Parsed = tuple[list[RawRequest], bool]
"""The requests, and whether an error ended them."""

_MARKS = 4
"""The number of octets that define the cuts of the rest."""

_END_OF_REQUEST = re.compile(rb"(?<=\n\n)|(?<=\n\r\n)")
_USED = [name.encode() for name in Request._fields]


def check(data: bytes) -> None:
    """Check the stream in one piece, cut at the marks, octet by octet, and request by request."""
    marks, stream = data[:_MARKS], data[_MARKS:]
    parsed = run_in_time(lambda steps: _parse([stream], steps))
    requests, has_failed = parsed
    assert _parse(_cut(stream, marks)) == parsed, "other requests where the stream is cut"
    if len(stream) <= 600:
        assert _parse([bytes([octet]) for octet in stream]) == parsed, "other requests octet by octet"
    assert _parse_whole(stream)[: len(requests)] == requests, "other requests from the known layout"
    for request in map(RawRequest.parse, requests):
        assert not any(mark in value for value in request for mark in "\0\r\n"), f"a line end in {request}"
        assert [each.parse() for each in _parse([encode_request(request)])[0]] == [request], "encoded, it is another"
    if len(requests) == 1 and not has_failed and stream.endswith(b"\n\n") and not stream.startswith((b"\n", b"\r\n")):
        _check_is_told_apart(stream, requests)


def _cut(stream: bytes, marks: bytes) -> list[bytes]:
    places = sorted({0, len(stream), *(mark * max(len(stream), 256) // 256 % (len(stream) + 1) for mark in marks)})
    return [stream[begin:end] for begin, end in pairwise(places)]


def _parse(chunks: list[bytes], steps: Steps | None = None) -> Parsed:
    steps = steps or Steps()
    parser = RequestParser()
    requests: list[RawRequest] = []
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while (request := steps.time(parser.next_request)) is not None:
                requests.append(request)
            assert parser.pending <= MAX_REQUEST_BYTES + 4, "more waits than a request may have"
    except ProtocolError:
        return requests, True
    return requests, False


def _parse_whole(stream: bytes) -> list[RawRequest]:
    """Parse requests that arrive one by one, as a connection does."""
    parser = RequestParser()
    requests: list[RawRequest] = []
    try:
        for chunk in _END_OF_REQUEST.split(stream):
            if parser.pending == 0 and (whole := parser.parse_one(chunk)) is not None:
                requests.append(whole)
                continue
            parser.feed(chunk)
            while (request := parser.next_request()) is not None:
                requests.append(request)
    except ProtocolError:
        pass
    return requests


def _check_is_told_apart(stream: bytes, requests: list[RawRequest]) -> None:
    r"""Check that octets that are no UTF-8, and the text `\xNN` in their place, are two requests."""
    lines = stream.split(b"\n")
    used = [line.partition(b"=")[0] for line in lines if line.partition(b"=")[0] in _USED]
    if len(used) > len(set(used)):
        return  # the last one counts
    escaped = [
        line.decode("utf-8", "backslashreplace").encode() if line.partition(b"=")[0] in _USED else line
        for line in lines
    ]
    if escaped != lines:
        assert _parse([b"\n".join(escaped)])[0] != requests, "an octet and its escape are one"


_MARKED = bytes((10, 90, 128, 200))
_ALIKE = POSTFIX_EXAMPLE.replace(b"foo@bar.tld", b"x@y")

HARNESS = Harness(
    check,
    seeds=[
        _MARKED + POSTFIX_EXAMPLE,
        _MARKED + POSTFIX_EXAMPLE + _ALIKE + POSTFIX_EXAMPLE,
        _MARKED + b"client_address=192.0.2.1\r\nsender=a@d\r\n\r\n",
        _MARKED + b"sender=\xff@d\n\nsender=\xc3\xbc@d\n\n",
        _MARKED + b"request=other\n\n",
        _MARKED + b"a=b\n" * MAX_ATTRIBUTES + b"\n",
        _MARKED + b"sender=" + b"x" * 33_000,
        _MARKED + b"\n\n\r\n\n",
        b"",
    ],
    finds={
        "a lone CR in a value": _MARKED + b"sender=a\rb@d\n\n",
        "an octet that is no UTF-8, and its escape": _MARKED + b"sender=\xff@d\n\n",
        "another order of a hundred attributes, a second and a third time": _MARKED
        + (b"".join(b"a%d=\n" % number for number in range(MAX_ATTRIBUTES)) + b"\n") * 3,
    },
    words=[*(name + b"=" for name in _USED), b"request=smtpd_access_policy\n", b"\r\n", b"\n\n", b"\0", b"\r"],
    longest=34_000,
)
