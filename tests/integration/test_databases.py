"""The database servers of the harness: what a test may rely on, each fault as a client of the server's own sees it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.integration.database_server import PASSWORD, DatabaseServer, wait_until
from tests.integration.databases import MariadbServer, PostgresqlServer, RefusedError, SqlServer, TcpProxy
from tests.integration.redis_servers import RedisCluster, RedisSentinel, RedisServer

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Words:
    """How a server is told to count, and to take its time; how it refuses who may not write, and a wrong password."""

    write: str
    read: str
    sleep: str
    refusals: tuple[str, str]


WORDS = {
    PostgresqlServer: Words(
        "INSERT INTO numbers VALUES (1)",
        "SELECT count(*) FROM numbers",
        "SELECT pg_sleep({seconds})",
        ("read-only transaction", "password authentication failed"),
    ),
    MariadbServer: Words(
        "INSERT INTO numbers VALUES (1)",
        "SELECT count(*) FROM numbers",
        "SELECT SLEEP({seconds})",
        ("ERROR 1290", "ERROR 1045"),
    ),
    RedisServer: Words("INCR numbers", "GET numbers", "BLPOP nothing {seconds}", ("READONLY", "WRONGPASS")),
}
KINDS = list(WORDS)


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """Each in turn; a test leaves it as it was."""
    with request.param(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module", params=[PostgresqlServer, MariadbServer])
def sql_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    with request.param(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("server")) as server:
        yield server


def new_numbers(server: DatabaseServer) -> str:
    """The url of a database with nothing in its table."""
    url = server.new_database()
    if isinstance(server, SqlServer):
        server.ask("CREATE TABLE numbers (number int)", url)
    return url


def write(server: DatabaseServer, url: str, seconds: float = 10) -> None:
    server.ask(WORDS[type(server)].write, url, seconds)


def read(server: DatabaseServer, url: str, seconds: float = 10) -> str:
    return server.ask(WORDS[type(server)].read, url, seconds)


@contextmanager
def sleeping(server: DatabaseServer, url: str, seconds: float) -> Iterator[Future[str]]:
    """A client that waits for an answer which comes after so many seconds."""
    statement = WORDS[type(server)].sleep.format(seconds=seconds)
    with ThreadPoolExecutor() as threads:
        client = threads.submit(server.ask, statement, url)
        wait_until(lambda: is_asked(server, statement), f"{statement} is asked")
        yield client


def is_asked(server: DatabaseServer, statement: str) -> bool:
    match server:
        case PostgresqlServer():
            return server.sql(f"SELECT 1 FROM pg_stat_activity WHERE query = '{statement}'") != ""
        case MariadbServer():
            return server.sql(f"SELECT 1 FROM information_schema.processlist WHERE info = '{statement}'") != ""
        case RedisServer():
            return "cmd=blpop" in server.admin("CLIENT", "LIST")
    raise TypeError(server)


class TestEachServer:
    def test_new_databases_are_empty_and_apart(self, server: DatabaseServer) -> None:
        """What is written in one is not in the other, and both belong to who is in the url."""
        one, other = new_numbers(server), new_numbers(server)
        empty = read(server, other)
        write(server, one)
        assert read(server, one) == "1"
        assert read(server, other) == empty != "1"

    def test_url_encodes_the_password(self, server: DatabaseServer) -> None:
        parts = urlsplit(server.url)
        assert (parts.hostname, parts.port) == ("127.0.0.1", server.port)
        assert unquote(parts.password or "") == server.password == PASSWORD
        assert server.ask(WORDS[type(server)].sleep.format(seconds=0.01)) is not None

    def test_listens_at_one_address_and_a_socket(self, server: DatabaseServer) -> None:
        assert server.socket_path.is_socket()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", server.port))

    @pytest.mark.parametrize("frozen", [False, True])
    def test_killed_server_keeps_what_it_acknowledged(self, server: DatabaseServer, frozen: bool) -> None:
        """Its clients are cut off, none gets in, and after a start all is there at the same port."""
        url = new_numbers(server)
        write(server, url)
        with sleeping(server, url, 9) as client:
            if frozen:
                server.freeze()
            server.kill()
            with pytest.raises(RefusedError):
                client.result()
        assert server.processes() == []
        with pytest.raises(RefusedError):
            read(server, url)
        server.start()
        assert read(server, url) == "1"

    def test_stopped_server_comes_back(self, server: DatabaseServer) -> None:
        url = new_numbers(server)
        write(server, url)
        server.stop()
        server.stop()
        with pytest.raises(RefusedError):
            read(server, url)
        server.start()
        assert read(server, url) == "1"

    def test_frozen_server_answers_when_it_is_thawed(self, server: DatabaseServer) -> None:
        """Nobody gets an answer, and nobody is cut off."""
        url = new_numbers(server)
        with sleeping(server, url, 0.5) as client:
            server.freeze()
            server.freeze()
            with pytest.raises(TimeoutError):
                read(server, url, 0.7)
            assert not client.done()
            server.thaw()
            client.result()
        write(server, url)

    def test_read_only_server_refuses_writers(self, server: DatabaseServer) -> None:
        url = new_numbers(server)
        write(server, url)
        server.set_read_only(True)
        with pytest.raises(RefusedError, match=WORDS[type(server)].refusals[0]):
            write(server, url)
        assert read(server, url) == "1"
        server.set_read_only(False)
        write(server, url)
        assert read(server, url) == "2"

    def test_changed_password_ends_connections(self, server: DatabaseServer) -> None:
        """The new one is in the urls from then on, and outlives a restart."""
        old = new_numbers(server)
        with sleeping(server, old, 9) as client:
            server.change_password("new 'ü'")
            with pytest.raises(RefusedError):
                client.result()
        with pytest.raises(RefusedError, match=WORDS[type(server)].refusals[1]):
            read(server, old)
        server.kill()
        server.start()
        write(server, server.url_of(urlsplit(old).path.removeprefix("/")))
        server.change_password(PASSWORD)
        assert read(server, old) == "1"

    def test_cut_network(self, server: DatabaseServer) -> None:
        """Nothing passes, no answer and no reset; what was on its way arrives when it is mended."""
        with TcpProxy(server.port) as proxy:
            url = proxy.url(new_numbers(server))
            write(server, url)
            with sleeping(server, url, 0.2) as client:
                proxy.cut()
                with pytest.raises(TimeoutError):
                    read(server, url, 0.5)
                assert not client.done()
                proxy.mend()
                client.result()
            assert read(server, url) == "1"

    def test_reset_connections(self, server: DatabaseServer) -> None:
        """Whoever waits for an answer sees the reset; the next connection is as any."""
        with TcpProxy(server.port) as proxy:
            url = proxy.url(new_numbers(server))
            with sleeping(server, url, 9) as client:
                proxy.close_all()
                with pytest.raises(RefusedError):
                    client.result()
            write(server, url)


class TestSqlServers:
    def test_locked_tables_let_writers_wait(self, sql_server: SqlServer) -> None:
        url = new_numbers(sql_server)
        with sql_server.lock_tables(url):
            assert read(sql_server, url) == "0"
            with pytest.raises(TimeoutError):
                write(sql_server, url, 0.5)
        write(sql_server, url)

    def test_locked_tables_let_readers_wait_too(self, sql_server: SqlServer) -> None:
        url = new_numbers(sql_server)
        with sql_server.lock_tables(url, readers=True), pytest.raises(TimeoutError):
            read(sql_server, url, 0.5)
        assert read(sql_server, url) == "0"

    def test_lock_ends_with_the_server(self, sql_server: SqlServer) -> None:
        url = new_numbers(sql_server)
        with sql_server.lock_tables(url):
            sql_server.kill()
        sql_server.start()
        write(sql_server, url)

    def test_superuser_is_not_kept_from_writing(self, sql_server: SqlServer) -> None:
        url = new_numbers(sql_server)
        sql_server.set_read_only(True)
        sql_server.sql("INSERT INTO numbers VALUES (1)", urlsplit(url).path[1:])
        sql_server.set_read_only(False)
        assert read(sql_server, url) == "1"

    def test_encodings(self, sql_server: SqlServer) -> None:
        """PostgreSQL has UTF-8; in MariaDB latin1 is what one gets who asks for nothing."""
        question, encoding = {
            PostgresqlServer: ("SHOW server_encoding", "UTF8"),
            MariadbServer: ("SELECT @@character_set_database", "latin1"),
        }[type(sql_server)]
        assert sql_server.ask(question, sql_server.new_database()) == encoding


class TestRedis:
    def test_full_server_refuses_writers(self, redis: RedisServer) -> None:
        url = redis.new_database()
        write(redis, url)
        redis.set_full(True)
        with pytest.raises(RefusedError, match="OOM"):
            write(redis, url)
        assert read(redis, url) == "1"
        redis.set_full(False)
        write(redis, url)

    def test_sentinel_makes_the_replica_the_master(self, tmp_path: Path) -> None:
        """It has what the master had, and the old master follows it when it is back."""
        with RedisSentinel(tmp_path) as redis:
            url = urlsplit(redis.new_database())
            assert (url.scheme, url.port, url.path) == ("redis+sentinel", redis.sentinel.port, "/mymaster/1")
            redis.master.ask("SET a 1")
            assert redis.current_master() is redis.master
            redis.master.kill()
            wait_until(lambda: redis.current_master() is redis.replica, "failover")
            assert redis.replica.ask("GET a") == "1"
            redis.replica.ask("SET b 2")
            redis.master.start()

            def follows() -> bool:
                try:
                    return redis.master.ask("GET b") == "2"
                except RefusedError:  # the sentinel closes the connections of whom it makes a replica
                    return False

            wait_until(follows, "the old master follows")

    def test_cluster_is_down_while_a_node_is(self, tmp_path: Path) -> None:
        with RedisCluster(tmp_path) as cluster:
            assert urlsplit(cluster.url).netloc.endswith(",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes))
            owner = cluster.node_of("a")
            other = next(node for node in cluster.nodes if node is not owner)
            owner.ask("SET a 1")
            with pytest.raises(RefusedError, match=f"MOVED [0-9]+ 127.0.0.1:{owner.port}"):
                other.ask("GET a")
            owner.kill()
            wait_until(lambda: "cluster_state:fail" in other.admin("CLUSTER", "INFO"), "the cluster is down")
            owner.start()
            cluster.wait_whole()
            assert owner.ask("GET a") == "1"
            cluster.new_database()
            assert owner.ask("GET a") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_tls(kind: type[DatabaseServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server proves itself by the authority in `ca_file`, and takes nobody without TLS."""
    with kind(tmp_path, tls=True) as server:
        url = new_numbers(server)
        write(server, url)
        with TcpProxy(server.port) as proxy:
            assert read(server, proxy.url(url)) == "1"
        monkeypatch.setattr(server, "tls", False)
        with pytest.raises(RefusedError):
            read(server, server.url)
        monkeypatch.undo()
        shutil.copy(server.certificate_file, server.ca_file)
        with pytest.raises(RefusedError, match=r"(?i)certificate"):
            read(server, url)


@pytest.mark.parametrize("kind", KINDS)
def test_server_that_cannot_start_says_why(kind: type[DatabaseServer], tmp_path: Path) -> None:
    with kind(tmp_path) as server:
        server.stop()
        with (
            socket.create_server(("127.0.0.1", server.port)),
            pytest.raises(RuntimeError, match=r"does not start:\n(.|\n)*[aA]ddress already in use"),
        ):
            server.start()
        server.start()


@pytest.mark.parametrize("kind", KINDS)
def test_killed_test_run_leaves_no_process(kind: type[DatabaseServer]) -> None:
    """Not even of a server that is frozen."""
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
        wait_until(lambda: not any(os.path.lexists(f"/proc/{process}/fd/0") for process in processes), "all end", 5)
    finally:
        for folder in (log_folder, place):
            shutil.rmtree(folder)


class TestTcpProxy:
    def test_client_of_a_cut_network_is_told_nothing(self, redis: RedisServer) -> None:
        """Neither that the server is dead, nor that its connection is reset, before the network is mended."""
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

    def test_reset_is_a_reset(self, redis: RedisServer) -> None:
        """No end of a connection as a server sends it that stops in order."""
        with TcpProxy(redis.port) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(b"PING\r\n")
            client.recv(1024)
            proxy.close_all()
            with pytest.raises(ConnectionResetError):
                client.recv(1024)

    def test_end_passes(self, redis: RedisServer) -> None:
        """What a client sends before it closes its half is answered."""
        with TcpProxy(redis.port) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(b"QUIT\r\n")
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read() == b"+OK\r\n"


def is_ended(client: socket.socket) -> bool:
    client.settimeout(5)
    try:
        return client.recv(1024) == b""
    except ConnectionResetError:
        return True
