"""The connection of a Database. Drivers are optional, and imported only when needed."""

import asyncio
import importlib
import sqlite3
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bley.core.errors import Fault, SettingsError, StoreError
from bley.settings.database import Database, DbType
from bley.store.dialects import Dialect, Mysql, Postgresql
from bley.store.engine import ANSWER_SECONDS, Engine
from bley.store.history import History
from bley.store.runners import AsyncRunner, Runner, ThreadRunner
from bley.store.sql import SqlEngine, TakeOver
from bley.store.sql_history import SqlHistory
from bley.store.sqlite_dialect import Sqlite
from bley.store.sqlite_file import open_sqlite, sqlite_uri

if TYPE_CHECKING:  # 8 MB, which SQLite does not need
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["open_engine", "open_history", "open_sql"]

_CONNECT_SECONDS = 0.9
"""The time limit of connecting: less than a request's deadline."""

_ANSWER_SECONDS = ANSWER_SECONDS - 0.5
"""The time limit of one Redis server, so that there is time left for another server of the Cluster."""

_IDLE_SECONDS = 60
"""The time after which a server closes a connection that is idle in a transaction, and rolls back.

A server does not notice for hours that the network is cut, and would hold the locks for which our next transaction
waits. MySQL closes any idle connection; each process queries remote_changes more often than that.
"""

_SERVER_OPTIONS: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "isolation_level": "READ COMMITTED"}

_DRIVERS = {"pgsql": ("asyncpg", "postgresql"), "mysql": ("aiomysql", "mysql"), "redis": ("redis", "redis")}
"""The module of each driver, and the extra of bley that installs it."""


def open_engine(
    database: Database, *, read_only: bool = False, take_over: TakeOver | None = None, leaves_no_trace: bool = False
) -> Engine:
    """Return an engine, which connects on first use. With `leaves_no_trace` it reads SQLite's file, and creates none.

    Raises SettingsError if the driver is missing, or the TLS authorities cannot be read.
    """
    if database.dbtype == "redis":
        _require_driver(database)
        from bley.store.redis import RedisEngine

        return RedisEngine(str(database), *_redis_clients(database), read_only=read_only)
    read_only |= leaves_no_trace and database.dbtype == "sqlite3"
    runner, dialect = _open_runner(database, read_only=read_only, leaves_no_trace=leaves_no_trace)
    return SqlEngine(runner, dialect, read_only=read_only, take_over=take_over)


def open_history(database: Database) -> History:
    """Return the history of the database, which has a connection of its own. Raises the errors of `open_engine`."""
    if database.dbtype == "redis":
        _require_driver(database)
        from bley.store.redis_history import RedisHistory

        return RedisHistory(str(database), *_redis_clients(database))
    return SqlHistory(*_open_runner(database, read_only=True))


def _open_runner(database: Database, *, read_only: bool, leaves_no_trace: bool = False) -> tuple[Runner, Dialect]:
    dialect = _DIALECTS[database.dbtype]
    if database.dbtype == "sqlite3":
        engine = open_sqlite(database.file, read_only=read_only, leaves_no_trace=leaves_no_trace)
        return ThreadRunner(engine, only_reads=read_only), dialect(str(database))
    return AsyncRunner(open_sql(database)), dialect(str(database))


def open_sql(database: Database) -> "AsyncEngine":
    """Return an asynchronous SQLAlchemy engine with one connection, which is read-only on SQLite.

    Raises SettingsError like `open_engine`, and StoreError if SQLite's file cannot be opened.
    """
    from sqlalchemy.ext.asyncio import create_async_engine

    if database.dbtype == "sqlite3":
        uri = sqlite_uri(database.file, "ro")
        try:  # aiosqlite's thread survives a failure to open, and may print a traceback at exit
            sqlite3.connect(uri, uri=True).close()
        except sqlite3.Error as error:
            raise StoreError(f"{database}: {error}") from error
        return create_async_engine(f"sqlite+aiosqlite:///{uri}&uri=true")
    _require_driver(database)
    if database.dbtype == "mysql":
        return create_async_engine(
            "mysql+aiomysql://",
            async_creator=partial(_connect_mysql, database, _ssl_context(database)),
            **_SERVER_OPTIONS,
        )
    host, port = database.hosts[0] if database.hosts else (None, None)
    arguments = {
        "timeout": _CONNECT_SECONDS,
        "ssl": _ssl_context(database),
        "server_settings": {"application_name": "bley"},
    } | ({"host": database.socket} if database.socket else {})
    url = sa.URL.create(
        "postgresql+asyncpg", database.user or None, database.password or None, host, port, database.name
    )
    engine = create_async_engine(url, connect_args=arguments, **_SERVER_OPTIONS)
    sa.event.listen(engine.sync_engine, "connect", _set_up_postgresql)
    return engine


async def _connect_mysql(database: Database, ssl_context: Any) -> Any:
    """Connect; aiomysql itself has no time limit for the server's greeting. Raises TimeoutError."""
    import aiomysql

    place: dict[str, Any] = {"unix_socket": database.socket}
    if database.hosts:
        host, port = database.hosts[0]
        place = {"host": host, "port": port, "ssl": ssl_context}
    async with asyncio.timeout(_CONNECT_SECONDS):
        return await aiomysql.connect(
            user=database.user,
            password=database.password,
            db=database.name,
            charset="utf8mb4",
            init_command=f"SET SESSION wait_timeout = {_IDLE_SECONDS}",
            **place,
        )


def _set_up_postgresql(connection: Any, _record: object) -> None:
    """Prefer indexes: every query has one, but PostgreSQL scans a new table sequentially until it is analysed."""
    cursor = connection.cursor()
    cursor.execute("SET enable_seqscan = off")
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
    cursor.close()
    connection.commit()


def _redis_clients(database: Database) -> tuple[Any, Sequence[Any]]:
    """Return the client, and the clients of the Sentinels."""
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import Sentinel
    from redis.backoff import NoBackoff

    access: dict[str, Any] = {"username": database.user or None, "password": database.password or None}
    common = access | {"socket_timeout": _ANSWER_SECONDS, "socket_connect_timeout": _CONNECT_SECONDS}
    common |= {"retry": Retry(NoBackoff(), 1)}  # for a connection that was closed while idle
    tls: dict[str, Any] = {}
    if database.tls != "off":
        _ssl_context(database)
        tls = {
            "ssl": True,
            "ssl_cert_reqs": "required" if database.tls == "verify" else "none",
            "ssl_check_hostname": database.tls == "verify",
            "ssl_ca_certs": database.ca_file or None,
        }
    common |= tls
    if database.redis_kind == "cluster":
        return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in database.hosts], **common), ()
    number = int(database.name)
    if database.redis_kind == "sentinel":
        untyped: Any = Sentinel
        to_sentinels = {name: value for name, value in common.items() if name not in access}
        to_sentinels["socket_timeout"] = _CONNECT_SECONDS  # they are queried one after the other
        sentinel = untyped(list(database.hosts), sentinel_kwargs=to_sentinels, db=number, **common)
        return sentinel.master_for(database.master), sentinel.sentinels
    if database.socket:
        return Redis(unix_socket_path=database.socket, db=number, **common), ()
    host, port = database.hosts[0]
    return Redis(host=host, port=port, db=number, **common), ()


_DIALECTS: dict[DbType, type[Dialect]] = {"sqlite3": Sqlite, "pgsql": Postgresql, "mysql": Mysql}


def _require_driver(database: Database) -> None:
    module, extra = _DRIVERS[database.dbtype]
    try:
        importlib.import_module(module)
    except ImportError as error:
        what = f"{database.dbtype} needs {module}, which is not installed: pip install 'bley[{extra}]'"
        what += f", in bley's environment {sys.prefix}; for Debian's own Python, apt install python3-{module}"
        raise SettingsError([Fault("dbtype", 0, what)]) from error


def _ssl_context(database: Database) -> Any:
    try:
        return database.ssl_context
    except OSError as error:
        raise SettingsError(
            [Fault("dbtls_ca", 0, f"{database.ca_file} cannot be read: {error.strerror or error}")]
        ) from error
