"""No reader waits forever for the store, and a query that hangs does not affect later ones."""

import asyncio
from typing import Any

import pytest

from bley.core.errors import StoreError
from bley.web.bounded_history import BoundedHistory
from tests.fakes import FakeHistory

pytestmark = pytest.mark.leaps

SECONDS = 0.05


class Hanging(FakeHistory):
    """Its query hangs while `hangs`, its end while `close_hangs`."""

    def __init__(self, *, hangs: bool, close_hangs: bool = False) -> None:
        super().__init__()
        self.hangs, self.close_hangs, self.cancelled, self.closed = hangs, close_hangs, 0, 0

    async def answer(self) -> str:
        try:
            if self.hangs:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "answer"

    async def close(self) -> None:
        self.closed += 1
        if self.close_hangs:
            await asyncio.Event().wait()


def _answer(history: Any) -> Any:
    return history.answer()


def _opening(*histories: Hanging) -> tuple[BoundedHistory, list[Hanging]]:
    """A BoundedHistory that opens these one after the other, and the list of those that it has opened."""
    left, opened = list(histories), list[Hanging]()

    def open_history() -> Hanging:
        opened.append(left.pop(0))
        return opened[-1]

    return BoundedHistory("bley.db", open_history, SECONDS), opened


class TestBoundedHistory:
    async def test_a_query_that_hangs_fails_and_the_next_one_gets_a_new_connection(self) -> None:
        bounded, opened = _opening(Hanging(hangs=True), Hanging(hangs=False))
        with pytest.raises(StoreError, match=r"^bley\.db: no answer within 0\.05 s$"):
            await bounded.query(_answer)
        assert await bounded.query(_answer) == "answer"
        assert (opened[0].cancelled, opened[0].closed) == (1, 1)
        await bounded.close()
        assert opened[1].closed == 1

    async def test_connections_that_hang_do_not_accumulate(self) -> None:
        """While closing one hangs too, no third one is opened."""
        bounded, opened = _opening(Hanging(hangs=True, close_hangs=True), Hanging(hangs=True), Hanging(hangs=True))
        for _ in range(4):
            with pytest.raises(StoreError):
                await bounded.query(_answer)
        assert len(opened) == 2

    async def test_a_cancelled_reader_cancels_its_query(self) -> None:
        bounded, opened = _opening(Hanging(hangs=True))
        reader = asyncio.create_task(bounded.query(_answer))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await asyncio.sleep(0)
        assert opened[0].cancelled == 1

    async def test_close_cancels_all_queries(self) -> None:
        bounded, opened = _opening(Hanging(hangs=True))
        readers = [asyncio.create_task(bounded.query(_answer)) for _ in range(3)]
        await asyncio.sleep(0)
        await bounded.close()
        answers = await asyncio.gather(*readers, return_exceptions=True)
        assert [str(each) for each in answers] == ["bley.db: bley is stopping"] * 3
        assert opened[0].closed == 1
        with pytest.raises(StoreError, match="bley is stopping"):
            await bounded.query(_answer)

    async def test_close_does_not_wait_for_a_connection_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bley.web.bounded_history._CLOSE_SECONDS", SECONDS)
        bounded, _ = _opening(Hanging(hangs=False, close_hangs=True))
        await bounded.query(_answer)
        await bounded.close()

    async def test_an_error_of_the_store_is_raised(self) -> None:
        bounded, _ = _opening(Hanging(hangs=False))

        async def fail(_: object) -> None:
            raise StoreError("bley.db: disk I/O error")

        with pytest.raises(StoreError, match="disk I/O error"):
            await bounded.query(fail)
