"""The geometry of bar charts."""

from datetime import datetime, timedelta

import pytest

from bley.core.history.periods import PERIODS, slots
from bley.web.chart import HEIGHT, BarData, LabelData, stacked_bars, time_labels
from tests.fakes import NOON


def test_a_bar_stands_on_the_ground_and_its_parts_on_each_other() -> None:
    drawn = stacked_bars(["a", "b"], [BarData("first", [3, 1]), BarData("second", [0, 2])], [])
    first, second = drawn.bars
    lower, upper = first.segments
    assert lower.y + lower.height == pytest.approx(HEIGHT)
    assert upper.y + upper.height == pytest.approx(lower.y)
    assert lower.height == pytest.approx(3 * upper.height)
    assert [part.series for part in second.segments] == ["b"]


def test_bars_share_the_width() -> None:
    drawn = stacked_bars(["a"], [BarData("", [1])] * 4, [])
    assert all(0 < bar.width < 25 for bar in drawn.bars)
    assert [round(bar.x + bar.width / 2, 1) for bar in drawn.bars] == [12.5, 37.5, 62.5, 87.5]


def test_where_there_are_many_they_touch() -> None:
    drawn = stacked_bars(["a"], [BarData("", [1])] * 365, [])
    assert drawn.bars[1].x == pytest.approx(drawn.bars[0].width, abs=0.01)


@pytest.mark.parametrize(
    ("most", "values"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (5, [0, 1, 2, 3, 4, 5]),
        (7, [0, 2, 4, 6, 8]),
        (120, [0, 25, 50, 75, 100, 125]),
        (1000, [0, 200, 400, 600, 800, 1000]),
        (1_234_567, [0, 250_000, 500_000, 750_000, 1_000_000, 1_250_000]),
    ],
)
def test_ticks_are_round_and_enough(most: int, values: list[int]) -> None:
    ticks = stacked_bars(["a"], [BarData("", [most])], []).ticks
    assert [tick.value for tick in ticks] == values
    assert (ticks[0].y, ticks[-1].y) == (HEIGHT, 0)


def test_nothing_at_all_is_a_chart_too() -> None:
    assert stacked_bars(["a"], [], []).bars == []


def test_every_second_label_may_be_left_out() -> None:
    labels = stacked_bars(
        ["a"], [BarData("", [1])] * 3, [LabelData(0, "x"), LabelData(1.5, "y"), LabelData(2, "z")]
    ).labels
    assert [(label.text, label.is_minor) for label in labels] == [("x", False), ("y", True), ("z", False)]
    assert labels[1].x == 50


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("1h", ["11:10", "11:20", "11:30", "11:40", "11:50", "12:00"]),
        ("12h", ["02:00", "04:00", "06:00", "08:00", "10:00", "12:00"]),
        ("24h", ["16:00", "20:00", "00:00", "04:00", "08:00", "12:00"]),
        ("7d", ["Tue 17", "Wed 18", "Thu 19", "Fri 20", "Sat 21", "Sun 22", "Mon 23"]),
        ("28d", ["Nov 2", "Nov 9", "Nov 16", "Nov 23"]),
        ("365d", ["Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov"]),
    ],
)
def test_round_times_are_labelled(name: str, words: list[str]) -> None:
    period = PERIODS[name]
    starts: list[datetime] = [slot.start for slot in slots(period, NOON, {})]
    assert [label.text for label in time_labels(period, starts)] == words
    assert len(starts) * period.slot == period.length or period.slot == timedelta(days=1)
