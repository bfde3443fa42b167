"""Texts that become markup: places where a long name may break, and instants in the words of `core.history`."""

import re
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from bley.web.formatting import iso

if TYPE_CHECKING:  # imported with the first page, as jinja2 is
    from markupsafe import Markup

__all__ = ["breakable", "with_times"]

_PIECE_CHARACTERS = 20
"""Characters. Three columns of such pieces fit into a table of the narrowest window that shows tables (style.css)."""

_PIECES = re.compile(
    r"\[?\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?\]?(?![\w.])"  # an IPv4 address or network stays whole
    rf"|[^\s@.:/+=_-]{{1,{_PIECE_CHARACTERS}}}[@.:/+=_-]*"
    r"|[@.:/+=_-]+"
    r"|\s+"
)

_INSTANT = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?) UTC\b")
"""An instant as `core.history.steps.format_instant` writes it, or one without seconds."""


def breakable(text: str) -> "Markup":
    """Return an address, a name or a network that may break only behind its separators."""
    from markupsafe import Markup

    return Markup("<wbr>".join(escape(piece) for piece in _PIECES.findall(text)))


def with_times(text: object) -> "Markup":
    """Return the text with each instant as a `time` element."""
    from markupsafe import Markup

    def element(match: re.Match[str]) -> str:
        try:
            at = datetime.fromisoformat(f"{match[1]}+00:00")
        except ValueError:  # a peer wrote it
            return match[0]
        return f'<time datetime="{iso(at)}">{match[0]}</time>'

    return Markup(_INSTANT.sub(element, escape(str(text))))
