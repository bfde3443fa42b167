"""Ports of 127.0.0.1 for servers that must be told theirs, and for places where nobody listens."""

import errno
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle

__all__ = ["free_port", "listen_at"]

_PORTS = range(20_000, 32_500)
"""Below Linux's ip_local_port_range: no port 0 and no outgoing connection, of any program, is given one of them."""

_BLOCK = 500
"""So many belong to each process: 25 may run tests at once."""

_CLAIMS: list[socket.socket] = []
"""What holds this process's block until it ends, however it ends."""


def free_port() -> int:
    """A port where nobody listens, by TCP or UDP; no other test run of this machine is given it.

    This process is given it again only after hundreds of others.
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


def listen_at(port: int) -> tuple[socket.socket, socket.socket]:
    """Sockets for TCP and UDP at this port; raises OSError where one is in use."""
    tcp = socket.create_server(("127.0.0.1", port))
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
    """Those of a block that no other process has claimed: a claim is an abstract Unix socket, which leaves no file."""
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
