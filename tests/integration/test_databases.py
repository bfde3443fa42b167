"""The database servers of the harness, as far as no test of bley shows it.

test_store_failures.py shows that each fault is one, and ends: a fault without effect fails there.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.database_server import WAIT_SECONDS, DatabaseServer, wait_until
from tests.integration.databases import MariadbServer, PostgresqlServer, TcpProxy
from tests.integration.redis_servers import RedisServer
from tests.integration.stores import Servers

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server, which a test leaves as it was."""
    with RedisServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.mark.parametrize("engine", ["postgresql", "mariadb", "redis"])
def test_it_listens_at_one_address_and_a_socket(servers: Servers, engine: str) -> None:
    server: DatabaseServer = servers.get(engine)
    assert server.socket_path.is_socket()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port))


@pytest.mark.parametrize(
    ("engine", "question", "encoding"),
    [
        ("postgresql", "SHOW server_encoding", "UTF8"),
        ("mariadb", "SELECT @@character_set_database", "latin1"),
    ],
)
def test_encodings(servers: Servers, engine: str, question: str, encoding: str) -> None:
    """PostgreSQL has UTF-8; MariaDB has latin1 unless a client asks for more."""
    server = servers.get(engine)
    assert server.ask(question, server.new_database()) == encoding


def test_a_server_that_cannot_start_says_why(redis: RedisServer) -> None:
    redis.stop()
    with (
        socket.create_server(("127.0.0.1", redis.port)),
        pytest.raises(RuntimeError, match=r"does not start:\n(.|\n)*Address already in use"),
    ):
        redis.start()
    redis.start()


@pytest.mark.parametrize("kind", [PostgresqlServer, MariadbServer])
def test_a_killed_test_run_leaves_no_process(kind: type[DatabaseServer]) -> None:
    """Not even of a frozen server, be it one process, as Redis, or several."""
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        f"from {kind.__module__} import {kind.__name__}\n"
        "from tests.integration.servers import reachable_folder\n"
        f"with reachable_folder() as folder, {kind.__name__}(folder) as server:\n"
        "    server.freeze()\n"
        "    print(folder, server.place, *server.processes(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    log_folder, place, *processes = run.stdout.split()
    assert processes
    try:
        wait_until(lambda: not any(os.path.lexists(f"/proc/{process}/fd/0") for process in processes), "all end")
    finally:
        for folder in (log_folder, place):
            shutil.rmtree(folder)


class TestTcpProxy:
    def test_client_of_a_cut_network_is_told_nothing(self, redis: RedisServer) -> None:
        """The client learns of neither the dead server nor the reset connection until the network is back."""
        with TcpProxy(redis.port) as proxy:
            old = socket.create_connection(("127.0.0.1", proxy.port))
            old.sendall(b"PING\r\n")
            assert old.recv(1024).startswith(b"-NOAUTH")
            proxy.cut()
            with old, socket.create_connection(("127.0.0.1", proxy.port)) as new:
                redis.kill()
                for client in (old, new):
                    client.sendall(b"PING\r\n")
                    client.settimeout(0.2)
                    with pytest.raises(TimeoutError):
                        client.recv(1024)
                proxy.mend()
                assert is_ended(old)
                assert is_ended(new)
        redis.start()

    def test_end_passes(self, redis: RedisServer) -> None:
        """A request is answered even if the client has closed its half of the connection."""
        with TcpProxy(redis.port) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(b"QUIT\r\n")
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read() == b"+OK\r\n"


def is_ended(client: socket.socket) -> bool:
    client.settimeout(WAIT_SECONDS)
    try:
        return client.recv(1024) == b""
    except ConnectionResetError:
        return True
