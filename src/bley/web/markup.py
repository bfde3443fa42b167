"""Texts that become markup: places where a long name may break, and instants in the words of `core.history`."""

import re
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from bley.core.escapes import escape_controls
from bley.web.formatting import iso

if TYPE_CHECKING:  # imported with the first page, as jinja2 is
    from markupsafe import Markup

__all__ = ["breakable", "visible", "with_times"]

_GLUE = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
_PIECE_CHARACTERS = 20
"""Characters. Three columns of such pieces fit into a table of the narrowest window that shows tables (style.css)."""

_PIECES = re.compile(
    r"\[?\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?\]?(?![\w.])"  # an IPv4 address or network stays whole
    rf"|(?:[^\s@.:/+=_-]|[{_GLUE}]){{1,{_PIECE_CHARACTERS}}}[@.:/+=_-]*"
    r"|[@.:/+=_-]+"
    r"|\s+"
)

_INSTANT = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?) UTC\b")
"""An instant as `core.history.steps.format_instant` writes it, or one without seconds."""


_SPACES = f"\n\t{_GLUE}"


def visible(value: object) -> object:
    """Return a text with codes for characters that hide or reorder others, as in the log; other values unchanged."""
    return escape_controls(value, _SPACES) if type(value) is str else value  # Markup has its codes already


def breakable(text: str) -> "Markup":
    """Return an address, a name or a network that may break only behind its separators."""
    from markupsafe import Markup

    return Markup("<wbr>".join(escape(piece) for piece in _PIECES.findall(escape_controls(text, _SPACES))))


def with_times(text: object) -> "Markup":
    """Return the text with each instant as a `time` element."""
    from markupsafe import Markup

    def element(match: re.Match[str]) -> str:
        try:
            at = datetime.fromisoformat(f"{match[1]}+00:00")
        except ValueError:  # a peer wrote it
            return match[0]
        return f'<time datetime="{iso(at)}">{match[0]}</time>'

    return Markup(_INSTANT.sub(element, escape(escape_controls(str(text), _SPACES))))
