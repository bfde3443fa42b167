"""The engines of store tests, each on a real server that starts when it is first needed."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from bley.settings.database import Database, parse_database
from bley.store.engine import Engine
from bley.store.history import History
from bley.store.opening import open_engine, open_history
from bley.store.redis import RedisEngine
from bley.store.sql import SqlEngine
from bley.store.sql_schema import METADATA, meta
from tests.integration.databases import MariadbServer, PostgresqlServer
from tests.integration.redis_servers import RedisCluster, RedisSentinel, RedisServer

__all__ = ["ENGINES", "OpenStore", "OpenStores", "Places", "Servers"]

_SERVERS: dict[str, Callable[[Path], Any]] = {
    "postgresql": PostgresqlServer,
    "mariadb": MariadbServer,
    "redis": RedisServer,
    "redis-sentinel": RedisSentinel,
    "redis-cluster": RedisCluster,
}
ENGINES = ["sqlite", *_SERVERS]


class Servers:
    """One server of each kind, for a whole run of tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Any] = {}
        self._stack = ExitStack()

    def get(self, engine: str) -> Any:
        """Return the running server."""
        if engine not in self._running:
            folder = self._folder / engine
            folder.mkdir()
            self._running[engine] = self._stack.enter_context(_SERVERS[engine](folder))
        return self._running[engine]

    def new_url(self, engine: str) -> str:
        """Return the URL of an empty database, as a user would write it."""
        server = self.get(engine)
        match engine:
            case "redis-sentinel":
                empty: str = server.current_master().new_database()
                access = empty.partition("@")[0].replace("redis://", "redis+sentinel://")
                number = empty.rpartition("/")[2]
                return f"{access}@{server.sentinel.host}:{server.sentinel.port}/{server.name}/{number}"
            case "redis-cluster":
                nodes = ",".join(f"{node.host}:{node.port}" for node in server.nodes)
                access = server.new_database().partition("@")[0].replace("redis://", "redis+cluster://")
                return f"{access}@{nodes}"
        url: str = server.new_database()
        return url

    def close(self) -> None:
        """Stop all servers."""
        self._stack.close()


class Places:
    """The databases of one test: for each engine one that was empty before."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self._servers, self._folder = servers, folder
        self._places: dict[str, Database] = {}

    def place(self, engine: str) -> Database:
        """Return the database of an engine, always the same in this test."""
        if engine not in self._places:
            url = f"sqlite:///{self._folder}/bley.db" if engine == "sqlite" else self._servers.new_url(engine)
            self._places[engine] = parse_database(url)
        return self._places[engine]


class OpenStore(NamedTuple):
    """A writer, and a reader of the same database."""

    engine: Engine
    history: History


class OpenStores:
    """Stores of each engine that the tests of a module share: opening one takes longer than most tests."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._open: dict[str, OpenStore] = {}

    async def empty(self, engine: str) -> OpenStore:
        """Return the store of an engine, always the same and emptied."""
        if engine in self._open:
            await _empty(self._open[engine].engine)
        else:
            place = self._places.place(engine)
            self._open[engine] = OpenStore(open_engine(place), open_history(place))
            await self._open[engine].engine.prepare()
        return self._open[engine]

    async def close(self) -> None:
        """Close all stores."""
        for store in self._open.values():
            await store.history.close()
            await store.engine.close()


async def _empty(engine: Engine) -> None:
    if isinstance(engine, SqlEngine):
        await engine._transactions.run(_delete_all)
    else:
        assert isinstance(engine, RedisEngine)
        await engine._client.flushdb()
        await engine.prepare()


def _delete_all(connection: sa.Connection) -> None:
    for table in METADATA.sorted_tables:
        connection.execute(sa.delete(table).where(meta.c.name != "schema") if table is meta else sa.delete(table))
