"""The process that listens at an address, for the message that the address is in use."""

import os
import socket
from pathlib import Path

import pytest

from bley.server.occupants import describe_occupant, find_occupants


@pytest.mark.parametrize(
    ("listens_at", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("::1", "::1"),
        ("::", "::1"),
        ("::", "127.0.0.1"),
    ],
)
def test_a_listener_is_found_by_its_address_or_everywhere(listens_at: str, asked: str) -> None:
    family = socket.AF_INET6 if ":" in listens_at else socket.AF_INET
    with socket.create_server((listens_at, 0), family=family) as listener:
        [process] = find_occupants((asked, listener.getsockname()[1]))
        name = Path("/proc/self/comm").read_text().strip()
        assert process.number == os.getpid()
        assert describe_occupant((asked, listener.getsockname()[1])) == f": by {name}, process {os.getpid()}"


def test_a_listener_at_another_address_of_the_port_is_not_meant() -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        assert find_occupants(("127.0.0.1", listener.getsockname()[1])) == []


def test_a_connection_is_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as peer:
        assert find_occupants(peer.getsockname()) == []


def test_a_unix_socket_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a b"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert describe_occupant(path) == "", "it does not listen yet"
        listener.listen()
        assert [process.number for process in find_occupants(path)] == [os.getpid()]


def test_nothing_is_said_where_nobody_listens(tmp_path: Path) -> None:
    assert describe_occupant(tmp_path / "none") == describe_occupant(("no-address", 1)) == ""
