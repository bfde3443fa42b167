"""The datagrams that syslog and the journal get for a log line."""

import logging
import socket

import pytest

from bley.log.sockets import Journal, Syslog

INFO = {"PRIORITY": "6", "SYSLOG_FACILITY": "2", "SYSLOG_IDENTIFIER": "bley"}


def parsed(datagram: bytes) -> dict[str, str]:
    """The fields of one entry. Source: systemd.io/JOURNAL_NATIVE_PROTOCOL."""
    fields: dict[str, str] = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, is_text, value = line.partition(b"=")
        if not is_text:
            end = 8 + int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8:end], datagram[end:]
            assert datagram.startswith(b"\n")
            datagram = datagram[1:]
        assert name.decode() not in fields, f"{name!r} stands twice"
        fields[name.decode()] = value.decode()
    return fields


def _datagram(sink: type[Journal | Syslog], line: str) -> bytes:
    """Return what the sink sends for a line; a pair of sockets needs no daemon."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs, pytest.MonkeyPatch.context() as patched:
        patched.setattr(sink, "_connected", lambda _: ours)
        sender = sink()
        assert sender.write([f"{sender.head(0, logging.INFO)}{line}{sender.end}"]) == 1
        sender.close()
        return theirs.recv(1_000_000)


def syslog_datagram(line: str) -> bytes:
    """Return the datagram to syslog for a log line."""
    return _datagram(Syslog, line)


def journal_fields(line: str) -> dict[str, str]:
    """Return the journal's fields for a log line, without those that every entry has."""
    entry = parsed(_datagram(Journal, line))
    assert entry.pop("MESSAGE") == line
    assert {name: entry.pop(name) for name in INFO} == INFO
    return entry
