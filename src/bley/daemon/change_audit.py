"""The entries of starts and reloads in the store's audit, with the settings that changed.

They are written in the background, each by a connection of its own: a store that is away or slow delays no mail, and
the entries wait for it. A start is compared with the node's last entry, so that is read first.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeVar

from bley import __version__
from bley.core.errors import StoreError
from bley.core.history.audit import AuditEntry, AuditKind
from bley.core.quantity import quantity
from bley.ports import Clock
from bley.settings.database import Database
from bley.settings.file import Configuration
from bley.settings.snapshot import Snapshot, describe_changes, take_snapshot
from bley.store.engine import Engine, Mark, Marks
from bley.store.history import History
from bley.store.opening import open_engine, open_history
from bley.store.sqlite_file import is_missing

__all__ = ["ChangeAudit"]

RETRY_SECONDS = 20.0

TRY_SECONDS = 10.0
"""The time limit of one attempt."""

CLOSE_SECONDS = 2.0
"""The time limit of `close`, a part of systemd's TimeoutStopSec."""

MOST_WAITING = 100
"""The entries that wait for a store that is away, some 10 kB each; beyond it the oldest one is dropped."""

_MOST_READ = 500
"""The latest starts and reloads of all nodes, among which the last one of this node is sought."""

_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """An entry that is not written yet. That of a start has no text until the entry before it was read."""

    entry: AuditEntry
    snapshot: Snapshot
    mark: Mark


class ChangeAudit:
    """Adds starts and reloads to the audit of the store at `place`."""

    def __init__(
        self,
        place: Database,
        clock: Clock,
        engine: Callable[[Database], Engine] = open_engine,
        history: Callable[[Database], History] = open_history,
    ) -> None:
        self._place, self._clock = place, clock
        self._open_engine, self._open_history = engine, history
        self._marks = Marks()
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    def add_start(self, configuration: Configuration) -> None:
        """Queue the entry of a start with these settings."""
        snapshot = take_snapshot(configuration)
        self._add(AuditEntry(self._clock(), configuration.settings.node_name, "start", "", ""), snapshot)

    def add_reload(self, old: Configuration, new: Configuration) -> None:
        """Queue the entry of a reload, by which these settings changed."""
        snapshot = take_snapshot(new)
        what = describe_changes(take_snapshot(old), snapshot) or "no setting changed"
        self._add(AuditEntry(self._clock(), new.settings.node_name, "reload", "", what), snapshot)

    def _add(self, entry: AuditEntry, snapshot: Snapshot) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            _log.warning("audit: more than %d starts and reloads wait for the store; the oldest is lost", MOST_WAITING)
        self._waiting.append(_Waiting(entry._replace(settings=snapshot.document), snapshot, self._marks.next()))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def close(self) -> None:
        """Try a last time to write what waits, and log what is lost."""
        self._closed.set()
        if self._writer:
            await asyncio.wait([self._writer], timeout=CLOSE_SECONDS)
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        if self._waiting:
            lost = quantity(len(self._waiting), "start or reload is", "starts and reloads are")
            _log.warning("store: %s not in its audit, since it was not available", lost)

    async def _write_all(self) -> None:
        """Write all entries in their order; retry until the store takes them, at `close` once."""
        while self._waiting:
            is_last_try, waiting = self._closed.is_set(), self._waiting[0]
            try:
                async with asyncio.timeout(TRY_SECONDS):
                    await self._write(waiting)
            except (StoreError, TimeoutError) as error:
                _log.debug("audit: waits for the store: %s", error)  # whose own warning is enough
            except Exception:  # noqa: BLE001 (a bug must not keep the entry, and all after it, for ever; logged)
                _log.exception("internal error, a start or reload is not in the audit; please report it")
                self._remove(waiting)
            else:
                self._remove(waiting)
                continue
            if is_last_try:
                return
            await self._pause()

    def _remove(self, waiting: _Waiting) -> None:
        """Remove the entry, unless it was dropped meanwhile."""
        with contextlib.suppress(ValueError):
            self._waiting.remove(waiting)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await self._closed.wait()

    async def _write(self, waiting: _Waiting) -> None:
        """Write one entry. Raises StoreError."""
        if self._place.dbtype == "sqlite3" and is_missing(self._place.file):  # the first connection would create it
            raise StoreError(f"{self._place}: no bley has stored anything there")
        entry = waiting.entry
        if entry.kind == "start":
            entry = entry._replace(what=await self._describe_start(entry, waiting.snapshot))
        async with _opened(self._open_engine(self._place)) as engine:
            if not await engine.is_prepared():
                raise StoreError(f"{self._place}: its tables are not ready")
            await engine.add_audit([entry], waiting.mark)

    async def _describe_start(self, entry: AuditEntry, snapshot: Snapshot) -> str:
        """Return the changes since the last start or reload of this node."""
        async with _opened(self._open_history(self._place)) as history:
            kinds: frozenset[AuditKind] = frozenset(["start", "reload"])
            earlier = await history.audit(_ALWAYS, entry.at, kinds, _MOST_READ, with_settings=True)
        last = next((Snapshot.parse(each.settings) for each in earlier if each.node == entry.node), None)
        if last is None:
            return f"bley {__version__}"
        return describe_changes(last, snapshot) or f"bley {__version__}, no setting changed"


class _Closable(Protocol):
    async def close(self) -> None: ...


_C = TypeVar("_C", bound=_Closable)


@contextlib.asynccontextmanager
async def _opened(connection: _C) -> AsyncIterator[_C]:
    try:
        yield connection
    finally:
        await connection.close()
