"""The figures of any time until now."""

from datetime import timedelta

import pytest

from bley.commands.stats import describe_delay, gather_statistics, period_until_now
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, SenderExemptions
from bley.core.greylist import Record, Status
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.settings.values import parse_duration
from bley.store.history import span_of
from tests.fakes import NOON, FakeHistory

NOW = NOON + timedelta(minutes=34, seconds=56)
CONFIGURATION = Configuration(None, Settings(web_listen=""), MailExemptions(), ClientExemptions(), SenderExemptions())


class TestPeriod:
    @pytest.mark.parametrize(
        ("text", "since", "span"),
        [
            ("90s", "2026-11-23 12:32", 60),
            ("5m", "2026-11-23 12:29", 60),
            ("12h", "2026-11-23 00:34", 60),
            ("7d", "2026-11-16 12:00", 3600),
            ("40d", "2026-10-14 00:00", 3600),
            ("400d", "2025-10-20 00:00", 3600),
        ],
    )
    def test_it_begins_with_a_whole_slot_that_is_counted(self, text: str, since: str, span: int) -> None:
        """No later than wanted, but for the longest there is."""
        length = parse_duration(text)
        period = period_until_now(length)
        assert f"{period.since(NOW):%Y-%m-%d %H:%M}" == since
        assert span_of(period) == span
        assert text == "400d" or period.since(NOW) <= NOW - length

    @pytest.mark.parametrize("days", [-1, 0, 400.001, 36500])
    def test_beyond_what_is_kept(self, days: float) -> None:
        with pytest.raises(ValueError, match="at most 400d, the time for which counts are stored"):
            period_until_now(timedelta(days=days))


def _counts(**numbers: int) -> dict[Count, int]:
    start = int(NOON.timestamp())
    return {Count(60, start, *name.split("__")): number for name, number in numbers.items()}


COUNTS = _counts(
    pass__known=60, pass__waited=10, greylist__helo=40, greylist__early=7, found__dyn=40, delay__300=4, delay__longer=6
)


class TestStatistics:
    async def test_all_figures(self) -> None:
        records = {
            Triplet("a", "b", "c"): Record(Status.GREYLISTED, NOON, NOON),
            Triplet("a", "b", "d"): Record(Status.GREYLISTED, NOON, NOON - timedelta(days=2)),
            Triplet("a", "b", "e"): Record(Status.CLEAN, NOON, NOON),
        }
        found = await gather_statistics(
            FakeHistory(records=records, counts=COUNTS), CONFIGURATION, period_until_now(timedelta(hours=1)), NOW
        )
        assert found.summary == [
            ("requests", "117", ""),
            ("passed at once", "60", "85.7% of the mail that passed"),
            ("deferred", "40", ""),
            ("came back and passed", "10", "25.0% of the deferred"),
            ("not (yet) come back", "30", "75.0% of the deferred"),
            ("early retries", "7", ""),
            ("median delay", "longer than a day", ""),
            ("waiting now", "1", "seen within 12 h"),
        ]
        assert dict(found.groups)["came back after"] == {"at most 5 min": 4, "longer than a day": 6}
        assert found.document["delays"] == [
            {"at_most_seconds": 300, "number": 4},
            {"at_most_seconds": None, "number": 6},
        ]
        assert found.lists == "web_listen is empty, and the running bley answers only there"

    async def test_nothing_is_said_to_wait_that_passed_at_once(self) -> None:
        """In `mode = observe` from the first count on."""
        counts = _counts(pass__known=60, pass__waited=10, **{"would-defer__helo": 40, "would-defer__early": 7})
        found = await gather_statistics(
            FakeHistory(counts=counts), CONFIGURATION, period_until_now(timedelta(hours=1)), NOW
        )
        assert found.summary[1:5] == [
            ("would pass at once", "60", "85.7% of the mail that passed"),
            ("would be deferred", "40", ""),
            ("came again after the wait", "10", "25.0% of the deferred"),
            ("not (yet) come again", "30", "75.0% of the deferred"),
        ]
        assert ", mode = observe: all mail passed" in found.heading
        assert dict(found.groups)["would be deferred, by reason"] == {"helo": 40, "early": 7}
        assert found.document["only_logged"] == {"helo": 40, "early": 7}

    async def test_what_was_only_logged_is_named_beside_deferrals(self) -> None:
        """The mode was changed meanwhile, or that of a section differs."""
        counts = _counts(greylist__helo=30, **{"would-defer__helo": 10, "would-defer__early": 7})
        found = await gather_statistics(
            FakeHistory(counts=counts), CONFIGURATION, period_until_now(timedelta(hours=1)), NOW
        )
        assert found.summary[2:4] == [
            ("deferred", "40", ""),
            ("only logged", "10", "of the deferred, by mode = observe"),
        ]

    async def test_the_time_that_they_are_about(self) -> None:
        found = await gather_statistics(
            FakeHistory(counts=COUNTS), CONFIGURATION, period_until_now(timedelta(hours=1)), NOW
        )
        assert found.heading == (
            "from 2026-11-23 11:34:00 UTC to 2026-11-23 12:34:56 UTC; the first count is from 2026-11-23 12:00:00 UTC"
        )

    async def test_nothing_was_counted(self) -> None:
        found = await gather_statistics(FakeHistory(), CONFIGURATION, period_until_now(timedelta(minutes=1)), NOW)
        assert found.heading.endswith(": nothing was counted")
        assert [cells[1:] for cells in found.summary[:3]] == [("0", "")] * 3
        assert found.document["undelayed_share"] is None


def test_a_delay_in_words() -> None:
    assert [describe_delay(name) for name in ("60", "86400", "longer")] == [
        "at most 1 min",
        "at most 1 d",
        "longer than a day",
    ]
