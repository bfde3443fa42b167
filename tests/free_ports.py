"""Free ports of 127.0.0.1, for servers that need one assigned and for addresses without a listener."""

import errno
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle

__all__ = ["free_port", "listen_at"]

_PORTS = range(20_000, 32_500)
"""Ports below Linux's ip_local_port_range: the kernel assigns none of them to port 0 or to an outgoing connection."""

_BLOCK = 500
"""The number of ports of each process: 25 processes may run tests at once."""

_CLAIMS: list[socket.socket] = []
"""Sockets that reserve this process's block until it ends, in whatever way."""


def free_port() -> int:
    """Return a port without a listener, by TCP or UDP, that no other test run of this machine gets.

    This process gets it again only after hundreds of others.
    """
    for port in _own_ports():
        try:
            for listening in listen_at(port):
                listening.close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return port
    raise AssertionError("unreachable: the ports are a circle")


def listen_at(port: int, host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    """Return sockets for TCP and UDP at this port. Raises OSError if one is in use."""
    tcp = socket.create_server((host, port))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.bind(tcp.getsockname())
    except OSError:
        tcp.close()
        udp.close()
        raise
    return tcp, udp


@cache
def _own_ports() -> Iterator[int]:
    """Return the ports of an unclaimed block. A claim is an abstract Unix socket, which leaves no file."""
    for start in range(_PORTS.start, _PORTS.stop, _BLOCK):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0bley tests use ports from {start}")
        except OSError:
            claim.close()
        else:
            _CLAIMS.append(claim)
            return cycle(range(start, start + _BLOCK))
    raise AssertionError(f"{_PORTS} are in use by other test runs")
