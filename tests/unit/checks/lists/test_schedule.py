"""When a list is tested next."""

import asyncio

import pytest

from bley.checks.lists.schedule import SelfTestSchedule

pytestmark = pytest.mark.leaps


async def seconds(schedule: SelfTestSchedule, *, is_tested: bool = True, is_ill: bool = False) -> float:
    """How long it waits, to the nearest second."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await schedule.wait(is_tested=is_tested, is_ill=is_ill)
    return round(loop.time() - started)


async def test_well_list_is_tested_every_hour() -> None:
    schedule = SelfTestSchedule()
    assert [await seconds(schedule) for _ in range(2)] == [3600, 3600]


async def test_ill_list_is_tested_with_backoff_until_it_is_well_for_an_hour() -> None:
    schedule = SelfTestSchedule()
    assert [await seconds(schedule, is_ill=True) for _ in range(8)] == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    await seconds(schedule)
    assert await seconds(schedule, is_ill=True) == 60


async def test_list_is_tested_again_soon_while_the_dns_is_silent() -> None:
    assert await seconds(SelfTestSchedule(), is_tested=False) == 5


async def test_request_ends_the_interval_and_does_not_reset_the_backoff() -> None:
    schedule = SelfTestSchedule()
    assert await seconds(schedule, is_ill=True) == 60
    schedule.request()
    assert await seconds(schedule) == 0
    assert await seconds(schedule, is_ill=True) == 120


async def test_doubts_bring_about_one_test_a_minute() -> None:
    schedule = SelfTestSchedule()
    for expected in (0, 60, 60):
        for _ in range(3):
            schedule.doubt()
        assert await seconds(schedule) == expected


async def test_test_for_another_reason_ends_a_doubt_too() -> None:
    schedule = SelfTestSchedule()
    schedule.doubt()
    await seconds(schedule)
    schedule.doubt()
    schedule.request()
    assert await seconds(schedule) == 0
    assert await seconds(schedule) == 3600
