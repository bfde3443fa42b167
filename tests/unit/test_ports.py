"""The clocks that bley goes by."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from bley.ports import steady_now, utc_now


def test_the_system_s_clock_is_in_utc() -> None:
    before = time.time()
    now = utc_now()
    assert now.tzinfo is UTC
    assert before - 0.001 <= now.timestamp() <= time.time() + 0.001


def test_the_steady_clock_goes_on_whatever_the_system_s_is_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 10.0)
    before = steady_now()
    monkeypatch.setattr(time, "monotonic", lambda: 12.5)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert steady_now() - before == timedelta(seconds=2.5)
    assert steady_now() > datetime(2000, 1, 1, tzinfo=UTC)
