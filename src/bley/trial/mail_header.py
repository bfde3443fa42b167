"""The fields of a mail's header that the trial reads, from its bytes: `Received` and those of the envelope.

A mail may be broken: NUL, bare CR, 8-bit text, a header that is cut off or has no end. Only the start of the header is
given to this module; the own servers write above whatever a stranger wrote.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["LONGEST_HEADER", "MailHeader", "is_header_line", "read_header"]

LONGEST_HEADER = 65_536
"""The bytes of a mail's header that are read. Postfix adds some 1 kB; ordinary headers have 2 to 20 kB."""

MOST_RECEIVED = 60
"""The `Received` headers of a mail that are read. Mail servers refuse mail with more than 25 to 100 as a loop."""

_FIELD = re.compile(
    rb"\n(received|message-id|return-path|x-original-to|delivered-to|envelope-to|x-envelope-to|x-envelope-from|from)"
    rb"[ \t]*+:"
    rb"([^\n]*+(?:\n[ \t][^\n]*+)*+)",
    re.IGNORECASE,
)
_HEADER_LINE = re.compile(rb"[!-9;-~]{1,100}[ \t]*:")
_ADDRESS = re.compile(r"<([^<>\s]*)>")
_BARE_ADDRESS = re.compile(r"[^\s<>(),;:\"]+@[^\s<>(),;:\"]+")


class MailHeader(NamedTuple):
    """The fields, from the top: those that several headers have as a list, else the first one; empty: there is none."""

    received: list[str]
    envelope_sender: str | None
    """None: no header has it."""
    recipient: str
    author: str
    """The mail address in `From`, which a stranger writes."""
    message_id: str = ""


def is_header_line(start: bytes) -> bool:
    """Return whether the bytes start with the name of a header field and a colon."""
    return _HEADER_LINE.match(start) is not None


def read_header(header: bytes) -> MailHeader:
    """Return the fields of a header, which may end anywhere."""
    received: list[str] = []
    first: dict[str, str] = {}
    for name, value in _fields(header):
        if name == "received":
            if len(received) < MOST_RECEIVED:
                received.append(value)
        elif name not in first:
            first[name] = value
    recipient = next((address for name in _RECIPIENTS if (address := _address(first.get(name, "")))), "")
    sender = next((each for name in _SENDERS if (each := _path(first.get(name))) is not None), None)
    return MailHeader(received, sender, recipient, _address(first.get("from", "")), first.get("message-id", ""))


_RECIPIENTS = ("x-original-to", "envelope-to", "x-envelope-to", "delivered-to")
"""Postfix and Exim write the first two before aliases are resolved."""
_SENDERS = ("return-path", "x-envelope-from")


def _fields(header: bytes) -> Iterator[tuple[str, str]]:
    """Yield the fields with their names in lower case, unfolded; a bare CR is a blank."""
    for name, value in _FIELD.findall(b"\n" + header):
        yield name.decode().lower(), " ".join(value.decode("utf-8", "backslashreplace").split())


def _path(value: str | None) -> str | None:
    """Return the address of `Return-Path: <a@example.com>`, empty for the null sender; None if there is none."""
    if value is None:
        return None
    match = _ADDRESS.search(value)
    return match[1] if match else _address(value) or None


def _address(value: str) -> str:
    """Return the first mail address; empty if there is none."""
    if (match := _ADDRESS.search(value)) and "@" in match[1]:
        return match[1]
    match = _BARE_ADDRESS.search(value)
    return match[0] if match else ""
