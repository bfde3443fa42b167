"""`bley top` goes on where the store does not answer."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime

import pytest

from bley.commands.top.display import Display
from bley.core.history.periods import Period
from bley.core.history.statistics import Count
from bley.settings.file import load
from tests.fakes import FakeHistory


class HangingHistory(FakeHistory):
    """Does not answer the first question."""

    asked = 0

    async def counts(self, period: Period, now: datetime, kinds: Collection[str] = ()) -> Mapping[Count, int]:
        self.asked += 1
        if self.asked == 1:
            await asyncio.Event().wait()
        return {}


async def test_a_store_that_does_not_answer_is_an_error_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bley.commands.top.display._STORE_SECONDS", 0.05)
    display = Display(HangingHistory(), load(), 1.0)
    assert (await display._poll_store()).error == "memory: no answer within 0.05 s"
    assert (await display._poll_store()).error == ""
