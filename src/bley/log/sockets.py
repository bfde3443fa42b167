"""Log sinks on a local datagram socket, one datagram per line: syslog, and systemd's journal.

The journal gets fields besides the line, as for `journalctl BLEY_ACTION=greylist`. They are parsed from the line when
it is written. The line's values are escaped, so no client can forge a field (decision_line.py). Other sinks, and the
lines of known mail, bear no cost.
"""

import errno
import fcntl
import logging
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
"""Values have no space, so every word after a space is a name."""

_FACILITY_MAIL = 2
_SEVERITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""RFC 5424 6.2.1."""

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class _Datagrams(ABC):
    """Sends each line as a datagram, and reconnects after the receiver was restarted."""

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
        """Send the lines."""
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
        except OSError:  # the receiver was restarted
            if self._socket.fileno() < 0:
                raise  # this sink is closed
            old, self._socket = self._socket, self._connected()
            old.close()
            self._send(datagram)

    @abstractmethod
    def _datagram(self, line: str) -> bytes: ...

    def _send(self, datagram: bytes) -> None:
        self._socket.send(datagram)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Syslog(_Datagrams):
    """The local syslog. Source: RFC 3164, and the datagrams of the C library's syslog()."""

    end = "\0"

    def __init__(self) -> None:
        super().__init__(_SYSLOG)

    def head(self, _second: int, level: int) -> str:
        """Return priority (RFC 5424 6.2.1) and process. syslog adds the time."""
        return f"<{8 * _FACILITY_MAIL + _severity(level)}>bley[{os.getpid()}]: "

    def _datagram(self, line: str) -> bytes:
        return _encoded(line)


class Journal(_Datagrams):
    """systemd's journal, in its native protocol. Source: systemd.io/JOURNAL_NATIVE_PROTOCOL."""

    end = ""

    def __init__(self) -> None:
        super().__init__(_JOURNAL)

    def head(self, _second: int, level: int) -> str:
        """Return the severity, which becomes a field. The journal adds time and process."""
        return f"{_severity(level)} "

    def _datagram(self, line: str) -> bytes:
        severity, _, text = line.partition(" ")
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
        """Send a datagram that is too large for the socket in a sealed memory file."""
        file = os.memfd_create("bley", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(file, "wb", closefd=False) as memory:
                memory.write(datagram)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            socket.send_fds(self._socket, [b""], [file])
        finally:
            os.close(file)


def _severity(level: int) -> int:
    return _SEVERITIES.get(level, _SEVERITIES[logging.INFO])


def _fields(text: str) -> str:
    """Return the fields of a line, each after a line end. A list's own explanation extends to the end of the line."""
    if not text.startswith(("action=", "listed_by=")):
        return ""
    fields, says, words = text.partition(", list_says=")
    named = _FIELD.sub(lambda field: _name(field[1]), fields)
    return f"{named}\nBLEY_LIST_SAYS={words}" if says else named


@cache
def _name(field: str) -> str:
    """Return a field's journal name with its delimiters; there are some thirty names."""
    return f"\nBLEY_{field.upper().replace('-', '_')}="


def _encoded(line: str) -> bytes:
    return line.encode(errors="backslashreplace")
