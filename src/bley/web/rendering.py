"""Rendering of pages from templates, which escape every value."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bley import __version__
from bley.core.findings import REASONS
from bley.core.history.periods import PERIODS
from bley.web import formatting, markup
from bley.web.background import in_background
from bley.web.chart import HEIGHT
from bley.web.urls import page_url

if TYPE_CHECKING:  # jinja2 takes 2 MB, so it is imported when the first page is rendered
    from jinja2 import Environment

__all__ = ["STATIC", "render", "render_now"]

STATIC = Path(__file__).parent / "static"
_TEMPLATES = Path(__file__).parent / "templates"


async def render(template: str, **values: Any) -> str:
    """Return the page. A thread renders it: the chart of a year takes some 10 ms, which would delay mail."""
    return await in_background(render_now, template, values)


def render_now(template: str, values: dict[str, Any]) -> str:
    """Return the page, in this thread."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        finalize=markup.visible,
        undefined=StrictUndefined,
        loader=FileSystemLoader(_TEMPLATES),
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "version": __version__,
        "periods": PERIODS,
        "chart_height": HEIGHT,
        "page_url": page_url,
        "reason_words": {reason: row.says for reason, row in REASONS.items()},
    }
    environment.filters |= {
        "number": formatting.number,
        "share": formatting.share,
        "duration": formatting.duration,
        "milliseconds": formatting.milliseconds,
        "instant": formatting.instant,
        "iso": formatting.iso,
        "parsed": formatting.parsed,
        "ago": formatting.ago,
        "capitalized": formatting.capitalized,
        "breakable": markup.breakable,
        "with_times": markup.with_times,
    }
    return environment
