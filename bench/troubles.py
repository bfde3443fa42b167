"""Faults and events of a soak: reloads, rotations, failing DNS lists, store outages, visitors."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol, Self

from tests.integration.stores import Servers

from bench.hostile_dns import ListTroubles
from bench.running import Bley
from bench.standing import get_page
from bley.core.endpoint import split_endpoint
from bley.settings.database import Database, parse_database

__all__ = ["OUTAGES", "Outage", "Troubles"]

_AWAY_SECONDS = 3.0
_PAUSE_SECONDS = 1.5
_LOOK_SECONDS = 1.0
_RELOAD_SECONDS = 60.0
"""A limit that only a hanging reload reaches."""

_AT_ONCE = 4
"""The number of simultaneous requests for each page."""

_BAD: list[dict[str, object]] = [
    {"resolver": "127.0.0.1:5_3"},
    {"resolver": "[fe80::1%nope]:53"},
    {"greylist_perod": 5},
    {"dnsbls": "good.example=127.0.0.x"},
    {"whitelist_clients_file": "missing"},
    {"rfc_threshold": "none"},
]
_PAGES = ("/metrics", "/healthz", "/readyz", "/", "/?range=12h", "/lists", "/search?q=example", "/search?q=::1",
          "/search?q=.", "/search?q=jane@example.org", "/search.csv?q=spam1.example", "/nowhere")  # fmt: skip


class Outage(Protocol):
    """A store with outages; its servers run within the `with` block."""

    settings: dict[str, object]
    database: Database

    def __enter__(self) -> Self:
        """Start the servers."""

    def __exit__(self, *_: object) -> None:
        """Stop the servers."""

    def begin(self) -> None:
        """Begin an outage."""

    def end(self) -> None:
        """End the outage."""


class LockedSqlite:
    """An outage by a second connection that holds SQLite's lock."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "bley.db"
        self.settings: dict[str, object] = {}
        self.database = parse_database(f"sqlite:///{self._file}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: there is no server."""

    def begin(self) -> None:
        """Take the lock."""
        self._connection = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA busy_timeout = 5000")
        self._connection.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        """Release the lock."""
        with closing(self._connection):
            self._connection.execute("ROLLBACK")


class StoppedServer:
    """An outage by a stopped database server."""

    def __init__(self, engine: str, folder: Path) -> None:
        self._servers = Servers(folder / "servers")
        (folder / "servers").mkdir(parents=True)
        url = self._servers.new_url(engine)
        self._server: Any = self._servers.get(engine)
        self.settings: dict[str, object] = {"database": url}
        self.database = parse_database(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.close()

    def begin(self) -> None:
        """Stop the server."""
        self._server.stop()

    def end(self) -> None:
        """Start the server."""
        self._server.start()


OUTAGES: dict[str, Callable[[Path], Outage]] = {
    "sqlite": LockedSqlite,
    "postgresql": lambda folder: StoppedServer("postgresql", folder),
    "mariadb": lambda folder: StoppedServer("mariadb", folder),
    "redis": lambda folder: StoppedServer("redis", folder),
}


class Troubles:
    """Causes the events one after the other."""

    def __init__(self, bley: Bley, lists: ListTroubles, outage: Outage) -> None:
        self._bley, self._lists, self._outage = bley, lists, outage
        self.figures = dict.fromkeys(("reloads", "refused reloads", "rotations", "outages", "pages"), 0)
        self.log_files = [bley.log_file]
        self._faults: list[str] = []
        self._bad = cycle(_BAD)

    def faults(self, count_lines: Callable[[str], int]) -> list[str]:
        """Return the faults; `count_lines` counts the log lines that end with a text."""
        taken, refused = count_lines("]: reloaded"), count_lines("not reloaded: the old settings stay")
        expected = self.figures["reloads"] + self.figures["rotations"], self.figures["refused reloads"]
        wrong = [] if (taken, refused) == expected else [f"{taken} reloads taken, {refused} refused, not {expected}"]
        return self._faults + wrong

    async def make(self, stopping: asyncio.Event, *, is_first: bool) -> None:
        """Cause events until `stopping`; at first at least one of each kind."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            self._reload,
            self._change_a_list,
            self._reload_badly,
            self._take_the_store_away,
            self._rotate,
            self._silence_the_dns,
        ]
        if is_first:
            for kind in kinds:
                await kind()
        for kind in cycle(kinds):
            if stopping.is_set():
                return
            await kind()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def look(self, stopping: asyncio.Event) -> None:
        """Request pages until `stopping`, and abandon each of them once."""
        for path in cycle(_PAGES):
            if stopping.is_set():
                return
            await self._look_at(path)
            await self._leave(path)
            await asyncio.sleep(_LOOK_SECONDS)

    async def look_at_all(self) -> None:
        """Request all pages at once, several times each."""
        await asyncio.gather(*(self._look_at(path) for path in _AT_ONCE * _PAGES))

    async def _look_at(self, path: str) -> None:
        self.figures["pages"] += 1
        try:
            page = await get_page(self._bley, path)
        except (TimeoutError, ConnectionError) as error:
            self._faults.append(f"{path}: {error!r}")
            return
        status = page[9:12]
        if status not in ("200", "404", "503"):
            self._faults.append(f"{path}: {page[:40]!r}")

    async def _leave(self, path: str) -> None:
        host, port = split_endpoint(self._bley.web_place, 0)
        _, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._bley.web_place}\r\n\r\n".encode())
        writer.transport.abort()

    async def _reload(self) -> None:
        self.figures["reloads"] += 1
        self._bley.write_settings(reject_msg=f"greylisted, try again later ({self.figures['reloads']})")
        await self._reloaded()

    async def _reload_badly(self) -> None:
        self.figures["refused reloads"] += 1
        self._bley.write_settings(**next(self._bad))
        await self._reloaded()
        self._bley.write_settings()

    async def _rotate(self) -> None:
        self.figures["rotations"] += 1
        rotated = self._bley.log_file.with_suffix(f".{self.figures['rotations']}")
        self._bley.log_file.rename(rotated)
        self.log_files.append(rotated)
        await self._reloaded()

    async def _reloaded(self) -> None:
        """Reload, and wait until it is applied or refused: two signals at once would be one."""
        begun = {file: len(_read(file)) for file in (self.log_files[0], self.log_files[-1])}
        self._bley.reload()
        async with asyncio.timeout(_RELOAD_SECONDS):
            while not any(b"reloaded" in _read(*part) for part in begun.items()):  # noqa: ASYNC110 (a file sends no event)
                await asyncio.sleep(0.02)

    async def _change_a_list(self) -> None:
        self._lists.next()

    async def _silence_the_dns(self) -> None:
        self._lists.silence_all(is_silent=True)
        await asyncio.sleep(_AWAY_SECONDS)
        self._lists.silence_all(is_silent=False)

    async def _take_the_store_away(self) -> None:
        self.figures["outages"] += 1
        await asyncio.to_thread(self._outage.begin)
        await asyncio.sleep(_AWAY_SECONDS)
        await asyncio.to_thread(self._outage.end)


def _read(file: Path, begin: int = 0) -> bytes:
    """Return the content of the file from this position; nothing if the file is missing."""
    try:
        with file.open("rb") as opened:
            opened.seek(begin)
            return opened.read()
    except FileNotFoundError:
        return b""
