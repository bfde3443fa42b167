"""Sockets that several workers share: nobody else's place is taken, and nobody waits where nobody listens."""

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bley.core.endpoint import split_endpoint
from bley.core.errors import SettingsError, StartError
from bley.server.sockets import OpenSockets, WorkerSockets
from bley.server.unix_socket import UnixAccess

ACCESS = UnixAccess()


@pytest.fixture
def sockets() -> Iterator[WorkerSockets]:
    """At a free port of 127.0.0.1."""
    sockets = WorkerSockets(["127.0.0.1"], 0, ACCESS, [])
    yield sockets
    sockets.close()


def _listening(sockets: WorkerSockets, number: int) -> socket.socket:
    (sock,) = sockets.of(number)
    sock.listen(100)
    sock.setblocking(False)
    return sock


def _port(sockets: WorkerSockets) -> int:
    return split_endpoint(sockets.places[0], 0)[1]


def _connect(sockets: WorkerSockets, count: int = 1) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", _port(sockets)), 5) for _ in range(count)]


def _accepted(sock: socket.socket) -> int:
    count = 0
    while True:
        try:
            sock.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def _close(peers: list[socket.socket]) -> None:
    for peer in peers:
        peer.close()


def test_connections_are_divided_among_the_workers(sockets: WorkerSockets) -> None:
    listening = [_listening(sockets, number) for number in (1, 2)]
    peers = _connect(sockets, 64)
    counts = [_accepted(sock) for sock in listening]
    _close(peers)
    assert sum(counts) == 64
    assert min(counts) > 0, "2 of 2 to the 64th power runs do otherwise"


def test_nobody_is_connected_to_before_a_worker_listens(sockets: WorkerSockets) -> None:
    sockets.of(1)
    with pytest.raises(ConnectionRefusedError):
        _connect(sockets)


def test_who_replaces_a_worker_gets_its_socket_with_those_who_wait_there(sockets: WorkerSockets) -> None:
    first = _listening(sockets, 1)
    peers = _connect(sockets, 3)
    assert sockets.of(1) == [first]
    assert _accepted(first) == 3
    _close(peers)


def test_a_released_worker_s_connections_go_to_the_others(sockets: WorkerSockets) -> None:
    listening = [_listening(sockets, number) for number in (1, 2)]
    sockets.release(1)
    peers = _connect(sockets, 20)
    assert _accepted(listening[1]) == 20
    _close(peers)


def test_a_released_worker_comes_back_at_the_same_port_though_nobody_else_listens(sockets: WorkerSockets) -> None:
    before = sockets.places
    _listening(sockets, 1)
    sockets.release(1)
    again = _listening(sockets, 1)
    peers = _connect(sockets, 2)
    assert _accepted(again) == 2
    assert sockets.places == before
    _close(peers)


@pytest.mark.parametrize("shares_port", [False, True])
def test_a_place_where_another_process_listens_is_not_taken(*, shares_port: bool) -> None:
    """Not even one of the same user that shares its port, another bley with workers say."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=shares_port) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError) as caught:
            WorkerSockets(["127.0.0.1"], port, ACCESS, [])
    assert str(caught.value).startswith("listen_addr: cannot listen at 127.0.0.1: Address already in use: by ")


def test_where_workers_listen_another_bley_cannot(sockets: WorkerSockets) -> None:
    _listening(sockets, 1)
    with pytest.raises(SettingsError, match="Address already in use"):
        WorkerSockets(["127.0.0.1"], _port(sockets), ACCESS, [])
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", _port(sockets)))


def test_of_several_addresses_each_worker_has_each() -> None:
    sockets = WorkerSockets(["127.0.0.1", "[::1]"], 0, ACCESS, [])
    assert [sock.family for sock in sockets.of(2)] == [socket.AF_INET, socket.AF_INET6]
    assert [place.rpartition(":")[0] for place in sockets.places] == ["127.0.0.1", "[::1]"]
    sockets.close()


def test_a_unix_socket_is_one_for_all_and_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "bley.sock"
    sockets = WorkerSockets([f"unix:{path}"], 0, UnixAccess(0o600), [])
    assert sockets.of(1) == sockets.of(2)
    assert sockets.places == [f"unix:{path}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sockets.close()
    assert not path.exists()


def test_a_unix_socket_is_taken_before_a_worker_listens(tmp_path: Path) -> None:
    """Another bley that starts at that moment does not take it for stale."""
    sockets = WorkerSockets([f"unix:{tmp_path}/s"], 0, ACCESS, [])
    with pytest.raises(SettingsError, match="another process listens there"):
        WorkerSockets([f"unix:{tmp_path}/s"], 0, ACCESS, [])
    sockets.close()


def test_an_address_that_cannot_be_had_closes_all_the_others(tmp_path: Path) -> None:
    path = tmp_path / "bley.sock"
    with pytest.raises(SettingsError) as caught:
        WorkerSockets([f"unix:{path}", "192.0.2.1"], 0, ACCESS, [])
    assert str(caught.value).startswith("listen_addr: cannot listen at 192.0.2.1: Cannot assign requested address")
    assert not path.exists()


def test_a_passed_socket_stands_instead_of_all_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        sockets = WorkerSockets(["192.0.2.1"], 0, ACCESS, [passed])
        assert sockets.of(1) == sockets.of(2) == [passed]
        assert sockets.places == [f"127.0.0.1:{passed.getsockname()[1]}"]


def test_a_worker_whose_place_was_taken_meanwhile_is_told_so(sockets: WorkerSockets) -> None:
    """By a process that does not share its port, while all workers paused."""
    with socket.create_server(("127.0.0.1", _port(sockets))), pytest.raises(OSError, match="in use"):
        sockets.of(1)


@pytest.mark.parametrize("addresses", [["127.0.0.1", "localhost"], ["127.0.0.1", "0.0.0.0"], ["0.0.0.0", "127.0.0.1"]])
def test_an_address_that_another_one_includes_is_opened_once(addresses: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    opened = OpenSockets(addresses, port, ACCESS)
    try:
        opened.listen()
        names = [sock.getsockname()[0] for sock in opened.tcp if sock.family == socket.AF_INET]
        assert names == ["0.0.0.0" if "0.0.0.0" in addresses else "127.0.0.1"]
    finally:
        opened.close()


def test_a_process_that_listens_first_at_a_bound_address_is_named_as_a_fault() -> None:
    """Linux lets both bind it while none listens."""
    first = OpenSockets(["127.0.0.1"], 0, ACCESS)
    second = OpenSockets(["127.0.0.1"], first.tcp[0].getsockname()[1], ACCESS)
    first.listen()
    with pytest.raises(StartError, match=r"listen_addr: cannot listen at 127\.0\.0\.1:\d+: Address already in use"):
        second.listen()
    assert second.tcp[0].fileno() == -1
    first.close()
