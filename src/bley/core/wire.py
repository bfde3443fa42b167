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
from dataclasses import asdict

from bley.core.errors import ProtocolError
from bley.core.mail import Action, Request

__all__ = ["MAX_ATTRIBUTES", "MAX_REQUEST_BYTES", "RequestParser", "encode_action", "encode_request"]

MAX_REQUEST_BYTES = 32_768
"""Postfix 3.7 sends some 540; sender and recipient may be of 2,048 each, and there may be two certificate names."""

MAX_ATTRIBUTES = 100
"""Postfix 3.7 sends 29."""

_TYPE = "smtpd_access_policy"

_LINE_END = re.compile(r"\r\n|[\r\n]")
_END = re.compile(rb"\n\r?\n")
_EMPTY = re.compile(rb"\r?\n")
_WHOLE = re.compile(rb"[!-<>-~]+=[^\0\n]*")
_ATTRIBUTES = re.compile(rb"%b(?:\n%b)*" % (_WHOLE.pattern, _WHOLE.pattern))
_BEGUN = re.compile(rb"[!-<>-~]+(=[^\0]*)?|\r?")


class RequestParser:
    """Cuts a stream of bytes into policy requests: `feed` what came, then `next_request` until None."""

    def __init__(self) -> None:
        self._buffer = b""
        self._start = 0  # of the request that is next
        self._line = 0  # where its first line stands that was not checked yet

    @property
    def pending(self) -> int:
        """How many bytes wait to become requests."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Add what the peer sent."""
        self._buffer = self._buffer[self._start :] + data
        self._line -= self._start
        self._start = 0

    def next_request(self) -> Request | None:
        """The next whole request, or None while it is not all there.

        Raises ProtocolError when the bytes cannot become one, as early as that is certain.
        The parser is of no use afterwards; requests returned before are good.
        """
        if empty := _EMPTY.match(self._buffer, self._start):
            self._start = self._line = empty.end()
            return Request()
        end = _END.search(self._buffer, max(self._start, self._line - 1))
        if end is None:
            self._check_begun()
            return None
        if end.start() - self._start > MAX_REQUEST_BYTES:
            raise _too_long()
        block = self._buffer[self._start : end.start()]
        self._start = self._line = end.end()
        return _parse(block)

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


def _parse(block: bytes) -> Request:
    if not _ATTRIBUTES.fullmatch(block):
        raise _no_attribute(next(line for line in block.split(b"\n") if not _WHOLE.fullmatch(line)))
    lines = block.decode("utf-8", "backslashreplace").replace("\r\n", "\n").removesuffix("\r").split("\n")
    if len(lines) > MAX_ATTRIBUTES:
        raise ProtocolError(f"a request of more than {MAX_ATTRIBUTES} attributes")
    attributes = dict(line.split("=", 1) for line in lines)
    if (kind := attributes.get("request", _TYPE)) != _TYPE:
        raise ProtocolError(f"request={kind[:40]!r} instead of {_TYPE}")
    return Request.from_attributes(attributes)


def _too_long() -> ProtocolError:
    return ProtocolError(f"a request of more than {MAX_REQUEST_BYTES} bytes")


def _no_attribute(line: bytes) -> ProtocolError:
    shown = line[:40].decode("utf-8", "backslashreplace")
    return ProtocolError(f"{shown!r} instead of name=value")


def encode_action(action: Action) -> bytes:
    """The answer to one request, ready to be sent."""
    return f"action={action}\n\n".encode()


def encode_request(request: Request) -> bytes:
    """A request as Postfix would send it, without what is empty. A line end in a value becomes a space."""
    attributes = {"request": _TYPE} | {name: value for name, value in asdict(request).items() if value}
    lines = (f"{name}={_LINE_END.sub(' ', value)}\n" for name, value in attributes.items())
    return "".join(lines).encode("utf-8", "surrogateescape") + b"\n"
