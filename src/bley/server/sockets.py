"""Sockets to listen at: opened so that nobody else's place is taken, and shared by several workers.

Each worker has TCP sockets of its own, among which the kernel divides new connections (SO_REUSEPORT, socket(7)). Unix
sockets, and sockets that somebody else has opened, are one for all of them. Source of the rules for binding: ip(7) and
inet_csk_bind_conflict in Linux' net/ipv4/inet_connection_sock.c.
"""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bley.core.errors import Fault, SettingsError

__all__ = ["BACKLOG", "WorkerSockets", "in_words", "naming", "unix_socket"]

BACKLOG = 1024


class WorkerSockets:
    """The sockets of all workers, bound; a worker that is ready listens. `passed` ones stand instead of addresses.

    A worker's TCP sockets stay open when it has died, so that who waits there is answered by the next with its number,
    until they are released: then others are connected to.
    Raises SettingsError when an address cannot be used, because another process listens there, say.
    """

    def __init__(self, addresses: Sequence[str], port: int, unix_mode: int, passed: Sequence[socket.socket]) -> None:
        self._shared = list(passed)
        self._unix_paths: list[Path] = []
        self._holders: list[socket.socket] = []
        """One for each place of TCP; never listened at, they hold the place, with its number where port was 0."""
        self._own: dict[int, list[socket.socket]] = {}
        for address in () if passed else addresses:
            try:
                with naming(address):
                    self._open(address, port, unix_mode)
            except SettingsError:
                self.close()
                raise

    def _open(self, address: str, port: int, unix_mode: int) -> None:
        if address.startswith("unix:"):
            path = Path(address.removeprefix("unix:"))
            self._shared.append(unix_socket(path, unix_mode))
            self._unix_paths.append(path)
            return
        found = socket.getaddrinfo(address.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, name in dict.fromkeys((family, name) for family, *_, name in found):
            self._holders.append(_bound(family, name))
            # Only now: before, it would have been bound beside another process of this user that shares its port.
            self._holders[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def of(self, number: int) -> list[socket.socket]:
        """A worker's, in the order of the addresses but shared ones last. Raises OSError when one cannot be bound."""
        if number not in self._own:
            own: list[socket.socket] = []
            try:
                own += (_bound(holder.family, holder.getsockname(), shares_port=True) for holder in self._holders)
            except OSError:
                _close(own)
                raise
            self._own[number] = own
        return [*self._own[number], *self._shared]

    def release(self, number: int) -> None:
        """This worker takes no connections for a while."""
        _close(self._own.pop(number, ()))

    def close(self) -> None:
        """Let go of all; what is in workers' hands still works for them."""
        _close(self._holders)
        for number in list(self._own):
            self.release(number)
        _close(self._shared)
        for path in self._unix_paths:
            path.unlink(missing_ok=True)

    @property
    def places(self) -> list[str]:
        """Where, in words."""
        return [in_words(sock.getsockname()) for sock in (*self._holders, *self._shared)]


def _bound(family: socket.AddressFamily, name: tuple[object, ...], *, shares_port: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of bley's last run may linger
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shares_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(name)
    except OSError:
        sock.close()
        raise
    return sock


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


@contextlib.contextmanager
def naming(address: str) -> Iterator[None]:
    """What goes wrong inside is a fault of this address: raises SettingsError."""
    try:
        yield
    except (OSError, ValueError) as error:  # a name with NUL, or that cannot be encoded
        why = getattr(error, "strerror", None) or error
        raise SettingsError([Fault("listen_addr", 0, f"cannot listen at {address}: {why}")]) from error


def unix_socket(path: Path, mode: int) -> socket.socket:
    """A bound unix socket; one that a dead process left behind is replaced, a living one's is not."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.setblocking(False)
                if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
                    raise OSError(errno.EADDRINUSE, "another process listens there")
            path.unlink()
        else:
            raise OSError(errno.ENOTSOCK, "there is a file that is no socket")
    sock = socket.socket(socket.AF_UNIX)
    try:
        old = os.umask(0o777)  # nobody may connect before the mode is set
        try:
            sock.bind(str(path))
        finally:
            os.umask(old)
        path.chmod(mode)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def in_words(name: object) -> str:
    """A socket's name as the settings write it."""
    if not isinstance(name, tuple):
        return f"unix:{name}"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
