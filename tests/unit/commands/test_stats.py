"""The figures of any time until now."""

import re
from datetime import timedelta
from typing import ClassVar

import pytest

from bley.commands.stats import gather_statistics
from bley.commands.stats_comparison import print_comparison
from bley.commands.stats_figures import Statistics, describe_delay
from bley.commands.stats_period import StatsPeriod, parse_period
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, SenderExemptions
from bley.core.greylist import Record, Status
from bley.core.history.statistics import Count
from bley.core.mail import Triplet
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.store.history import span_of
from tests.fakes import NOON, FakeHistory

NOW = NOON + timedelta(minutes=34, seconds=56)
CONFIGURATION = Configuration(None, Settings(web_listen=""), MailExemptions(), ClientExemptions(), SenderExemptions())


def _last(text: str) -> StatsPeriod:
    return parse_period(text, "", NOW)


class TestPeriod:
    @pytest.mark.parametrize(
        ("text", "since", "span"),
        [
            ("90s", "2026-11-23 12:33", 60),
            ("5m", "2026-11-23 12:29", 60),
            ("12h", "2026-11-23 00:34", 60),
            ("7d", "2026-11-16 12:00", 3600),
            ("40d", "2026-10-14 00:00", 3600),
            ("400d", "2025-10-20 00:00", 3600),
            ("2026-11-23T12:00Z", "2026-11-23 12:00", 60),
            ("2026-11-23 13:30+01:00", "2026-11-23 12:30", 60),
            ("2026-11-20", "2026-11-20 00:00", 3600),
        ],
    )
    def test_it_begins_with_a_whole_slot_that_is_counted(self, text: str, since: str, span: int) -> None:
        """No later than wanted, but for the longest there is."""
        found = _last(text)
        assert f"{found.since:%Y-%m-%d %H:%M}" == since
        assert span_of(found.period) == span
        assert found.until == NOW

    @pytest.mark.parametrize(
        ("since", "until", "first", "end"),
        [
            ("12h", "6h", "2026-11-23 00:34", "2026-11-23 06:35"),
            ("14d", "7d", "2026-11-09 12:00", "2026-11-16 13:00"),
            ("14d", "2026-11-16", "2026-11-09 12:00", "2026-11-16 00:00"),
            ("2026-11-23T10:00", "2026-11-23T11:00", "2026-11-23 10:00", "2026-11-23 11:00"),
            ("7d", "30m", "2026-11-16 12:00", "2026-11-23 12:34"),  # the present hour has no end yet
            ("100d", "2026-11-20T07:30", "2026-08-15 00:00", "2026-11-20 08:00"),
        ],
    )
    def test_it_ends_with_a_whole_span_that_is_counted(self, since: str, until: str, first: str, end: str) -> None:
        found = parse_period(since, until, NOW)
        assert f"{found.since:%Y-%m-%d %H:%M}" == first
        assert f"{found.until + timedelta(microseconds=1):%Y-%m-%d %H:%M}" == end

    @pytest.mark.parametrize(
        ("since", "until", "why"),
        [
            ("400.001d", "", "must be at most 400d ago, the time for which counts are stored"),
            ("36500d", "", "must be at most 400d ago"),
            ("0s", "", "--since 0s must be before now"),
            ("7d", "8d", "--since 7d must be before --until 8d: both are ages"),
            ("7d", "7d", "must be before"),
            ("1h", "2026-11-24", "--until 2026-11-24 is in the future"),
            ("2027-01-01", "", "is in the future"),
            (
                "yesterday",
                "",
                "--since yesterday is neither a duration nor a time: write it as 90s, 5m, 12h or 40d, or",
            ),
            ("", "", "is neither a duration nor a time"),
            ("2026-11-31", "", "is neither a duration nor a time"),
            ("0001-01-01T00:00+14:00", "", "is neither a duration nor a time"),
        ],
    )
    def test_what_is_no_period(self, since: str, until: str, why: str) -> None:
        with pytest.raises(ValueError, match=re.escape(why)):
            parse_period(since, until, NOW)


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
        found = await gather_statistics(FakeHistory(records=records, counts=COUNTS), CONFIGURATION, _last("1h"), NOW)
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
        titles, rows = found.reasons
        assert titles == ("deferred, by reason", "mails", "came back", "of these", "of delayed", "median delay")
        assert rows == [
            ("helo", "40", "0", "0.0%", "0.0%", "-"),
            ("unknown", "0", "10", "", "100.0%", "longer than a day"),
        ]
        assert found.document["delays"] == [
            {"at_most_seconds": 300, "number": 4},
            {"at_most_seconds": None, "number": 6},
        ]
        assert found.lists == "web_listen is empty, and the running bley answers only there"

    async def test_nothing_is_said_to_wait_that_passed_at_once(self) -> None:
        """In `mode = observe` from the first count on."""
        counts = _counts(pass__known=60, pass__waited=10, **{"would-defer__helo": 40, "would-defer__early": 7})
        found = await gather_statistics(FakeHistory(counts=counts), CONFIGURATION, _last("1h"), NOW)
        assert found.summary[1:5] == [
            ("would pass at once", "60", "85.7% of the mail that passed"),
            ("would be deferred", "40", ""),
            ("came again after the wait", "10", "25.0% of the deferred"),
            ("not (yet) come again", "30", "75.0% of the deferred"),
        ]
        assert ", mode = observe: all mail passed" in found.heading
        assert dict(found.groups)["would be deferred for"] == {"helo": 40}
        assert found.document["only_logged"] == {"helo": 40, "early": 7}

    async def test_what_was_only_logged_is_named_beside_deferrals(self) -> None:
        """The mode was changed meanwhile, or that of a section differs."""
        counts = _counts(greylist__helo=30, **{"would-defer__helo": 10, "would-defer__early": 7})
        found = await gather_statistics(FakeHistory(counts=counts), CONFIGURATION, _last("1h"), NOW)
        assert found.summary[2:4] == [
            ("deferred", "40", ""),
            ("only logged", "10", "of the deferred, by mode = observe"),
        ]

    async def test_the_time_that_they_are_about(self) -> None:
        found = await gather_statistics(FakeHistory(counts=COUNTS), CONFIGURATION, _last("1h"), NOW)
        assert found.heading == (
            "from 2026-11-23 11:34:00 UTC to 2026-11-23 12:34:56 UTC; the first count is from 2026-11-23 12:00:00 UTC"
        )

    async def test_nothing_was_counted(self) -> None:
        found = await gather_statistics(FakeHistory(), CONFIGURATION, _last("1m"), NOW)
        assert found.heading.endswith(": nothing was counted")
        assert [cells[1:] for cells in found.summary[:3]] == [("0", "")] * 3
        assert found.document["undelayed_share"] is None


def test_a_delay_in_words() -> None:
    assert [describe_delay(name) for name in ("60", "86400", "longer")] == [
        "at most 1 min",
        "at most 1 d",
        "longer than a day",
    ]


class TestComparison:
    BEFORE: ClassVar = {count._replace(start=count.start - 3600): number * 2 for count, number in COUNTS.items()}
    FIRST: ClassVar = {Count(60, int(NOON.timestamp()) - 86400, "pass", "known"): 1}

    async def _found(self, *counts: dict[Count, int], period: str = "1h") -> Statistics:
        everything = {count: number for each in counts for count, number in each.items()}
        return await gather_statistics(FakeHistory(counts=everything), CONFIGURATION, _last(period), NOW)

    async def test_the_period_before_has_the_same_length(self) -> None:
        found = await self._found(COUNTS, self.BEFORE, self.FIRST)
        assert found.before is not None
        assert (found.figures.requests, found.before.figures.requests) == (117, 234)
        assert found.before.until == NOW - timedelta(hours=1, minutes=1)
        assert found.before.document["first_deferrals"] == 80
        assert (found.before.waiting, found.document["waiting"]) == (None, 0)

    async def test_without_counts_of_its_beginning_there_is_none(self) -> None:
        assert (await self._found(COUNTS, self.BEFORE)).before is None

    async def test_both_stand_side_by_side_within_80_columns(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = await self._found(
            COUNTS,
            {
                **self.BEFORE,
            },
            self.FIRST,
        )
        assert found.before
        print_comparison(found, found.before)
        lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        assert max(map(len, lines)) <= 80
        assert [
            line.split() for line in lines if line.startswith(("requests", "passed at once", "helo ", "early"))
        ] == [
            ["requests", "117", "234", "-50.0%"],
            ["passed", "at", "once", "60", "120", "-50.0%", "85.7%", "85.7%"],
            ["early", "retries", "7", "14", "-50.0%"],
            ["helo", "40", "80", "-50.0%"],
        ]

    async def test_what_one_period_lacks_has_no_change(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = await self._found(_counts(pass__trusted=3), self.BEFORE, self.FIRST)
        assert found.before
        print_comparison(found, found.before)
        text = " ".join(capsys.readouterr().out.split())
        assert "trusted 3 0 known 0 120 -100.0%" in text
        assert "median delay - > 1 d" in text


async def test_each_node_has_its_figures() -> None:
    counts = {
        Count(60, int(NOON.timestamp()), "node-passed", node): number for node, number in (("mx1", 5), ("mx2", 7))
    }
    found = await gather_statistics(FakeHistory(counts=counts), CONFIGURATION, _last("1h"), NOW)
    assert [(each["node"], each["requests"], each["median_delay_seconds"]) for each in found.document["nodes"]] == [
        ("mx1", 5, None),
        ("mx2", 7, None),
    ]
