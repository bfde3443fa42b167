"""The benchmark's plots, from its results."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from bench.curves import BARE, IN_MEMORY, IN_STORE, STRANGERS, Point
from bench.machine import machine
from bench.plots import PLOTS, draw, main, series
from click.testing import CliRunner

CONNECTIONS = [Point(work, at, 0, 1000 * at, 50) for work in (BARE, IN_MEMORY, STRANGERS) for at in (1, 500)]
RECORDS = [Point(work, 50, at, 5000, 20_000) for work in (BARE, IN_STORE, STRANGERS) for at in (1000, 1_000_000)]
MEASURED = {
    **machine(),
    "rounds": 3,
    "quick": True,
    "connections": [asdict(point) for point in CONNECTIONS],
    "records": [asdict(point) for point in RECORDS],
}


def test_a_curve_ascends_whatever_order_its_points_were_measured_in() -> None:
    panel = PLOTS["connections"][1][0]
    points = [Point(BARE, 500, 0, 9, 1), Point(STRANGERS, 1, 0, 2, 1), Point(BARE, 1, 0, 7, 1)]
    assert series(points, panel) == {BARE: ([1, 500], [7, 9]), STRANGERS: ([1], [2])}


def test_the_cost_is_in_microseconds_and_the_percentile_in_milliseconds() -> None:
    points = [Point(STRANGERS, 50, 1000, 5000, 20_000)]
    cost, percentile = (series(points, panel)[STRANGERS] for panel in PLOTS["records"][1])
    assert [cost, percentile] == [([1000], [200]), ([1000], [20])]


def test_a_plot_says_what_it_shows_of_which_machine(tmp_path: Path) -> None:
    """The text is text, and the numbers are plain."""
    connections, records = (file.read_text() for file in draw(MEASURED, tmp_path))
    for words in ("requests a second", "strangers", "known, in memory", ">500<", "medians of 3 short rounds"):
        assert words in connections
    assert f"{MEASURED['cores']} cores" in connections
    for words in ("microseconds a request", "99th percentile, milliseconds", "known, not in memory", ">1,000,000<"):
        assert words in records


def test_the_same_file_gives_the_same_plots(tmp_path: Path) -> None:
    file = tmp_path / "performance.json"
    file.write_text(json.dumps(MEASURED))
    plots = []
    for _ in range(2):
        result = CliRunner().invoke(main, [str(file), str(tmp_path)], catch_exceptions=False)
        assert result.output.split() == [str(tmp_path / f"performance-{name}.svg") for name in PLOTS]
        plots.append([Path(name).read_bytes() for name in result.output.split()])
    assert plots[0] == plots[1]


@pytest.mark.parametrize("name", PLOTS)
def test_what_was_not_measured_is_not_drawn(tmp_path: Path, name: str) -> None:
    """An example is `--only`."""
    measured = {key: value for key, value in MEASURED.items() if key not in PLOTS or key == name}
    assert list(draw(measured, tmp_path)) == [tmp_path / f"performance-{name}.svg"]
