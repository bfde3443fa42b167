"""The system's DNS servers: the lines of resolv.conf that can be used, and a fault for each that cannot.

Source: resolv.conf(5). Only `nameserver` lines are used, for bley asks for whole names only. Both resolvers get their
servers from here: c-ares alone drops the whole file for one bad `search` line, dnspython ends with an exception.
"""

from dataclasses import dataclass
from pathlib import Path

from bley.core.errors import Fault
from bley.settings.values import split_server

__all__ = ["RESOLV_CONF", "SystemServers", "read_system_servers"]

RESOLV_CONF = Path("/etc/resolv.conf")

_LOCAL = ("127.0.0.1",)
"""The server where the file names none: resolv.conf(5)."""

_MOST_BYTES = 65_536
"""Of the file, which has some hundred: a device or a log in its place must not fill the memory."""

_LONGEST_LABEL = 63  # octets, RFC 1035 2.3.4
_MOST_SHOWN = 3
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class SystemServers:
    """Servers as the setting `resolver` writes them, at least one, and the lines of `file` that are ignored."""

    servers: tuple[str, ...]
    faults: tuple[Fault, ...] = ()

    @property
    def warning(self) -> str:
        """One line that names the ignored ones; empty if there are none."""
        told = [str(fault) for fault in self.faults[:_MOST_SHOWN]]
        if more := len(self.faults) - len(told):
            told.append(f"{more} more lines are ignored")
        return "; ".join(told)


def read_system_servers(file: Path | None = None) -> SystemServers:
    """Read the servers of `file` (None: RESOLV_CONF). It may be missing, and whatever is in it, nothing is raised."""
    file = file or RESOLV_CONF
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return SystemServers(_LOCAL)
    except OSError as error:
        what = f"cannot be read: {error.strerror}; the server on this machine is asked"
        return SystemServers(_LOCAL, (Fault(str(file), 0, what),))
    servers, faults = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            servers += _servers_of(line)
        except ValueError as error:
            what = f"{line.strip()[:_LONGEST_SHOWN]!a} is ignored: {error}"
            faults.append(Fault(str(file), number, what))
    return SystemServers(tuple(servers) or _LOCAL, tuple(faults))


def _servers_of(line: str) -> list[str]:
    """The server of a line, if that is one of a server. Raises ValueError when it is bad."""
    match line.split():
        case ["nameserver", address, *_]:
            try:
                split_server(address)
            except ValueError as error:
                raise ValueError("no address of a server that can be asked") from error
            return [address]
        case ["nameserver"]:
            raise ValueError("it names no server")
        case ["search" | "domain", *names] if not all(map(_is_domain, names)):
            raise ValueError("no domain name")
    return []


def _is_domain(name: str) -> bool:
    labels = name.removesuffix(".").split(".")
    return name == "." or all(0 < len(label.encode()) <= _LONGEST_LABEL for label in labels)
