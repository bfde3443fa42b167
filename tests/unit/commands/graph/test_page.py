"""The page: valid, escaped, without script, and what is seen can be read."""

from dataclasses import replace
from html.parser import HTMLParser

from bley.commands.graph.charts import SHOWN, Chart
from bley.commands.graph.page import page
from tests.unit.commands.graph.test_charts import MIXED, NOW, drawn

VOID = {"meta", "img"}


class Outline(HTMLParser):
    """What a browser makes of a page; an end without its beginning, or the other way round, fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def all_charts() -> list[Chart]:
    return [chart for period in SHOWN for chart in drawn(period, MIXED).values()]


def outline(charts: list[Chart], form: str = "png", *, observes: bool = False) -> Outline:
    return Outline(page(charts, form, NOW, observes=observes))


def test_each_chart_is_shown_with_its_figures_for_who_does_not_see_it() -> None:
    charts = all_charts()
    images = outline(charts).all("img")
    assert [image["alt"] for image in images] == [chart.description for chart in charts]
    assert [image["src"].partition("?")[0] for image in images] == [f"{chart.name}.png" for chart in charts]


def test_behind_each_chart_is_a_table() -> None:
    shown = outline(all_charts())
    assert len(shown.all("table")) == len(shown.all("details")) == len(shown.all("figure")) == 15
    for text in ("passed after its wait", "1,200", "94.9%", "helo-mismatch", "25"):
        assert text in shown.texts


def test_a_new_page_shows_no_old_picture() -> None:
    """What a browser keeps, it keeps by the address."""
    (first, *_) = outline(all_charts()).all("img")
    assert first["src"] == f"mail-12h.png?{int(NOW.timestamp())}"


def test_periods_are_reached_by_links() -> None:
    shown = outline(all_charts())
    assert [link["href"] for link in shown.all("a")] == [f"#{section['id']}" for section in shown.all("section")]
    assert len(shown.all("section")) == 5


def test_it_needs_no_script_and_nothing_from_elsewhere() -> None:
    text = page(all_charts(), "svg", NOW, observes=False)
    assert not Outline(text).all("script")
    assert not Outline(text).all("link")
    assert "//" not in text.replace("<!DOCTYPE html>", "")


def test_it_is_light_and_dark_and_says_when_it_was_made() -> None:
    text = page(all_charts(), "png", NOW, observes=False)
    assert "prefers-color-scheme: dark" in text
    assert "Made 2026-11-23 12:47 UTC" in text
    assert "All times are UTC" in text


def test_the_page_says_that_bley_only_observes() -> None:
    assert any(
        "the mail that is shown as deferred passed" in text for text in outline(all_charts(), observes=True).texts
    )
    assert not any("the mail that is shown as deferred passed" in text for text in outline(all_charts()).texts)


def test_words_are_escaped() -> None:
    """A store may be another's."""
    word = "<script>alert('\"&')</script>"
    chart = drawn(SHOWN[0], {(0, "greylist", word): 3})["deferred"]
    shown = outline([replace(chart, empty_text=word)])
    assert not shown.all("script")
    assert word in shown.texts
    assert word in shown.all("img")[0]["alt"]
    empty = outline([replace(drawn(SHOWN[0], {})["mail"], empty_text=word)])
    assert not empty.all("script")
    assert word in empty.texts


def test_without_mail_there_is_a_page_too() -> None:
    shown = outline([chart for period in SHOWN for chart in drawn(period, {}).values()])
    assert shown.texts.count("no mail in this period") == 15
    assert not shown.all("table")
