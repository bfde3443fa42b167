"""Pages from templates, in which every value is escaped."""

import asyncio
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bley import __version__
from bley.core.findings import REASONS
from bley.core.history.periods import PERIODS
from bley.web import formatting as words
from bley.web.chart import HEIGHT
from bley.web.overview import SERIES
from bley.web.urls import link

if TYPE_CHECKING:  # 2 MB, which nobody needs who does not look
    from jinja2 import Environment

__all__ = ["STATIC", "render"]

STATIC = Path(__file__).parent / "static"
_TEMPLATES = Path(__file__).parent / "templates"


async def render(template: str, **values: Any) -> str:
    """The page. It is made in a thread: a year's chart takes longer than a request should wait."""
    return await asyncio.to_thread(_render, template, values)


def _render(template: str, values: dict[str, Any]) -> str:
    return _environment().get_template(template).render(values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(_TEMPLATES),
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "version": __version__,
        "periods": PERIODS,
        "series": SERIES,
        "chart_height": HEIGHT,
        "link": link,
        "reason_words": {word: row.says for word, row in REASONS.items()},
    }
    environment.filters |= {
        "number": words.number,
        "share": words.share,
        "duration": words.duration,
        "milliseconds": words.milliseconds,
        "instant": words.instant,
        "iso": words.iso,
        "ago": words.ago,
        "capitalized": words.capitalized,
    }
    return environment
