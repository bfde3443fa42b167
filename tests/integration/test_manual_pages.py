"""The manual pages by the programs that show them: groff, as `man` runs it, and mandoc."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.servers import require

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "bley.1", DOCS / "bley.conf.5"]


def shown(page: Path, columns: int) -> str:
    """Return the page as `man` shows it, without attributes. Fails if groff warns."""
    require("groff", "groff-base", as_root=False)
    command = ["groff", "-ww", "-man", "-Tutf8", "-P-cbou", f"-rLL={columns}n", str(page)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_fits_80_columns_with_whole_words(page: Path) -> None:
    """Each word of a very wide terminal is one of 80 columns: none is divided at the end of a line."""
    text = shown(page, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.split()[10:-10] == shown(page, 1000).split()[10:-10]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_has_no_complaint(page: Path) -> None:
    """But for the missing date: the page is the same whenever it is made."""
    require("mandoc", "mandoc", as_root=False)
    ran = subprocess.run(["mandoc", "-Tlint", str(page)], capture_output=True, text=True, check=False)
    assert [line for line in ran.stdout.splitlines() if "missing date" not in line] == []


def test_bleygraph_is_described_by_the_same_page(tmp_path: Path) -> None:
    """From the top of a tree of pages, as `man` reads it."""
    require("groff", "groff-base", as_root=False)
    folder = tmp_path / "man1"
    folder.mkdir()
    for name in ("bley.1", "bleygraph.1"):
        shutil.copy(DOCS / name, folder)
    command = ["groff", "-ww", "-man", "-s", "-Tutf8", str(folder / "bleygraph.1")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "bleygraph" in ran.stdout
    assert ran.stderr == ""
