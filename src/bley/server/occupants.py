"""The processes that listen at an address, for the message that it is in use. Source: proc(5).

Without root's rights only processes of the same user are found. Elsewhere than on Linux none is.
"""

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

__all__ = ["Process", "describe_occupant", "find_occupants", "find_processes"]

_PROC = Path("/proc")
_LISTENING = "0A"  # TCP_LISTEN of Linux' include/net/tcp_states.h
_ACCEPTS_CONNECTIONS = 0x10000  # __SO_ACCEPTCON in the flags of /proc/net/unix


class Process(NamedTuple):
    """A process by its number, and its command line; `folder`: its working directory."""

    number: int
    arguments: tuple[str, ...]
    folder: Path

    @property
    def name(self) -> str:
        """The name of its program."""
        try:
            return _PROC.joinpath(str(self.number), "comm").read_text(errors="replace").strip()
        except OSError:
            return "a program"

    @property
    def is_bley(self) -> bool:
        """Whether its command line is that of a bley."""
        return any("bley" in Path(argument).name for argument in self.arguments[:3])

    def __str__(self) -> str:
        return f"{'another bley' if self.is_bley else self.name}, process {self.number}"


def describe_occupant(place: object) -> str:
    """Return `: by NAME, process NUMBER` for a socket's name; empty if no process is found.

    NAME is that of the program, or `another bley`.
    """
    occupants = find_occupants(place)
    return f": by {occupants[0]}" if occupants else ""


def find_occupants(place: object) -> list[Process]:
    """Return the processes that listen at the socket's name: an address and port, or the path of a unix socket."""
    with contextlib.suppress(OSError, ValueError):
        inodes = set(_tcp_inodes(*place[:2]) if isinstance(place, tuple) else _unix_inodes(str(place)))
        return list(_processes_with(inodes)) if inodes else []
    return []


def _tcp_inodes(host: str, port: int) -> Iterator[str]:
    own = ip_address(host)
    for file in ("net/tcp", "net/tcp6"):
        for line in _PROC.joinpath(file).read_text().splitlines()[1:]:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            is_ours = own.is_unspecified or not address.strip("0") or address == _hexadecimal(own.packed)
            if fields[3] == _LISTENING and int(number, 16) == port and is_ours:
                yield fields[9]


def _hexadecimal(packed: bytes) -> str:
    """Return an address as Linux prints it: words of four bytes, each in the machine's order."""
    words = (packed[start : start + 4] for start in range(0, len(packed), 4))
    return "".join(f"{socket.htonl(int.from_bytes(word)):08X}" for word in words)


def _unix_inodes(path: str) -> Iterator[str]:
    for line in _PROC.joinpath("net/unix").read_text(errors="surrogateescape").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == path and int(fields[3], 16) & _ACCEPTS_CONNECTIONS:
            yield fields[6]


def _processes_with(inodes: set[str]) -> Iterator[Process]:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in find_processes():
        with contextlib.suppress(OSError):  # another user's process, or one that has ended
            if any(_link(each) in wanted for each in (_PROC / str(process.number) / "fd").iterdir()):
                yield process


def find_processes() -> Iterator[Process]:
    """Yield all processes; the working directory of another user's is `/` to all but root."""
    for number in sorted(int(each.name) for each in _PROC.iterdir() if re.fullmatch("[0-9]+", each.name)):
        folder = _PROC / str(number)
        with contextlib.suppress(OSError):  # it has ended
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            yield Process(number, tuple(map(os.fsdecode, arguments)), Path(_link(folder / "cwd") or "/"))


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
