"""The execution of the SQL engine's work, which is written without await, so that it runs on both kinds of drivers.

SQLite runs in a thread of its own, a whole transaction at a time. With aiosqlite each statement would cost four
switches between threads, ten times as long as the work itself.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bley.core.errors import BusyError, RefusedError, StoreError
from bley.store.dialects import Dialect
from bley.store.driver_errors import VALUE_ERRORS
from bley.store.engine import is_closed_connection

if TYPE_CHECKING:  # 8 MB, which SQLite does not need
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["AsyncRunner", "Runner", "ThreadRunner", "Transactions"]

_TRIES = 5
"""The attempts at a transaction that conflicts with another node's."""

_STEPS_BETWEEN_CHECKS = 100_000
"""Steps of SQLite's virtual machine, some 1 ms, between two checks whether a read is cancelled."""

_T = TypeVar("_T")


class Runner(Protocol):
    """Runs work on a connection, one piece at a time."""

    async def run(self, work: Callable[[sa.Connection], _T]) -> _T:
        """Return the work's result, or raise its error; uncommitted changes are rolled back."""

    async def disconnect(self) -> None:
        """Close the connection; the next work gets a new one."""

    async def close(self) -> None:
        """Close the connection for good."""


class AsyncRunner:
    """Runs work on an asynchronous driver. Cancelled work ends with its connection."""

    def __init__(self, database: "AsyncEngine") -> None:
        self._database = database

    async def run(self, work: Callable[[sa.Connection], _T]) -> _T:
        async with self._database.connect() as connection:
            return await connection.run_sync(work)

    async def disconnect(self) -> None:
        await self._database.dispose()

    async def close(self) -> None:
        await self._database.dispose()


class ThreadRunner:
    """Runs work in a thread. Cancelled work that is already running is awaited: it cannot be stopped, and may commit.

    With `only_reads` it is interrupted instead, and not awaited.
    """

    def __init__(self, database: sa.Engine, *, only_reads: bool = False) -> None:
        self._database, self._only_reads = database, only_reads
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    async def run(self, work: Callable[[sa.Connection], _T]) -> _T:
        is_cancelled = threading.Event()
        return await self._in_thread(lambda: self._run(work, is_cancelled), is_cancelled)

    def _run(self, work: Callable[[sa.Connection], _T], is_cancelled: threading.Event) -> _T:
        with self._database.connect() as connection:
            if self._only_reads:
                # Not Connection.interrupt, which has no effect between two statements.
                driver: Any = connection.connection.driver_connection
                driver.set_progress_handler(is_cancelled.is_set, _STEPS_BETWEEN_CHECKS)
            return work(connection)

    async def disconnect(self) -> None:
        await self._in_thread(self._database.dispose)

    async def close(self) -> None:
        try:
            await self.disconnect()
        except asyncio.CancelledError:
            self._thread.shutdown(wait=False, cancel_futures=True)
            raise
        self._thread.shutdown()

    async def _in_thread(self, do: Callable[[], _T], is_cancelled: threading.Event | None = None) -> _T:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        job = self._thread.submit(do)
        job.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(_wake, ended))
        try:
            await ended
        except asyncio.CancelledError:
            if not job.cancel():
                await self._end(asyncio.wrap_future(job), is_cancelled)
            raise
        if job.cancelled():  # by `close`
            raise asyncio.CancelledError
        return job.result()

    async def _end(self, future: "asyncio.Future[Any]", is_cancelled: threading.Event | None) -> None:
        if self._only_reads and is_cancelled:
            is_cancelled.set()
            future.cancel()
        else:
            await asyncio.wait([future])
            future.exception()  # mark it as retrieved, so that asyncio does not log it


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():  # it was cancelled
        future.set_result(None)


class Transactions:
    """Runs whole transactions on a runner; a transaction that conflicts with another is retried."""

    def __init__(self, runner: Runner, dialect: Dialect, *, read_only: bool = False) -> None:
        self._runner, self._dialect, self._read_only = runner, dialect, read_only
        self._errors: tuple[type[BaseException], ...] = (SQLAlchemyError, *VALUE_ERRORS, *dialect.errors, RuntimeError)

    async def run(self, work: Callable[[sa.Connection], _T], *, writes: bool = True) -> _T:
        """Commit the work and return its result. Any failure raises StoreError, and the next transaction reconnects."""

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
                if self._dialect.is_refusal(error):
                    raise RefusedError(self._dialect.message(error)) from error
                if tries_left and self._dialect.is_transient(error):
                    continue
                await self._runner.disconnect()
                kind = BusyError if self._dialect.is_busy(error) else StoreError
                raise kind(self._dialect.message(error)) from error
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def of_another_connection(self) -> Iterator[None]:
        """Let a failure of another connection to the database raise StoreError too."""
        errors: tuple[type[BaseException], ...] = (SQLAlchemyError, *self._dialect.errors)
        try:
            yield
        except errors as error:
            raise StoreError(self._dialect.message(error)) from error

    async def close(self) -> None:
        """Close the connection for good."""
        await self._runner.close()
