"""No reader waits for ever for the store, and an answer that hangs harms no later one."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bley.core.errors import StoreError
from bley.web.bounded_history import BoundedHistory, SingleFlightCache
from tests.fakes import FakeHistory

pytestmark = pytest.mark.leaps

SECONDS = 0.05


class Hanging(FakeHistory):
    """Answers while `hangs` is false; so does its end."""

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
    """One that opens these, one after the other, and those that it has opened."""
    left, opened = list(histories), list[Hanging]()

    def open_history() -> Hanging:
        opened.append(left.pop(0))
        return opened[-1]

    return BoundedHistory("bley.db", open_history, SECONDS), opened


class TestBoundedHistory:
    async def test_what_hangs_is_an_error_and_the_next_question_gets_a_new_connection(self) -> None:
        bounded, opened = _opening(Hanging(hangs=True), Hanging(hangs=False))
        with pytest.raises(StoreError, match=r"^bley\.db: no answer within 0\.05 s$"):
            await bounded.ask(_answer)
        assert await bounded.ask(_answer) == "answer"
        assert (opened[0].cancelled, opened[0].closed) == (1, 1)
        await bounded.close()
        assert opened[1].closed == 1

    async def test_connections_that_hang_do_not_add_up(self) -> None:
        """While one cannot even be closed, no third one is opened."""
        bounded, opened = _opening(Hanging(hangs=True, close_hangs=True), Hanging(hangs=True), Hanging(hangs=True))
        for _ in range(4):
            with pytest.raises(StoreError):
                await bounded.ask(_answer)
        assert len(opened) == 2

    async def test_a_reader_that_goes_takes_its_question_along(self) -> None:
        bounded, opened = _opening(Hanging(hangs=True))
        reader = asyncio.create_task(bounded.ask(_answer))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await asyncio.sleep(0)
        assert opened[0].cancelled == 1

    async def test_close_ends_all_questions(self) -> None:
        bounded, opened = _opening(Hanging(hangs=True))
        readers = [asyncio.create_task(bounded.ask(_answer)) for _ in range(3)]
        await asyncio.sleep(0)
        await bounded.close()
        answers = await asyncio.gather(*readers, return_exceptions=True)
        assert [str(each) for each in answers] == ["bley.db: bley is stopping"] * 3
        assert opened[0].closed == 1
        with pytest.raises(StoreError, match="bley is stopping"):
            await bounded.ask(_answer)

    async def test_close_does_not_wait_for_what_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bley.web.bounded_history._CLOSE_SECONDS", SECONDS)
        bounded, _ = _opening(Hanging(hangs=False, close_hangs=True))
        await bounded.ask(_answer)
        await bounded.close()

    async def test_an_error_of_the_store_is_the_answer(self) -> None:
        bounded, _ = _opening(Hanging(hangs=False))

        async def fail(_: object) -> None:
            raise StoreError("bley.db: disk I/O error")

        with pytest.raises(StoreError, match="disk I/O error"):
            await bounded.ask(fail)


class Asked:
    """Counts who asks; a question hangs while `hangs`."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.number, self.hangs = 0, hangs

    async def __call__(self, key: str) -> str:
        self.number += 1
        if self.hangs:
            await asyncio.Event().wait()
        return f"{key}{self.number}"


async def _given_up(get: Callable[[str], Any], key: str) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(get(key), SECONDS)


class TestSharedAnswers:
    async def test_readers_share_an_answer(self) -> None:
        asked = Asked()
        answers = SingleFlightCache(asked)
        assert tuple(await asyncio.gather(answers.get("a"), answers.get("a"), answers.get("b"))) == ("a1", "a1", "b2")

    async def test_what_nobody_waits_for_any_more_is_asked_anew(self) -> None:
        asked = Asked(hangs=True)
        answers = SingleFlightCache(asked)
        await asyncio.gather(_given_up(answers.get, "a"), _given_up(answers.get, "a"))
        assert asked.number == 1
        asked.hangs = False
        assert await answers.get("a") == "a2"

    async def test_a_reader_that_goes_leaves_the_answer_to_the_others(self) -> None:
        asked = Asked(hangs=True)
        answers = SingleFlightCache(asked)
        stays = asyncio.create_task(answers.get("a"))
        await _given_up(answers.get, "a")
        assert not stays.done()
        await _given_up(lambda _: stays, "a")
