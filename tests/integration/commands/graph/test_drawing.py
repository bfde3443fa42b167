"""The pictures: what is written in them, that they are whole, and the same for the same chart."""

import re
import struct
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from matplotlib.image import imread

from bley.commands.graph.charts import SHOWN, Chart
from bley.commands.graph.drawing import draw
from bley.core.history.periods import PERIODS, Period
from tests.unit.commands.graph.test_charts import MIXED, drawn

SVG = "{http://www.w3.org/2000/svg}"
A_TEXT = re.compile(f"{SVG}(text|tspan)")


def texts(chart: Chart) -> list[str]:
    """What is written in the picture."""
    tree = ElementTree.fromstring(draw(chart, "svg"))
    return [each.text for each in tree.iter() if A_TEXT.fullmatch(each.tag) and each.text]


@pytest.mark.parametrize("period", SHOWN, ids=lambda period: period.name)
def test_title_legend_totals_and_the_time_zone_are_in_it(period: Period) -> None:
    for chart in drawn(period, MIXED).values():
        written = texts(chart)
        assert chart.title in written
        assert [text for text in written if text in labels(chart)] == labels(chart)[::-1], (
            "from the top down, as they are stacked"
        )
        assert f"UTC, until 2026-11-23 12:47; each step is {chart.step}, and the last step is incomplete" in written
        assert f"{chart.counted_as}s in {chart.step}" in written


def test_numbers_begin_at_0_and_thousands_are_told() -> None:
    written = texts(drawn(PERIODS["7d"], {(0, "pass", "known"): 1_234_567})["mail"])
    assert "0" in written
    assert "1,000,000" in written


def test_few_requests_are_counted_in_whole_numbers() -> None:
    written = texts(drawn(PERIODS["7d"], {(0, "pass", "known"): 1})["mail"])
    assert [text for text in written if re.fullmatch(r"[\d.]+", text)] == ["0", "1"]


@pytest.mark.parametrize("period", SHOWN, ids=lambda period: period.name)
def test_where_there_is_no_mail_the_chart_says_so(period: Period) -> None:
    for chart in drawn(period, {}).values():
        assert "no mail in this period" in texts(chart)
        assert draw(chart, "png").startswith(b"\x89PNG")


def test_a_word_from_the_store_is_only_text() -> None:
    word = "_$x$ <script>"
    chart = drawn(PERIODS["7d"], {(0, "greylist", word): 3, (0, "greylist", "helo"): 9})["deferred"]
    assert f"{word}: 3 (25.0%)" in texts(chart)
    assert b"<script" not in draw(chart, "svg")


def test_a_png_has_the_pixels_of_a_fine_screen() -> None:
    """Twice those of the page, to each side."""
    width, height = struct.unpack(">II", draw(drawn(PERIODS["7d"], MIXED)["mail"], "png")[16:24])
    assert (width, height) == (2200, 880)


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_chart_is_the_same_picture_whatever_the_user_likes(form: str) -> None:
    """The user's own settings stay as they were."""
    chart = drawn(PERIODS["28d"], MIXED)["found"]
    first = draw(chart, form)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 20}):
        assert draw(chart, form) == first
        assert mpl.rcParams["font.size"] == 30


def test_all_words_have_room_in_the_legend() -> None:
    """Within the picture, each on its own line; more words than there are of one kind, and long ones."""
    what = {(0, "greylist", f"sender-is-recipient-{number}"): 1_000_000 for number in range(15)}
    chart = drawn(PERIODS["365d"], what)["deferred"]
    lines = [
        each for each in ElementTree.fromstring(draw(chart, "svg")).iter(f"{SVG}text") if each.text in labels(chart)
    ]
    heights = sorted(float(line.attrib["y"]) for line in lines)
    assert len(lines) == 15
    assert min(later - earlier for earlier, later in pairwise(heights)) > 9, "the height of the letters"
    pixels = imread(BytesIO(draw(chart, "png")))
    assert all((edge == pixels[0, 0]).all() for edge in (pixels[:, -10:], pixels[:10], pixels[-10:], pixels[:, :10]))


def labels(chart: Chart) -> list[str]:
    return list(map(chart.label, chart.bands))
