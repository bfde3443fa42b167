"""The style of each word in a chart: a color, with hatching where the colors are too few.

The colors are distinct for color-blind people (Okabe and Ito; Paul Tol's muted scheme). A word has the same style in
all charts, and a finding has the style of its reason.
"""

from typing import NamedTuple

from bley.core.findings import Check, FindingKind
from bley.core.reasons import Reason

__all__ = ["AT_ONCE", "DEFERRED", "EARLY", "WAITED", "Style", "style_of"]


class Style(NamedTuple):
    """The filling of an area; `hatch` is matplotlib's code, empty for none."""

    color: str
    hatch: str = ""


_ORANGE, _BLUE, _PURPLE, _SAND = "#e69f00", "#0072b2", "#cc79a7", "#ddcc77"
_WINE, _GREEN, _CYAN, _TEAL, _INDIGO, _GREY, _BLACK = (
    "#882255", "#117733", "#88ccee", "#44aa99", "#332288", "#999999", "#333333",
)  # fmt: skip
_LINES, _DOTS = "////", "..."

AT_ONCE, WAITED, DEFERRED, EARLY = Style("#56b4e9"), Style("#009e73"), Style("#d55e00"), Style(_ORANGE)

_PALETTE = [
    Style(_BLUE), Style(_BLUE, _LINES), Style(_PURPLE), Style(_CYAN), Style(_PURPLE, _LINES), Style(_TEAL),
    Style(_CYAN, _LINES), Style(_TEAL, _LINES), Style(_INDIGO), Style(_SAND), Style(_GREEN), Style(_GREEN, _LINES),
    Style(_INDIGO, _LINES), Style(_WINE, _LINES), Style(_BLUE, _DOTS), Style(_PURPLE, _DOTS), Style(_TEAL, _DOTS),
    Style(_GREEN, _DOTS), Style(_INDIGO, _DOTS), Style(_CYAN, _DOTS),
]  # fmt: skip
"""The styles of the kinds of findings, in their order; the last ones are for future kinds."""

_STYLES = {
    Reason.EARLY.value: EARLY,
    Reason.CLIENT_BAD.value: Style(_GREY),
    Reason.CLASSIC.value: Style(_GREY, _DOTS),
    Reason.DNSBL.value: Style(_WINE),
    Reason.DOMAIN_LIST.value: Style(_WINE, _DOTS),
    Reason.FRESH_DOMAIN.value: Style(_SAND, _DOTS),
    Check.DNSWL.value: Style(_SAND, _LINES),
    Reason.STORE_ERROR.value: Style(_BLACK),
    **{kind.reason.value: style for kind, style in reversed(list(zip(FindingKind, _PALETTE, strict=False)))},
    **{kind.value: style for kind, style in zip(FindingKind, _PALETTE, strict=False)},
}
_OTHER = Style(_GREY, _LINES)


def style_of(word: str) -> Style:
    """Return the style of a reason or finding; all unknown ones have the same."""
    return _STYLES.get(word, _OTHER)
