"""Connections to the store are encrypted, and the certificates of real servers are verified."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bley.core.errors import StoreError
from bley.settings.database import parse_database
from bley.store.engine import RemoteChanges
from bley.store.opening import open_engine
from tests.integration.databases import MariadbServer, PostgresqlServer, RefusedError
from tests.integration.redis_servers import RedisServer
from tests.integration.servers import reachable_folder


@pytest.fixture(scope="module", params=[PostgresqlServer, MariadbServer, RedisServer], ids=["pgsql", "mysql", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    with reachable_folder() as folder, request.param(Path(folder), tls=True) as server:
        yield server


async def _news(url: str) -> RemoteChanges:
    sockets = _sockets()
    engine = open_engine(parse_database(url))
    try:
        await engine.prepare()
        return await engine.remote_changes()
    finally:
        await engine.close()
        await _sockets_closed(sockets)


def _sockets() -> set[str]:
    """Return the sockets of this process."""
    found = set()
    for number in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of this very listing
            found.add(str(number.readlink()))
    return {name for name in found if name.startswith("socket:")}


async def _sockets_closed(before: set[str]) -> None:
    """Wait for the end of TLS, which aiomysql does not await: a loop that ends before leaves the socket open."""
    async with asyncio.timeout(60):
        while _sockets() - before:  # noqa: ASYNC110 (no event to await)
            await asyncio.sleep(0.01)


async def test_a_certificate_of_the_given_authority_is_verified(server: Any) -> None:
    assert await _news(f"{server.new_database()}?tls=verify&ca={server.ca_file}") == RemoteChanges(0, has_any=False)


async def test_a_certificate_of_nobody_known_is_refused(server: Any) -> None:
    with pytest.raises(StoreError, match=r"(?i)certificate"):
        await _news(f"{server.new_database()}?tls=verify")


async def test_without_verifying_it_is_only_encrypted(server: Any) -> None:
    assert await _news(f"{server.new_database()}?tls=on") == RemoteChanges(0, has_any=False)


def test_without_encryption_the_server_takes_nobody(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server refuses it, so the connection of the test above is encrypted."""
    monkeypatch.setattr(server, "tls", False)
    with pytest.raises(RefusedError):
        server.ask("SELECT 1", server.url)
    monkeypatch.undo()
    server.ask("SELECT 1", server.url)
