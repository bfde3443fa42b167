"""The DNS servers of the system: the usable lines of resolv.conf, and a fault for each line that is not.

Source: resolv.conf(5). Only `nameserver` lines are used, because bley queries complete names only.
Both resolvers get their servers from this module: for one bad `search` line, c-ares would ignore the whole file and
dnspython would raise an exception.
"""

from dataclasses import dataclass
from pathlib import Path

from bley.core.errors import Fault
from bley.settings.values import parse_server

__all__ = ["RESOLV_CONF", "SystemServers", "read_system_servers"]

RESOLV_CONF = Path("/etc/resolv.conf")

_LOCAL = ("127.0.0.1",)
"""The server if the file names none (resolv.conf(5))."""

_MOST_BYTES = 65_536
"""Bytes that are read. The file has some hundred; a device or a log in its place must not fill the memory."""

_LONGEST_LABEL = 63  # octets, RFC 1035 2.3.4
_MOST_SHOWN = 3
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class SystemServers:
    """At least one server, in the form of the setting `resolver`, and the faults of the lines that are ignored."""

    servers: tuple[str, ...]
    faults: tuple[Fault, ...] = ()

    @property
    def warning(self) -> str:
        """The ignored lines in one line of text; empty if there are none."""
        shown = [str(fault) for fault in self.faults[:_MOST_SHOWN]]
        if more := len(self.faults) - len(shown):
            shown.append(f"{more} more lines are ignored")
        return "; ".join(shown)


def read_system_servers(file: Path | None = None) -> SystemServers:
    """Read the servers of `file`, by default RESOLV_CONF. Raise nothing, whether it is missing or has any content."""
    file = file or RESOLV_CONF
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return SystemServers(_LOCAL)
    except OSError as error:
        what = f"cannot be read: {error.strerror}; 127.0.0.1 is used"
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
    """Return the server of a `nameserver` line, nothing of other lines. Raises ValueError for a bad line."""
    match line.split():
        case ["nameserver", address, *_]:
            try:
                parse_server(address)
            except ValueError as error:
                raise ValueError("not the address of a DNS server") from error
            return [address]
        case ["nameserver"]:
            raise ValueError("it has no address")
        case ["search" | "domain", *names] if not all(map(_is_domain, names)):
            raise ValueError("not a domain name")
    return []


def _is_domain(name: str) -> bool:
    labels = name.removesuffix(".").split(".")
    return name == "." or all(0 < len(label.encode()) <= _LONGEST_LABEL for label in labels)
