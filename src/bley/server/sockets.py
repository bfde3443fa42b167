"""Listening sockets: bound only to addresses that no other process uses, and shared by several workers.

Each worker has its own TCP sockets, and the kernel distributes new connections among them (SO_REUSEPORT, socket(7)).
Unix sockets, and sockets that another process opened, are shared by all workers. The rules for binding come from ip(7)
and inet_csk_bind_conflict in Linux' net/ipv4/inet_connection_sock.c.

Only workers listen. The supervisor reserves each TCP address with a socket that it binds without SO_REUSEPORT, so that
bind fails if any process listens there, another bley of the same user included.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence

from bley.core.endpoint import format_endpoint, without_brackets
from bley.core.errors import Fault, SettingsError, StartError
from bley.server.occupants import describe_occupant
from bley.server.unix_socket import UnixAccess, UnixSocket, check_unix_socket

__all__ = ["BACKLOG", "OpenSockets", "WorkerSockets", "check_address", "listen_faults", "socket_name"]

BACKLOG = 1024
_ALL_ADDRESSES = ("0.0.0.0", "::")


class OpenSockets:
    """Bound sockets at `addresses`: TCP sockets in their order, which do not listen yet, and unix sockets, which do.

    Raises SettingsError if an address cannot be used, for example because another process listens there.
    """

    def __init__(self, addresses: Iterable[str], port: int, access: UnixAccess) -> None:
        self.tcp: list[socket.socket] = []
        self._unix_sockets: list[UnixSocket] = []
        for address in addresses:
            try:
                with listen_faults(address):
                    self._open(address, port, access)
            except SettingsError:
                self.close()
                raise
        self._close_included()

    def _close_included(self) -> None:
        """Close each TCP socket at whose address another one listens too: one of the same name, or of all addresses."""
        places: dict[tuple[object, ...], socket.socket] = {}
        for sock in self.tcp:
            places.setdefault((sock.family, *sock.getsockname()), sock)
        everywhere = {(family, port) for family, host, port, *_ in places if host in _ALL_ADDRESSES}
        kept = [
            sock
            for (family, host, port, *_), sock in places.items()
            if host in _ALL_ADDRESSES or (family, port) not in everywhere
        ]
        _close(sock for sock in self.tcp if sock not in kept)
        self.tcp = kept

    def listen(self) -> None:
        """Have the TCP sockets listen. Raises StartError, and closes all, if another process was faster."""
        for sock in self.tcp:
            try:
                with listen_faults(socket_name(sock.getsockname())):
                    sock.listen(BACKLOG)
            except SettingsError:
                self.close()
                raise

    def _open(self, address: str, port: int, access: UnixAccess) -> None:
        if address.startswith("unix:"):
            self._unix_sockets.append(UnixSocket(address, access))
            return
        self.tcp.extend(_bound(family, name) for family, name in _resolved(address, port))

    @property
    def unix(self) -> list[socket.socket]:
        """The unix sockets."""
        return [each.socket for each in self._unix_sockets]

    def remove_files(self) -> None:
        """Remove the files of the unix sockets. Call it before they are closed."""
        for each in self._unix_sockets:
            each.remove_file()

    def close(self) -> None:
        """Remove the files of the unix sockets, and close all sockets of this process."""
        self.remove_files()
        _close((*self.tcp, *self.unix))


class WorkerSockets:
    """The bound sockets of all workers; a worker that is ready calls listen(2). `passed` sockets replace the addresses.

    A worker's TCP sockets stay open after it died: its replacement answers the connections in their backlog. `release`
    closes them, so that the kernel sends new connections to the other workers. Raises SettingsError as OpenSockets.
    """

    def __init__(
        self, addresses: Sequence[str], port: int, access: UnixAccess, passed: Sequence[socket.socket]
    ) -> None:
        self._opened = OpenSockets(() if passed else addresses, port, access)
        self._reservations = self._opened.tcp
        """Never listening: they reserve the addresses, and the port that the kernel chose for 0."""
        for sock in self._reservations:
            # Set after bind: set before, bind would succeed next to another process of this user with SO_REUSEPORT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._passed = list(passed)
        self._shared = [*passed, *self._opened.unix]
        self._own: dict[int, list[socket.socket]] = {}

    def of(self, number: int) -> list[socket.socket]:
        """Return a worker's sockets in the order of the addresses, shared ones last. Raises OSError if bind fails."""
        if number not in self._own:
            own: list[socket.socket] = []
            try:
                own += (_bound(holder.family, holder.getsockname(), shares_port=True) for holder in self._reservations)
            except OSError:
                _close(own)
                raise
            self._own[number] = own
        return [*self._own[number], *self._shared]

    def release(self, number: int) -> None:
        """Close the TCP sockets of a worker that is not running, so that they take no connections."""
        _close(self._own.pop(number, ()))

    def close(self) -> None:
        """Close all sockets of this process; the workers' copies stay open."""
        self._opened.close()
        for number in list(self._own):
            self.release(number)
        _close(self._passed)

    @property
    def places(self) -> list[str]:
        """The names of the sockets."""
        return [socket_name(sock.getsockname()) for sock in (*self._reservations, *self._shared)]


def check_address(address: str, port: int, access: UnixAccess, is_own: Callable[[object], bool]) -> None:
    """Raise the SettingsError of OpenSockets for one address, and change nothing.

    An address in use is no fault if `is_own` returns True for the socket's name, the path of a unix socket.
    """
    with listen_faults(address):
        if address.startswith("unix:"):
            with _ignored_if(is_own, address.removeprefix("unix:")):
                check_unix_socket(address, access)
            return
        for family, name in _resolved(address, port):
            with _ignored_if(is_own, name):
                _bound(family, name).close()


@contextlib.contextmanager
def _ignored_if(is_own: Callable[[object], bool], place: object) -> Iterator[None]:
    """Ignore that this place is in use, if it is our own."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not is_own(place):
            raise


def _resolved(address: str, port: int) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    """Return the family and the name of each TCP socket at this address. Raises OSError."""
    found = socket.getaddrinfo(without_brackets(address), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, name) for family, *_, name in found))


def _bound(family: socket.AddressFamily, name: tuple[object, ...], *, shares_port: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of bley's last run may be in TIME_WAIT
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shares_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(name)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(error.errno, f"{error.strerror}{describe_occupant(name)}") from error
        if error.errno == errno.EACCES:
            remedy = "systemd opens a port below 1024 for bley, by bley.socket"
            raise OSError(error.errno, f"{error.strerror}: {remedy}") from error
        raise
    return sock


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


@contextlib.contextmanager
def listen_faults(address: str) -> Iterator[None]:
    """Turn an OSError of the block into a StartError, and a ValueError into a SettingsError, with the address."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name with NUL, or that cannot be encoded
        why = getattr(error, "strerror", None) or error
        kind = StartError if isinstance(error, OSError) else SettingsError
        raise kind([Fault("listen_addr", 0, f"cannot listen at {address}: {why}")]) from error


def socket_name(name: object) -> str:
    """Return a socket's name as the settings write it; an abstract one, which systemd may pass, as `unix:@NAME`."""
    if isinstance(name, tuple):
        return format_endpoint(*name[:2])
    path = os.fsdecode(name) if isinstance(name, bytes) else str(name)
    return "unix:" + path.replace("\0", "@", 1)
