"""What takes the log's lines by a local socket, a datagram each: syslog, and systemd's journal.

The journal is given fields besides the line, as in `journalctl BLEY_ACTION=greylist`. They are read out of the line
itself, here, where it is written: nothing from the wire can forge one there (log.py), other sinks do not pay for
them, and known mail is told as fast as without.
"""

import errno
import fcntl
import os
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache

__all__ = ["Journal", "Syslog"]

_SYSLOG = "/dev/log"
_JOURNAL = "/run/systemd/journal/socket"

_FIELD = re.compile(r"(?:^|, | )([a-z_-]+)=")
"""In a line of fields no value has a space, so what follows one is a name."""

_FACILITY_MAIL = 2
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class _Datagrams(ABC):
    """A line is a datagram. Who takes them is found again when it was restarted."""

    is_behind = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = self._connected()

    def _connected(self) -> socket.socket:
        new = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            new.setblocking(False)
            new.connect(self._path)
        except OSError:
            new.close()
            raise
        return new

    def write(self, lines: Sequence[str]) -> int:
        """See Sink."""
        for taken, line in enumerate(lines):
            try:
                self._deliver(self._datagram(line))
            except BlockingIOError:
                return taken
            except OSError:
                if not taken:
                    raise
                return taken
        return len(lines)

    def _deliver(self, datagram: bytes) -> None:
        try:
            self._send(datagram)
        except BlockingIOError:
            raise
        except OSError:  # it was restarted
            if self._socket.fileno() < 0:
                raise  # and this was closed
            old, self._socket = self._socket, self._connected()
            old.close()
            self._send(datagram)

    @abstractmethod
    def _datagram(self, line: str) -> bytes: ...

    def _send(self, datagram: bytes) -> None:
        self._socket.send(datagram)

    def fileno(self) -> int:
        """See Sink."""
        return self._socket.fileno()

    def close(self) -> None:
        """See Sink."""
        self._socket.close()


class Syslog(_Datagrams):
    """The local one. Source: RFC 3164, and what the C library's syslog() sends."""

    form, end = "<%(priority)d>NAME: %(message)s", "\0"

    def __init__(self) -> None:
        super().__init__(_SYSLOG)

    def _datagram(self, line: str) -> bytes:
        return _encoded(line)


class Journal(_Datagrams):
    """systemd's, by its native protocol. Source: systemd.io/JOURNAL_NATIVE_PROTOCOL."""

    form, end = "%(priority)d %(message)s", ""

    def __init__(self) -> None:
        super().__init__(_JOURNAL)

    def _datagram(self, line: str) -> bytes:
        priority, _, text = line.partition(" ")
        severity = int(priority) % 8
        head = f"PRIORITY={severity}\nSYSLOG_FACILITY={_FACILITY_MAIL}\nSYSLOG_IDENTIFIER=bley{_fields(text)}\n"
        message = _encoded(text)
        if b"\n" in message:  # a traceback
            return b"%sMESSAGE\n%s%s\n" % (_encoded(head), len(message).to_bytes(8, "little"), message)
        return b"%sMESSAGE=%s\n" % (_encoded(head), message)

    def _send(self, datagram: bytes) -> None:
        try:
            super()._send(datagram)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_file(datagram)

    def _send_file(self, datagram: bytes) -> None:
        """One that is too large, in memory that we promise not to change."""
        file = os.memfd_create("bley", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(file, "wb", closefd=False) as memory:
                memory.write(datagram)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            socket.send_fds(self._socket, [b""], [file])
        finally:
            os.close(file)


def _fields(text: str) -> str:
    """The fields of a line that has some, each behind a line end; a list's own words are one to the end."""
    if not text.startswith(("action=", "listed_by=")):
        return ""
    fields, says, words = text.partition(", list_says=")
    told = _FIELD.sub(lambda field: _name(field[1]), fields)
    return f"{told}\nBLEY_LIST_SAYS={words}" if says else told


@cache
def _name(field: str) -> str:
    """Of a field, with what stands around it; there are some thirty."""
    return f"\nBLEY_{field.upper().replace('-', '_')}="


def _encoded(line: str) -> bytes:
    return line.encode(errors="backslashreplace")
