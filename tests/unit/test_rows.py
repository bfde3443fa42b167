"""The rows of the benchmark's table."""

from pathlib import Path

import pytest
from bench.builds import Build
from bench.performance import ROWS
from bench.rows import Bench, Row, Turn, table
from bench.running import Load
from rich.console import Console

ONE, TWO = Build("python", "pure"), Build("other/python", "compiled")


class _Nothing:
    """A server that nothing is asked."""

    ports = ()
    cpu_seconds = 0.0


def bench(*builds: Build, rounds: int = 3, share: float = 1.0) -> Bench:
    return Bench(Path(), rounds, share, 1, builds, _Nothing())


def turns(*rates: float, cpu: float = 100) -> list[Turn]:
    return [Turn(rate, 1, cpu) for rate in rates]


def shown(*rows: Row) -> str:
    console = Console(width=150)
    with console.capture() as capture:
        console.print(table(rows))
    return capture.get()


def test_a_turn_has_the_cpu_time_of_one_request() -> None:
    load = Load(requests=20_000, seconds=5, rate=4_000, p50=1, p99=2, longest=3)
    assert Turn.of(load, cpu_seconds=4) == Turn(rate=4_000, p99=2, cpu=200)


def test_the_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    """The machine was slow in the last round, so the ratio of the medians (1.0) would compare different rounds."""
    row = Row.side_by_side("strangers", "pure", turns(300, 200, 100), "gross", turns(200, 100, 200), "1.2")
    assert (row.value, row.other_value, row.ratio) == (200, 200, 1.5)


def test_the_ratio_of_the_cpu_times_is_higher_if_ours_is_lower() -> None:
    row = Row.side_by_side("strangers", "pure", turns(1, cpu=200), "gross", turns(1, cpu=500), "1.2")
    assert (row.cpu, row.cpu_ratio) == (200, 2.5)


def test_a_round_that_has_no_other_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Row.side_by_side("strangers", "pure", turns(1, 2), "gross", turns(1), "")


def test_the_subjects_alternate_in_each_round() -> None:
    measured = []

    def measure(subject: str, number: int) -> Turn:
        measured.append((subject, number))
        return Turn(number, 1, ord(subject))

    assert bench(ONE, rounds=2).in_turn(measure, "ab") == [turns(1, 2, cpu=ord("a")), turns(1, 2, cpu=ord("b"))]
    assert measured == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_each_build_has_a_row_with_the_same_other_server() -> None:
    rows = bench(ONE, TWO).rows("strangers", [turns(100), turns(200)], "gross", [turns(50)], "")
    assert [(row.build, row.ratio) for row in rows] == [("pure", 2), ("compiled", 4)]


def test_each_build_has_a_row_with_its_own_other_work() -> None:
    rows = bench(ONE, TWO).rows("with SPF", [turns(100), turns(200)], "without", [turns(100), turns(400)], "")
    assert [(row.build, row.ratio) for row in rows] == [("pure", 1), ("compiled", 0.5)]


def test_a_short_run_still_asks_for_each_known_triplet() -> None:
    assert [bench(ONE, share=0.1).count(number) for number in (20_000, 1_000)] == [2_000, 1_000]


def test_the_table_names_what_each_figure_is_compared_with() -> None:
    text = shown(Row.side_by_side("strangers", "pure", turns(3000), "gross", turns(2000), "1.2"))
    assert [cell.strip() for cell in text.splitlines()[3].split("│")[1:-1]] == [
        *("strangers", "3,000/s", "gross 2,000/s", "1.50", "100 µs", "1.00", "1.2")
    ]


def test_the_table_says_why_nothing_was_compared() -> None:
    text = shown(Row("strangers", value=3000, other="skipped: no gross (Debian package)", target="1.2"))
    assert [cell.strip() for cell in text.splitlines()[3].split("│")[1:-1]] == [
        *("strangers", "3,000/s", "skipped: no gross (Debian package)", "", "", "", "1.2")
    ]


def test_the_table_names_the_builds_if_there_are_several() -> None:
    rows = [Row("RSS at start", build, 79.6, "MB") for build in ("pure", "compiled")]
    assert "build" in shown(*rows)
    assert "79.60 MB" in shown(*rows)
    assert "build" not in shown(rows[0])


def test_every_row_can_be_measured_alone() -> None:
    """`--only` takes a part of a name."""
    names = [each.__name__ for each in ROWS]
    assert [[other for other in names if name in other] for name in names] == [[name] for name in names]


def test_the_page_has_each_row_and_the_word_that_measures_it() -> None:
    """It stays short: at most 600 words besides its table."""
    lines = Path(__file__).parents[2].joinpath("docs/performance.md").read_text().splitlines()
    rows = [line.strip("|").split("|")[-1].strip(" `") for line in lines if line.startswith("| ")][1:]
    assert len(rows) <= 15
    assert list(dict.fromkeys(rows)) == [each.__name__ for each in ROWS]
    assert sum(len(line.split()) for line in lines if not line.startswith("|")) <= 600
