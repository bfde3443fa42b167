"""The execution of SQL work: one piece after the other, and rollback of uncommitted changes."""

import asyncio
import gc
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from bley.core.errors import StoreError
from bley.store.redis import store_errors
from bley.store.runners import AsyncRunner, Runner, ThreadRunner, Transactions
from bley.store.sqlite_dialect import Sqlite
from bley.store.sqlite_file import open_sqlite

_PATIENCE_SECONDS = 30.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "bley.db") as connection:
        connection.execute("CREATE TABLE t (number)")
    connection.close()
    return tmp_path / "bley.db"


@pytest.fixture(params=["thread", "async"])
async def runner(request: pytest.FixtureRequest, file: Path) -> AsyncIterator[Runner]:
    runner: Runner
    if request.param == "thread":
        runner = ThreadRunner(open_sqlite(file, read_only=False))
    else:
        runner = AsyncRunner(create_async_engine(f"sqlite+aiosqlite:///{file}"))
    yield runner
    await runner.close()


@pytest.fixture
async def thread_runner(file: Path) -> AsyncIterator[ThreadRunner]:
    runner = ThreadRunner(open_sqlite(file, read_only=False))
    yield runner
    await runner.close()


def _insert(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.execute(sa.text("INSERT INTO t VALUES (1)"))


def _count(connection: sa.Connection) -> int:
    count: int = connection.execute(sa.text("SELECT count(*) FROM t")).scalar_one()
    return count


def _open_files() -> set[Path]:
    return {each.resolve() for each in Path("/proc/self/fd").iterdir()}


class TestEvery:
    async def test_it_gives_the_result(self, runner: Runner) -> None:
        assert await runner.run(_count) == 0

    async def test_what_is_committed_stays(self, runner: Runner) -> None:
        def work(connection: sa.Connection) -> None:
            _insert(connection)
            connection.commit()

        await runner.run(work)
        await runner.disconnect()
        assert await runner.run(_count) == 1

    async def test_what_is_not_is_undone(self, runner: Runner) -> None:
        await runner.run(_insert)
        assert await runner.run(_count) == 0

    async def test_what_it_raises_is_raised_and_undone(self, runner: Runner) -> None:
        def fails(connection: sa.Connection) -> None:
            _insert(connection)
            raise ZeroDivisionError

        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await runner.run(fails)
            assert await runner.run(_count) == 0

    async def test_the_connection_stays_until_it_is_to_be_another(self, runner: Runner) -> None:
        def connection_of(connection: sa.Connection) -> object:
            return connection.connection.driver_connection

        first, second = await runner.run(connection_of), await runner.run(connection_of)
        await runner.disconnect()
        assert first is second
        assert await runner.run(connection_of) is not first

    async def test_one_that_was_never_asked_closes(self, runner: Runner) -> None:
        """The fixture closes it."""


async def _set(event: threading.Event) -> None:
    """Wait until the event is set."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not event.is_set():  # noqa: ASYNC110 (a thread tells)
            await asyncio.sleep(0.001)


class TestThread:
    async def test_the_loop_goes_on_meanwhile(self, thread_runner: ThreadRunner) -> None:
        may_end = threading.Event()
        working = asyncio.ensure_future(thread_runner.run(lambda _: may_end.wait(_PATIENCE_SECONDS)))
        await asyncio.sleep(0.01)
        may_end.set()
        assert await working

    async def test_it_is_one_thread_and_work_waits_for_its_turn(self, thread_runner: ThreadRunner) -> None:
        order: list[tuple[str, int]] = []

        def work(number: int) -> None:
            order.append((threading.current_thread().name, number))

        await asyncio.gather(*(thread_runner.run(lambda _, number=number: work(number)) for number in range(10)))  # type: ignore[misc]
        assert [number for _, number in order] == list(range(10))
        assert len({name for name, _ in order}) == 1
        assert order[0][0] != threading.current_thread().name

    async def test_work_that_is_cancelled_is_waited_for(self, thread_runner: ThreadRunner) -> None:
        """Otherwise the next work would use the same connection, in the middle of its transaction."""
        begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

        def work(_: sa.Connection) -> None:
            begun.set()
            may_end.wait(_PATIENCE_SECONDS)
            ended.set()

        working = asyncio.ensure_future(thread_runner.run(work))
        await _set(begun)
        working.cancel()
        await asyncio.sleep(0.01)
        assert not working.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert ended.is_set()
        assert await thread_runner.run(_count) == 0

    async def test_work_that_is_cancelled_and_fails_is_no_error_that_nobody_expects(
        self, thread_runner: ThreadRunner, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The caller has its error already."""
        begun, may_end = threading.Event(), threading.Event()

        def fails(_: sa.Connection) -> None:
            begun.set()
            may_end.wait(_PATIENCE_SECONDS)
            raise sqlite3.OperationalError("database is locked")

        working = asyncio.ensure_future(thread_runner.run(fails))
        await _set(begun)
        working.cancel()
        await asyncio.sleep(0.01)
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await working
        del working
        gc.collect()
        await asyncio.sleep(0)
        assert caplog.messages == []

    async def test_work_that_waits_behind_other_work_is_cancelled_at_once(self, thread_runner: ThreadRunner) -> None:
        may_end = threading.Event()
        working = asyncio.ensure_future(thread_runner.run(lambda _: may_end.wait(_PATIENCE_SECONDS)))
        waiting = asyncio.ensure_future(thread_runner.run(_insert))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not working.done()
        may_end.set()
        assert await working

    async def test_close_may_be_cancelled_while_work_goes_on(self, file: Path) -> None:
        """And nothing is started after that, so that the connection stays open."""
        database, begun, may_end = open_sqlite(file, read_only=False), threading.Event(), threading.Event()
        runner = ThreadRunner(database)

        def work(_: sa.Connection) -> bool:
            begun.set()
            return may_end.wait(_PATIENCE_SECONDS)

        working = asyncio.ensure_future(runner.run(work))
        await _set(begun)
        closing = asyncio.ensure_future(runner.close())
        await asyncio.sleep(0.01)
        waiting = asyncio.ensure_future(runner.run(_count))
        await asyncio.sleep(0.01)
        closing.cancel()
        for cancelled in (closing, waiting):
            with pytest.raises(asyncio.CancelledError):
                await cancelled
        may_end.set()
        assert await working
        database.dispose()

    async def test_close_ends_the_thread(self, file: Path) -> None:
        before = threading.active_count()
        runner = ThreadRunner(open_sqlite(file, read_only=False))
        await runner.run(_count)
        assert threading.active_count() == before + 1
        await runner.close()
        assert threading.active_count() == before

    async def test_close_closes_the_file(self, file: Path) -> None:
        runner = ThreadRunner(open_sqlite(file, read_only=False))
        await runner.run(_count)
        assert file in _open_files()
        await runner.close()
        assert file not in _open_files()


class TestOnlyReads:
    """A cancelled read costs nothing: SQLite is interrupted."""

    @pytest.fixture
    async def reader(self, file: Path) -> AsyncIterator[ThreadRunner]:
        runner = ThreadRunner(open_sqlite(file, read_only=True), only_reads=True)
        yield runner
        await runner.close()

    @pytest.mark.parametrize("is_between_statements", [False, True])
    async def test_work_that_is_cancelled_ends(self, reader: ThreadRunner, is_between_statements: bool) -> None:
        """Otherwise the next one would wait for ever."""
        begun, may_go_on = threading.Event(), threading.Event()
        if not is_between_statements:
            may_go_on.set()

        def count_for_ever(connection: sa.Connection) -> None:
            begun.set()
            may_go_on.wait()
            endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
            connection.exec_driver_sql(endless)

        task = asyncio.create_task(reader.run(count_for_ever))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_go_on.set()
        assert await reader.run(_count) == 0

    async def test_work_that_waits_is_never_begun_and_no_other_is_interrupted(self, reader: ThreadRunner) -> None:
        may_end, done = threading.Event(), list[str]()

        def first(connection: sa.Connection) -> int:
            may_end.wait()
            return _count(connection)

        answer = asyncio.create_task(reader.run(first))
        waiting = asyncio.create_task(reader.run(lambda _: done.append("second")))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        may_end.set()
        assert await answer == 0
        assert await reader.run(lambda _: list(done)) == []


class TestConnectionsThatCloseMeanwhile:
    """uvloop raises a bare RuntimeError, which no driver wraps."""

    CLOSED = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    async def test_they_are_the_store_s_failure(self, thread_runner: ThreadRunner, file: Path) -> None:
        def fail(_: sa.Connection) -> None:
            raise self.CLOSED

        with pytest.raises(StoreError, match="the handler is closed"):
            await Transactions(thread_runner, Sqlite(str(file))).run(fail, writes=True)
        with pytest.raises(StoreError, match="the handler is closed"), store_errors("redis"):
            raise self.CLOSED

    async def test_another_runtime_error_is_a_bug(self, thread_runner: ThreadRunner, file: Path) -> None:
        def fail(_: sa.Connection) -> None:
            raise RuntimeError("dictionary changed size during iteration")

        with pytest.raises(RuntimeError, match="changed size"):
            await Transactions(thread_runner, Sqlite(str(file))).run(fail, writes=True)
        with pytest.raises(RuntimeError, match="changed size"), store_errors("redis"):
            fail(sa.Connection.__new__(sa.Connection))
