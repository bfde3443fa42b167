"""The datagrams of a log line to syslog and to the journal."""

import socket

import pytest

from bley.log.sockets import Journal, Syslog

INFO = {"PRIORITY": "6", "SYSLOG_FACILITY": "2", "SYSLOG_IDENTIFIER": "bley"}


def parsed(datagram: bytes) -> dict[str, str]:
    """Return the fields of one entry. Source: systemd.io/JOURNAL_NATIVE_PROTOCOL."""
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
    """Return the datagram of a line; a pair of sockets needs no daemon."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs, pytest.MonkeyPatch.context() as patched:
        patched.setattr(sink, "_connected", lambda _: ours)
        sender = sink()
        assert sender.write([line]) == 1
        sender.close()
        return theirs.recv(1_000_000)


def syslog_datagram(line: str) -> bytes:
    """Return the datagram to syslog for a line of the log."""
    return _datagram(Syslog, f"<22>bley[1]: {line}{Syslog.end}")


def journal_fields(line: str) -> dict[str, str]:
    """Return the journal's fields of a log line, without those of every entry."""
    entry = parsed(_datagram(Journal, f"22 {line}"))
    assert entry.pop("MESSAGE") == line
    assert {name: entry.pop(name) for name in INFO} == INFO
    return entry
