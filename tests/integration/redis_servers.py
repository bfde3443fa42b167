"""Real Redis servers of the tests: a single one, two with a sentinel, a cluster of three.

They resemble those of `databases.py`. Debian versions with Valkey instead of Redis use that: the protocol is the same.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from tests.free_ports import free_port
from tests.integration.database_server import (
    PASSWORD,
    SERVER_USER,
    WAIT_SECONDS,
    Command,
    DatabaseServer,
    database_of,
    run_client,
    wait_until,
)
from tests.integration.servers import require

__all__ = ["RedisCluster", "RedisSentinel", "RedisServer", "Sentinel"]

KIND = "valkey" if shutil.which("valkey-server") and not shutil.which("redis-server") else "redis"

# The words behind each name of redis.conf.
Settings = Mapping[str, Sequence[object]]
NO_SETTINGS: Settings = MappingProxyType({})


class RedisServer(DatabaseServer):
    """A Redis with a password and no user name; `settings` replaces or adds lines of redis.conf.

    A database is a number below 10000. Acknowledged writes survive `kill`.
    """

    scheme = "redis"
    ready = "Ready to accept connections"
    user = ""
    database = "0"

    def __init__(self, folder: Path, *, tls: bool = False, settings: Settings = NO_SETTINGS) -> None:
        require(f"{KIND}-server", f"{KIND}-server")
        super().__init__(folder, tls=tls)
        self.settings = settings

    @property
    def socket_path(self) -> Path:
        return self.socket_folder / "redis"

    def url_of(self, database: str) -> str:
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://:{quote(self.password, safe='')}@{self.host}:{self.port}/{database}"

    def new_database(self) -> str:
        return self.url_of(str(next(self.counter)))

    def admin(self, *words: object) -> str:
        """Return the answer to this command at its socket; raises RefusedError. Each item of an array is a line."""
        command: Command = [f"{KIND}-cli", "-s", self.socket_path, "-e", *map(str, words)]
        # A server without a password, as a sentinel is, refuses one.
        return run_client(command, WAIT_SECONDS, **{"REDISCLI_AUTH": self.password} if self.password else {})

    def ask(self, statement: str, url: str | None = None, seconds: float = WAIT_SECONDS) -> str:
        parts = urlsplit(url or self.url)
        place = ["-h", str(parts.hostname), "-p", str(parts.port), "-n", database_of(url or self.url)]
        tls = ["--tls", "--cacert", str(self.ca_file)] if parts.scheme == "rediss" else []
        # Not -u: with a URL without a user name it logs in as the user with the empty name.
        command = [f"{KIND}-cli", *place, *tls, "-e", *statement.split()]
        return run_client(command, seconds, REDISCLI_AUTH=unquote(parts.password or ""))

    def set_read_only(self, read_only: bool) -> None:
        # It is no replica.
        self.admin("REPLICAOF", *(("127.0.0.1", 1) if read_only else ("NO", "ONE")))

    def set_full(self, full: bool) -> None:
        """Refuse each write as if memory were full; or accept writes again."""
        self.admin("CONFIG", "SET", "maxmemory", int(full))

    def change_password(self, new: str) -> None:
        self.admin("CONFIG", "SET", "requirepass", new)
        self.password = new
        self.admin("CONFIG", "REWRITE")
        self.disconnect()

    def disconnect(self) -> None:
        self.admin("CLIENT", "KILL", "TYPE", "normal")

    def prepare(self) -> None:
        settings: dict[str, Sequence[object]] = {
            "bind": [self.host],
            "port": [0 if self.tls else self.port],
            "unixsocket": [self.socket_path],
            "unixsocketperm": [777],
            "dir": [self.data],
            "requirepass": [self.password],
            "databases": [10000],
            # It reaches the kernel before it is acknowledged: only a crash of the machine would lose a write.
            "appendonly": ["yes"],
            "appendfsync": ["no"],
            "save": [""],
        }
        if self.tls:
            settings |= {"tls-port": [self.port], "tls-auth-clients": ["no"], "tls-ca-cert-file": [self.ca_file]}
            settings |= {"tls-cert-file": [self.certificate_file], "tls-key-file": [self.key_file]}
        self.write_settings({**settings, **self.settings})

    def write_settings(self, settings: Settings) -> None:
        """Write the settings that the server starts with, and rewrites itself."""
        # Its quotes are those of C, which are also those of JSON.
        lines = (f"{name} {' '.join(json.dumps(str(word)) for word in words)}\n" for name, words in settings.items())
        self.settings_file = self.data / "redis.conf"
        self.settings_file.write_text("".join(lines))
        shutil.chown(self.settings_file, SERVER_USER)

    def command(self) -> Command:
        return [f"{KIND}-server", self.settings_file]

    def create_user(self) -> None:
        """Do nothing: the default user exists."""


class Sentinel(RedisServer):
    """A sentinel without a password; `settings` name the server that it watches."""

    ready = "Sentinel ID is"

    def prepare(self) -> None:
        self.password = ""
        place: Settings = {"bind": [self.host], "port": [self.port], "unixsocket": [self.socket_path]}
        self.write_settings({**place, "dir": [self.data], **self.settings})

    def command(self) -> Command:
        return [*super().command(), "--sentinel"]

    def start(self) -> None:
        super().start()
        # Milliseconds instead of seconds. It trusts a replica's report for five PINGs, and sends one each second.
        periods = {"PING": 300, "ASK": 300, "PUBLISH": 300, "INFO": 500}
        self.admin("SENTINEL", "DEBUG", *(word for name, time in periods.items() for word in (f"{name}-PERIOD", time)))


class RedisSentinel:
    """A `master`, its `replica`, and a `sentinel` that watches them under the name `mymaster`.

    When the master is dead or frozen for 0.8 seconds, the replica takes its place, another second later. A master that
    was only frozen accepts writes until the sentinel notifies it; these are lost.
    """

    name = "mymaster"

    def __init__(self, folder: Path) -> None:
        require(f"{KIND}-server", f"{KIND}-server")
        self._folder = folder
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        # No server waits for more replicas, or for a slow one to follow.
        settings: dict[str, Sequence[object]] = {"repl-diskless-sync-delay": [0], "shutdown-timeout": [0]}
        settings["masterauth"] = [PASSWORD]
        with ExitStack() as undo:
            self.master = undo.enter_context(RedisServer(self._folder, settings=settings))
            place = (self.master.host, self.master.port)
            self.replica = undo.enter_context(RedisServer(self._folder, settings=settings | {"replicaof": place}))
            wait_until(lambda: "state=online" in self.master.admin("INFO", "replication"), "the replica has all data")
            watched: Settings = {
                f"sentinel monitor {self.name}": [*place, 1],
                f"sentinel auth-pass {self.name}": [PASSWORD],
                f"sentinel down-after-milliseconds {self.name}": [800],
                f"sentinel failover-timeout {self.name}": [2000],
            }
            self.sentinel = undo.enter_context(Sentinel(self._folder, settings=watched))
            wait_until(self._replica_is_known, "the sentinel knows the replica")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def url(self) -> str:
        """The URL of the first database, by way of the sentinel."""
        return self.url_of(self.master.database)

    def url_of(self, database: str) -> str:
        """Return the URL of this database, by way of the sentinel."""
        place = f"{self.sentinel.host}:{self.sentinel.port}/{self.name}/{database}"
        return f"redis+sentinel://:{quote(PASSWORD, safe='')}@{place}"

    def new_database(self) -> str:
        """Return the URL of another, empty database."""
        return self.url_of(str(next(self.master.counter)))

    def current_master(self) -> RedisServer:
        """Return the current master according to the sentinel."""
        _, port = self.sentinel.admin("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name).split()
        return self.master if int(port) == self.master.port else self.replica

    def _replica_is_known(self) -> bool:
        return "master-link-status\nok" in self.sentinel.admin("SENTINEL", "REPLICAS", self.name)


class RedisCluster:
    """A cluster of three masters, `nodes`, without replicas: while one is down, the whole cluster is down.

    It has one database, whose `url` names all nodes.
    """

    def __init__(self, folder: Path) -> None:
        require(f"{KIND}-server", f"{KIND}-server")
        self._folder = folder
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.nodes = [undo.enter_context(self._new_node()) for _ in range(3)]
            for number, node in enumerate(self.nodes):
                node.admin("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                node.admin("CLUSTER", "ADDSLOTSRANGE", _first_slot(number), _first_slot(number + 1) - 1)
            for node in self.nodes[1:]:
                self.nodes[0].admin("CLUSTER", "MEET", node.host, node.port, *node.settings["cluster-port"])
            self.wait_whole()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def url(self) -> str:
        """Its URL, with all nodes."""
        return f"redis+cluster://:{quote(PASSWORD, safe='')}@{','.join(f'{n.host}:{n.port}' for n in self.nodes)}"

    def new_database(self) -> str:
        """Return the URL, after all keys were deleted."""
        for node in self.nodes:
            node.admin("FLUSHALL")
        return self.url

    def node_of(self, key: str) -> RedisServer:
        """Return the node of this key."""
        slot = int(self.nodes[0].admin("CLUSTER", "KEYSLOT", key))
        return next(node for number, node in enumerate(self.nodes) if slot < _first_slot(number + 1))

    def wait_whole(self) -> None:
        """Return as soon as all nodes see each other and all slots; that takes time after a `start` too."""
        wait_until(lambda: all(self._is_whole(node) for node in self.nodes), "the cluster is whole")

    def _new_node(self) -> RedisServer:
        settings: Settings = {
            "cluster-enabled": ["yes"],
            "cluster-port": [free_port()],
            "cluster-node-timeout": [15_000],
        }
        return RedisServer(self._folder, settings=settings)

    def _is_whole(self, node: RedisServer) -> bool:
        info = node.admin("CLUSTER", "INFO")
        return "cluster_state:ok" in info and "cluster_known_nodes:3" in info


def _first_slot(node: int) -> int:
    return node * 16384 // 3
