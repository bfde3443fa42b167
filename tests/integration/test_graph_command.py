"""`bley graph` on SQLite; test_graph.py has the other stores."""

import asyncio
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bley.cli import main
from bley.commands.graph.command import graph
from bley.core.history.statistics import FOUND
from bley.settings.database import parse_database
from bley.store.engine import counts_per_span
from bley.store.opening import open_engine
from tests.fakes import NOON

KINDS = ("mail", "deferred", "found")
PERIODS = ("12h", "24h", "7d", "28d", "365d")
MINUTE = int(NOON.timestamp()) // 60
MIXED = {
    (MINUTE, "pass", "known"): 3,
    (MINUTE - 60, "pass", "waited"): 1,
    (MINUTE - 2 * 1440, "greylist", "helo"): 5,
    (MINUTE - 300 * 1440, "greylist", "dnsbl"): 7,
    (MINUTE - 1440, FOUND, "helo-mismatch"): 5,
}


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bley.commands.graph.command.utc_now", lambda: NOON)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the drawing of pictures, to save time."""
    monkeypatch.setattr("bley.commands.graph.drawing.draw", lambda chart, form: f"{chart.name} as {form}".encode())


def settings(folder: Path, text: str = "") -> list[str]:
    """Return the option for a settings file with a store in this folder."""
    file = folder / "bley.conf"
    file.write_text(f"[bley]\ndbpath = {folder}\n{text}")
    return ["-c", str(file)]


def fill(folder: Path, minutes: Mapping[tuple[int, str, str], int]) -> None:
    async def work() -> None:
        engine = open_engine(parse_database(f"sqlite:///{folder}/bley.db"))
        await engine.prepare()
        await engine.add_decisions([], counts_per_span(minutes))
        await engine.close()

    asyncio.run(work())


def run(*arguments: str | Path, status: int = 0) -> Result:
    result = CliRunner().invoke(graph, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result


def test_a_picture_of_each_kind_for_each_period_and_a_page(tmp_path: Path) -> None:
    fill(tmp_path, MIXED)
    assert run(*settings(tmp_path), "-d", tmp_path / "a" / "b").output == f"{tmp_path}/a/b/index.html\n"
    files = {f"{kind}-{period}.png" for kind in KINDS for period in PERIODS}
    assert {file.name for file in tmp_path.joinpath("a/b").iterdir()} == files | {"index.html"}
    text = tmp_path.joinpath("a/b/index.html").read_text()
    assert "Outcomes of mail in the last 12 hours: 4 requests; passed at once: 3 (75.0%)" in text
    assert "Reasons of deferrals in the last 7 days: 5 deferrals; helo: 5 (100.0%)." in text
    assert "Reasons of deferrals in the last 365 days: 12 deferrals; dnsbl: 7 (58.3%), helo: 5 (41.7%)." in text


def test_svg_where_it_is_wanted(tmp_path: Path) -> None:
    fill(tmp_path, MIXED)
    run(*settings(tmp_path), "-d", tmp_path / "a", "--format", "svg")
    assert len(list(tmp_path.glob("a/*.svg"))) == 15
    assert "passed after its wait: 1 (25.0%)" in tmp_path.joinpath("a/mail-24h.svg").read_text()
    assert 'src="mail-24h.svg?' in tmp_path.joinpath("a/index.html").read_text()


def test_an_empty_store_gives_charts_that_say_so(tmp_path: Path) -> None:
    fill(tmp_path, {})
    run(*settings(tmp_path), "-q", "--format", "svg")
    for file in tmp_path.glob("bley-graphs/*.svg"):
        assert "no mail in this period" in file.read_text()


@pytest.mark.usefixtures("undrawn")
def test_quiet_says_nothing(tmp_path: Path) -> None:
    fill(tmp_path, MIXED)
    assert run(*settings(tmp_path), "-q").output == ""


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("", "bley-graphs"),
        ("destdir =\n", "bley-graphs"),
        ("destdir = of-bley\n", "of-bley"),
        ("[bleygraph]\ndestdir = as-in-bley-2\n", "as-in-bley-2"),
    ],
)
def test_the_folder_is_that_of_the_settings_else_one_where_it_was_started(
    tmp_path: Path, text: str, folder: str
) -> None:
    fill(tmp_path, MIXED)
    assert run(*settings(tmp_path, text)).output == f"{folder}/index.html\n"
    assert tmp_path.joinpath(folder, "mail-7d.png").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_store_that_is_away_is_said_and_what_was_drawn_before_stays(tmp_path: Path) -> None:
    fill(tmp_path, MIXED)
    run(*settings(tmp_path))
    before = {file: file.read_bytes() for file in tmp_path.glob("bley-graphs/*")}
    tmp_path.joinpath("bley.db").rename(tmp_path / "elsewhere.db")
    result = run(*settings(tmp_path), status=1)
    assert result.output.startswith(f"Error: {tmp_path}/bley.db: ")
    assert before == {file: file.read_bytes() for file in tmp_path.glob("bley-graphs/*")}


@pytest.mark.usefixtures("undrawn")
def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    fill(tmp_path, MIXED)
    tmp_path.joinpath("file").touch()
    for folder, why in (("file", "File exists"), ("file/below", "Not a directory")):
        assert run(*settings(tmp_path), "-d", folder, status=1).output == f"Error: {folder}: {why}\n"


@pytest.mark.parametrize(
    ("prefix", "remedy"), [("/opt/python", "pip install 'bley[graph]'"), ("/usr", "apt install python3-matplotlib")]
)
def test_without_matplotlib_it_says_what_to_install(
    prefix: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Debian's Python, Debian's package is used, also in a virtual environment, which does not contain it."""
    monkeypatch.setattr(sys, "base_prefix", prefix)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("bley.commands.graph.command._DEBIAN_VERSION", tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run(*settings(tmp_path), status=1).output == (
        f"Error: bley graph needs matplotlib, which is not installed: {remedy}\n"
    )
    assert ("/usr/lib/python3/dist-packages" in sys.path) == (prefix == "/usr")


def test_wrong_settings_end_it_as_any_command(tmp_path: Path) -> None:
    assert (
        "bley.conf:3: unknown key 'destdri', did you mean 'destdir'?"
        in run(*settings(tmp_path, "destdri = x\n"), status=2).output
    )


@pytest.mark.usefixtures("undrawn")
def test_the_page_says_when_bley_only_observes(tmp_path: Path) -> None:
    fill(tmp_path, MIXED)
    run(*settings(tmp_path, "mode = observe\n"))
    assert "the mail that is shown as deferred passed" in tmp_path.joinpath("bley-graphs/index.html").read_text()


def test_the_old_name_is_the_same_command() -> None:
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    assert project["project"]["scripts"]["bleygraph"] == "bley.__main__:graph"
    assert main.get_command(click.Context(main), "graph") is graph
