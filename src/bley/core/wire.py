"""Policy delegation: bytes to requests, actions to bytes, without sockets.

A request is `name=value` lines ended by an empty line; a line ends in LF or CRLF.

    request=smtpd_access_policy
    protocol_state=RCPT
    client_address=192.0.2.1
    recipient=jane@example.org
    <empty line>

The answer is `action=…` and an empty line. Names are visible ASCII without "="; values hold anything but
NUL and line ends, are UTF-8, and bytes that are not are kept as `\\xNN`, so that two senders never become one.
Whatever is fed, out come requests, a ProtocolError, or nothing yet: the same ones however the bytes are cut.

Source: SMTPD_POLICY_README of Postfix.
"""

import re
from functools import lru_cache
from itertools import groupby

from bley.core.errors import Breach, ProtocolError
from bley.core.mail import Action, RawRequest, Request

__all__ = ["MAX_ATTRIBUTES", "MAX_REQUEST_BYTES", "RequestParser", "encode_action", "encode_request"]

MAX_REQUEST_BYTES = 32_768
"""Postfix 3.7 sends some 540; sender and recipient may be of 2,048 each, and there may be two certificate names."""

MAX_ATTRIBUTES = 100
"""Postfix 3.7 sends 29."""

_TYPE = "smtpd_access_policy"

_MAIL = RawRequest._fields[1:]
"""The attributes that say which mail a request is about."""

_DECIDING = [name for name in Request._fields if name not in _MAIL]

_LINE_END = re.compile(r"\r\n|[\r\n]")
_END = re.compile(rb"\n\r?\n")
_EMPTY = re.compile(rb"\r?\n")
_WHOLE = re.compile(rb"[!-<>-~]+=[^\0\n]*")
_ATTRIBUTES = re.compile(rb"(?:%b\n)+\r?\n" % _WHOLE.pattern)
_BEGUN = re.compile(rb"[!-<>-~]+(=[^\0]*)?|\r?")


class RequestParser:
    """Cuts a stream of bytes into policy requests: `feed` what came, then `next_request` until None."""

    def __init__(self) -> None:
        self._buffer = b""
        self._start = 0  # of the request that is next
        self._line = 0  # where its first line stands that was not checked yet
        self._names: tuple[str, ...] = ()
        """Of the last request's attributes."""
        self._layout: _Layout | None = None

    @property
    def pending(self) -> int:
        """How many bytes wait to become requests."""
        return len(self._buffer) - self._start

    def whole(self, data: bytes) -> RawRequest | None:
        """The request, if `data` is just one with the attributes of those before; else None, and it is to be fed.

        While something is pending it is of no use.
        """
        return self._layout.read(data) if self._layout and len(data) <= MAX_REQUEST_BYTES else None

    def feed(self, data: bytes) -> None:
        """Add what the peer sent."""
        self._buffer = self._buffer[self._start :] + data
        self._line -= self._start
        self._start = 0

    def next_request(self) -> RawRequest | None:
        """The next whole request, or None while it is not all there.

        Raises ProtocolError when the bytes cannot become one, as early as that is certain.
        The parser is of no use afterwards; requests returned before are good.
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
        names = tuple(attributes)
        if names != self._names:
            self._names, self._layout = names, None
        elif self._layout is None:  # the second like this: there may be more
            self._layout = _Layout.of(names)
        deciding = "".join(f"{name}={value}\n" for name, value in attributes.items() if name in _DECIDING)
        return RawRequest(deciding, *(attributes.get(name, "") for name in _MAIL))

    def _check_begun(self) -> None:
        """Refuse a request that is too long already, or has a line that is no attribute."""
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
    """Requests with the same attributes in the same order, as one Postfix sends them all: read at a tenth of the cost.

    It reads what `_parse` would read to the same, and nothing else.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        runs = [(decides, "".join(map(_line_pattern, run))) for decides, run in groupby(names, _DECIDING.__contains__)]
        sent = "".join(f"({lines})" if decides else lines for decides, lines in runs)
        pattern = re.compile(sent + "\n" + "".join(f"(?P<{name}>)" for name in _MAIL if name not in names))
        mail = [pattern.groupindex[name] for name in _MAIL]
        self._match = pattern.fullmatch
        self._order = [number for number in range(1, pattern.groups + 1) if number not in mail] + mail

    @classmethod
    @lru_cache(maxsize=32)
    def of(cls, names: tuple[str, ...]) -> "_Layout":
        """It takes milliseconds to make one."""
        return cls(names)

    def read(self, data: bytes) -> RawRequest | None:
        """The request that `data` is, its empty line included; None if it is another's."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        found = self._match(text)
        if not found or "\r" in text or "\0" in text:
            return None
        values = found.group(*self._order)
        return tuple.__new__(RawRequest, ("".join(values[:-2]), values[-2], values[-1]))  # _make, without its own call


def _line_pattern(name: str) -> str:
    if name == "request":
        return f"request={_TYPE}\n"
    return rf"{name}=(?P<{name}>[^\n]*+)\n" if name in _MAIL else rf"{re.escape(name)}=[^\n]*+\n"


def _attributes(block: bytes) -> dict[str, str]:
    if not _ATTRIBUTES.fullmatch(block):
        raise _no_attribute(next(line for line in block.split(b"\n") if not _WHOLE.fullmatch(line)))
    lines = block.decode("utf-8", "backslashreplace").replace("\r\n", "\n").removesuffix("\n\n").split("\n")
    if len(lines) > MAX_ATTRIBUTES:
        raise ProtocolError(Breach.TOO_MANY_ATTRIBUTES, f"a request of more than {MAX_ATTRIBUTES} attributes")
    attributes = dict(line.split("=", 1) for line in lines)
    if (kind := attributes.get("request", _TYPE)) != _TYPE:
        raise ProtocolError(Breach.OTHER_REQUEST, f"request={kind[:40]!r} instead of {_TYPE}")
    return attributes


def _too_long() -> ProtocolError:
    return ProtocolError(Breach.TOO_LONG, f"a request of more than {MAX_REQUEST_BYTES} bytes")


def _no_attribute(line: bytes) -> ProtocolError:
    shown = line[:40].decode("utf-8", "backslashreplace")
    return ProtocolError(Breach.NO_ATTRIBUTE, f"{shown!r} instead of name=value")


def encode_action(action: Action) -> bytes:
    """The answer to one request, ready to be sent."""
    return f"action={action}\n\n".encode()


def encode_request(request: Request) -> bytes:
    """A request as Postfix would send it, without what is empty. A line end in a value becomes a space."""
    attributes = {"request": _TYPE} | {name: value for name, value in request._asdict().items() if value}
    lines = (f"{name}={_LINE_END.sub(' ', value)}\n" for name, value in attributes.items())
    return "".join(lines).encode() + b"\n"
