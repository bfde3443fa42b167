"""Templates escape every value, and none may be missing."""

import pytest
from jinja2 import DictLoader, UndefinedError

from bley import __version__
from bley.web import rendering
from bley.web.rendering import render


@pytest.fixture
def _value_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """bley's own environment, with a template of the tests."""
    loader = DictLoader({"value": "<p title='{{ value }}'>{{ value }}</p>"})
    environment = rendering._environment().overlay(loader=loader)
    monkeypatch.setattr(rendering, "_environment", lambda: environment)


@pytest.mark.usefixtures("_value_template")
async def test_a_value_is_only_text() -> None:
    escaped = "&lt;b&gt;&#34;&#39;&amp;"
    assert await render("value", value="<b>\"'&") == f"<p title='{escaped}'>{escaped}</p>"


@pytest.mark.usefixtures("_value_template")
async def test_a_value_cannot_reorder_or_hide_what_is_shown() -> None:
    """A right-to-left override would show another address than the one that sent the mail."""
    assert await render("value", value="a\u202e\x1b\x9b\N{NO-BREAK SPACE}ü") == (
        "<p title='a\\u202e\\x1b\\x9b\N{NO-BREAK SPACE}ü'>a\\u202e\\x1b\\x9b\N{NO-BREAK SPACE}ü</p>"
    )


@pytest.mark.usefixtures("_value_template")
async def test_a_value_that_is_missing_is_a_bug_and_not_an_empty_page() -> None:
    with pytest.raises(UndefinedError, match="value"):
        await render("value")


async def test_every_template_is_sound() -> None:
    environment = rendering._environment()
    names = environment.list_templates()
    assert "overview.html" in names
    for name in names:
        environment.get_template(name)


async def test_pages_say_which_bley_made_them() -> None:
    assert __version__ in await render("error.html", path="/", q="", title="404", words="it is not there", remedy="")
