"""The policy delegation protocol: bytes to requests, actions to bytes, without sockets.

A request is a series of `name=value` lines, ended by an empty line. Lines end in LF or CRLF.

    request=smtpd_access_policy
    protocol_state=RCPT
    client_address=192.0.2.1
    recipient=jane@example.org
    <empty line>

The answer is `action=…` and an empty line. Names are visible ASCII without "=". Values are UTF-8 and may have any
character but NUL and line ends. Invalid bytes, and a CR inside a line, become `\\xNN`; if a value itself has such a
code, its backslash becomes `\\x5c`. So different senders never become equal, and every store and text file can hold a
value.
For any input, the parser returns requests, raises ProtocolError, or waits for more. How the bytes are split does not
change the result.

Source: SMTPD_POLICY_README of Postfix.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import compress, groupby
from typing import NamedTuple

from bley.core.errors import ProtocolError, ProtocolViolation
from bley.core.mail import Action, RawRequest, Request

__all__ = ["MAX_ATTRIBUTES", "MAX_REQUEST_BYTES", "RequestParser", "encode_action", "encode_request", "unambiguous"]

MAX_REQUEST_BYTES = 32_768
"""Postfix 3.7 sends some 540. Sender and recipient may have 2,048 each, and two certificate names may follow."""

MAX_ATTRIBUTES = 100
"""Postfix 3.7 sends 29."""

_LONGEST_LEARNED = 4096
"""The most bytes of a request whose layout a connection caches: with 1000 connections some 20 MB at worst."""

_READS_BEFORE_COMPILING = 1000
"""Compiling a pattern takes as long as parsing 200 requests without one: 0.5 to 3 ms."""

_MOST_PATTERNS = 16
"""The most patterns in a process: one for each version of Postfix and kind of daemon, with at most 150 KB each. Further
layouts are parsed at twice the cost, 3.7 us."""

_TYPE = "smtpd_access_policy"

_MAIL = RawRequest._fields[1:]
"""The attributes that identify the mail of a request."""

_INSTANCE, _QUEUE_ID = (slice(len(name) + 1, None) for name in _MAIL)

_DECIDING = [name for name in Request._fields if name not in _MAIL]

_CODE = re.compile(rb"\\(?=[xX][0-9a-fA-F]{2})")
_CODE_OF_OURS = re.compile(r"\\x(5c|0d|[89a-f][0-9a-f])")
_LINE_END = re.compile(r"\r\n|[\r\n]")
_END = re.compile(rb"\n\r?\n")
_EMPTY = re.compile(rb"\r?\n")
_WHOLE = re.compile(rb"[!-<>-~]+=[^\0\n]*")
_ATTRIBUTES = re.compile(rb"(?:%b\n)+\r?\n" % _WHOLE.pattern)
_BEGUN = re.compile(rb"[!-<>-~]+(=[^\0]*)?|\r?")


class RequestParser:
    """Splits a stream of bytes into policy requests: call `feed`, then `next_request` until it returns None."""

    def __init__(self) -> None:
        self._buffer = b""
        self._start = 0  # of the next request
        self._line = 0  # of its first line that is not checked yet
        self._names: tuple[str, ...] = ()
        """The attribute names of the last request."""
        self._layout: _Layout | None = None

    @property
    def pending(self) -> int:
        """The number of bytes not yet parsed."""
        return len(self._buffer) - self._start

    def parse_one(self, data: bytes) -> RawRequest | None:
        """Parse `data` if it is exactly one request with the layout of the previous ones; else return None: `feed` it.

        Valid only while nothing is pending.
        """
        return self._layout.read(data) if self._layout and len(data) <= MAX_REQUEST_BYTES else None

    def feed(self, data: bytes) -> None:
        """Append bytes from the peer."""
        self._buffer = self._buffer[self._start :] + data
        self._line -= self._start
        self._start = 0

    def next_request(self) -> RawRequest | None:
        """Return the next complete request, or None if more bytes are needed.

        Raises ProtocolError as soon as the bytes cannot become a request. Requests returned before it are valid; do
        not use the parser after it.
        """
        if not self.pending:
            return None
        if empty := _EMPTY.match(self._buffer, self._start):
            self._start = self._line = empty.end()
            return RawRequest("")
        end = _END.search(self._buffer, max(self._start, self._line - 1))
        if end is None:
            self._check_begun()
            return None
        if end.start() - self._start > MAX_REQUEST_BYTES:
            raise _too_long()
        block = self._buffer[self._start : end.end()]
        self._start = self._line = end.end()
        return (self._layout and self._layout.read(block)) or self._parse(block)

    def _parse(self, block: bytes) -> RawRequest:
        attributes = _attributes(block)
        names = tuple(attributes) if len(block) <= _LONGEST_LEARNED else ()
        if not names or names != self._names:
            self._names, self._layout = names, None
        elif self._layout is None:  # the second request with this layout: more are likely
            self._layout = _Layout.of(names)
        deciding = "".join(f"{name}={value}\n" for name, value in attributes.items() if name in _DECIDING)
        return RawRequest(deciding, *(attributes.get(name, "") for name in _MAIL))

    def _check_begun(self) -> None:
        """Raise ProtocolError if the incomplete request is too long, or has a line that is not an attribute."""
        if self.pending > MAX_REQUEST_BYTES + len(b"\n\r"):
            raise _too_long()
        *whole, begun = self._buffer[self._line :].split(b"\n")
        for line in whole:
            if not _WHOLE.fullmatch(line):
                raise _no_attribute(line)
        if not _BEGUN.fullmatch(begun):
            raise _no_attribute(begun)
        self._line = len(self._buffer) - len(begun)


class _Layout:
    """The attribute names and order of a request. One Postfix sends all requests with the same layout.

    A known layout makes parsing ten times cheaper. `read` returns what `_parse` would return, or None. A layout in
    frequent use gets a compiled pattern. tuple.__new__ makes the request: it is RawRequest._make with one call less.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names, self._count = names, len(names)
        self._begins = tuple(f"{name}=" for name in names)
        self._decides = (*(name in _DECIDING for name in names), False, True)
        self._type_at = names.index("request") if "request" in names else -1
        self._type = f"request={_TYPE}" if "request" in names else ""
        self._mail_at = [names.index(name) if name in names else -1 for name in _MAIL]
        self._reads, self._pattern = 0, _patterns.get(names)

    @classmethod
    @lru_cache(maxsize=32)
    def of(cls, names: tuple[str, ...]) -> "_Layout":
        """Return the layout of these attributes, which connections share."""
        return cls(names)

    def read(self, data: bytes) -> RawRequest | None:
        """Parse `data`, a request with its empty line; return None if it has another layout."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        if "\r" in text or "\0" in text or ("\\" in text and _CODE.search(data)):
            return None
        if self._pattern is None:
            return self._read_lines(text.split("\n"))
        match, order = self._pattern
        if not (found := match(text)):
            return None
        values = found.group(*order)
        return tuple.__new__(RawRequest, ("".join(values[:-2]), values[-2], values[-1]))

    def _read_lines(self, lines: list[str]) -> RawRequest | None:
        self._reads += 1
        if self._reads == _READS_BEFORE_COMPILING:
            self._pattern = _Pattern.of(self._names)
        # The last two are the empty line, and the empty text after it.
        if len(lines) != self._count + 2 or lines[-2] or lines[-1] or lines[self._type_at] != self._type:
            return None
        if not all(map(str.startswith, lines, self._begins)):
            return None
        instance_at, queue_id_at = self._mail_at
        instance, queue_id = lines[instance_at][_INSTANCE], lines[queue_id_at][_QUEUE_ID]
        return tuple.__new__(RawRequest, ("\n".join(compress(lines, self._decides)), instance, queue_id))


class _Pattern(NamedTuple):
    """A layout as one regular expression, which halves the cost again."""

    match: Callable[[str], re.Match[str] | None]
    order: list[int]
    """The numbers of its groups: first those that the decision depends on, then those that identify the mail."""

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "_Pattern | None":
        """Return the pattern of these attributes; None if the process has too many already."""
        if names not in _patterns and len(_patterns) < _MOST_PATTERNS:
            _patterns[names] = cls.compiled(names)
        return _patterns.get(names)

    @classmethod
    def compiled(cls, names: tuple[str, ...]) -> "_Pattern":
        """Compile a new pattern."""
        runs = [(decides, "".join(map(_line_pattern, run))) for decides, run in groupby(names, _DECIDING.__contains__)]
        sent = "".join(f"({lines})" if decides else lines for decides, lines in runs)
        pattern = re.compile(sent + "\n" + "".join(f"(?P<{name}>)" for name in _MAIL if name not in names))
        mail = [pattern.groupindex[name] for name in _MAIL]
        return cls(pattern.fullmatch, [number for number in range(1, pattern.groups + 1) if number not in mail] + mail)


_patterns: dict[tuple[str, ...], _Pattern] = {}


def _line_pattern(name: str) -> str:
    if name == "request":
        return f"request={_TYPE}\n"
    return rf"{name}=(?P<{name}>[^\n]*+)\n" if name in _MAIL else rf"{re.escape(name)}=[^\n]*+\n"


def _attributes(block: bytes) -> dict[str, str]:
    if not _ATTRIBUTES.fullmatch(block):
        raise _no_attribute(next(line for line in block.split(b"\n") if not _WHOLE.fullmatch(line)))
    lines = unambiguous(block.replace(b"\r\n", b"\n").removesuffix(b"\n\n")).split("\n")
    if len(lines) > MAX_ATTRIBUTES:
        raise ProtocolError(
            ProtocolViolation.TOO_MANY_ATTRIBUTES, f"a request of more than {MAX_ATTRIBUTES} attributes"
        )
    attributes = dict(line.split("=", 1) for line in lines)
    if (kind := attributes.get("request", _TYPE)) != _TYPE:
        raise ProtocolError(ProtocolViolation.OTHER_REQUEST, f"request={kind[:40]!r} instead of {_TYPE}")
    return attributes


def unambiguous(data: bytes) -> str:
    """Decode bytes so that different bytes give different texts: invalid UTF-8, and CR, become `\\xNN`."""
    if b"\\" in data:
        data = _CODE.sub(rb"\\x5c", data)
    return data.replace(b"\r", rb"\x0d").decode("utf-8", "backslashreplace")


def _too_long() -> ProtocolError:
    return ProtocolError(ProtocolViolation.TOO_LONG, f"a request of more than {MAX_REQUEST_BYTES} bytes")


def _no_attribute(line: bytes) -> ProtocolError:
    shown = line[:40].decode("utf-8", "backslashreplace")
    return ProtocolError(ProtocolViolation.NO_ATTRIBUTE, f"{shown!r} instead of name=value")


def encode_action(action: Action) -> bytes:
    """Return the bytes of the answer to one request."""
    return f"action={action}\n\n".encode()


def encode_request(request: Request) -> bytes:
    """Return the request as Postfix would send it, without empty attributes. Codes `\\xNN` become their bytes.

    A line end in a value becomes a space.
    """
    attributes = {"request": _TYPE} | {name: value for name, value in request._asdict().items() if value}
    lines = (f"{name}={_LINE_END.sub(' ', value)}" for name, value in attributes.items())
    return b"".join(map(_encoded_line, lines)) + b"\n"


def _encoded_line(line: str) -> bytes:
    data = _CODE_OF_OURS.sub(lambda code: _byte(int(code[1], 16)), line).encode("utf-8", "surrogateescape")
    return data + (b"\r\n" if data.endswith(b"\r") else b"\n")


def _byte(number: int) -> str:
    """Return the character that surrogateescape (PEP 383) encodes as this byte."""
    return chr(number if number < 0x80 else 0xDC00 + number)
