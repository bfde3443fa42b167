"""Where the SQL engine's work is done: it is written without await, so that it can run on either kind of driver.

SQLite works in a thread of its own, a whole transaction in one go: with aiosqlite each statement would be four
hand-overs between threads, ten times as long as the work itself.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bley.core.errors import BusyError, RefusedError, StoreError
from bley.store.dialects import VALUE_ERRORS, Dialect
from bley.store.engine import is_closed_connection

if TYPE_CHECKING:  # 8 MB, which SQLite does not need
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["AsyncRunner", "Runner", "ThreadRunner", "Transactions"]

_TRIES = 5
"""How often a transaction is begun that loses against another node's."""

_STEPS_BETWEEN_LOOKS = 100_000
"""Of SQLite's virtual machine, some 1 ms, after which a read ends that is cancelled."""

_T = TypeVar("_T")


class Runner(Protocol):
    """Does work on a connection, one piece at a time."""

    async def run(self, work: Callable[[sa.Connection], _T]) -> _T:
        """The work's result; what it raises is raised, and what it did not commit is undone."""

    async def disconnect(self) -> None:
        """The next work gets a new connection."""

    async def close(self) -> None:
        """Let go."""


class AsyncRunner:
    """On an asynchronous driver. Work that is cancelled ends with its connection."""

    def __init__(self, database: "AsyncEngine") -> None:
        self._database = database

    async def run(self, work: Callable[[sa.Connection], _T]) -> _T:
        """See Runner."""
        async with self._database.connect() as connection:
            return await connection.run_sync(work)

    async def disconnect(self) -> None:
        """See Runner."""
        await self._database.dispose()

    async def close(self) -> None:
        """See Runner."""
        await self._database.dispose()


class ThreadRunner:
    """In a thread. Work under way that is cancelled is still waited for: it cannot be undone, and may well be done.

    With `only_reads` it is interrupted instead, and not waited for.
    """

    def __init__(self, database: sa.Engine, *, only_reads: bool = False) -> None:
        self._database, self._only_reads = database, only_reads
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    async def run(self, work: Callable[[sa.Connection], _T]) -> _T:
        """See Runner."""
        is_cancelled = threading.Event()
        return await self._in_thread(lambda: self._run(work, is_cancelled), is_cancelled)

    def _run(self, work: Callable[[sa.Connection], _T], is_cancelled: threading.Event) -> _T:
        with self._database.connect() as connection:
            if self._only_reads:
                # Not Connection.interrupt, which has no effect between two statements.
                driver: Any = connection.connection.driver_connection
                driver.set_progress_handler(is_cancelled.is_set, _STEPS_BETWEEN_LOOKS)
            return work(connection)

    async def disconnect(self) -> None:
        """See Runner."""
        await self._in_thread(self._database.dispose)

    async def close(self) -> None:
        """See Runner."""
        try:
            await self.disconnect()
        except asyncio.CancelledError:
            self._thread.shutdown(wait=False, cancel_futures=True)
            raise
        self._thread.shutdown()

    async def _in_thread(self, do: Callable[[], _T], is_cancelled: threading.Event | None = None) -> _T:
        job = self._thread.submit(do)
        future = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not job.cancel():
                await self._end(future, is_cancelled)
            raise

    async def _end(self, future: "asyncio.Future[Any]", is_cancelled: threading.Event | None) -> None:
        if self._only_reads and is_cancelled:
            is_cancelled.set()
            future.cancel()
        else:
            await asyncio.wait([future])
            future.exception()  # which nobody wants to know any more


class Transactions:
    """Whole transactions on a runner, `read_only` ones if so; one that loses against another is begun again."""

    def __init__(self, runner: Runner, dialect: Dialect, *, read_only: bool = False) -> None:
        self._runner, self._dialect, self._read_only = runner, dialect, read_only
        self._errors: tuple[type[BaseException], ...] = (SQLAlchemyError, *VALUE_ERRORS, *dialect.errors, RuntimeError)

    async def run(self, work: Callable[[sa.Connection], _T], *, writes: bool = True) -> _T:
        """The work's result, committed. What goes wrong is a StoreError, and the next one connects anew."""

        def transaction(connection: sa.Connection) -> _T:
            self._dialect.begin(connection, writes=writes and not self._read_only)
            result = work(connection)
            connection.commit()
            return result

        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._runner.run(transaction)
            except self._errors as error:
                if isinstance(error, RuntimeError) and not is_closed_connection(error):
                    raise
                if self._dialect.refuses(error):
                    raise RefusedError(self._dialect.reason(error)) from error
                if tries_left and self._dialect.may_try_again(error):
                    continue
                await self._runner.disconnect()
                kind = BusyError if self._dialect.is_busy(error) else StoreError
                raise kind(self._dialect.reason(error)) from error
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Let go."""
        await self._runner.close()
