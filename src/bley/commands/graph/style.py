"""By what each word is told from the others in a chart: a colour, and hatching where colours alone do not suffice.

The colours are such as the colour-blind can tell apart (Okabe and Ito; Paul Tol's muted scheme). A word has the same
look in all charts, and a finding that of the reason it leads to.
"""

from typing import NamedTuple

__all__ = ["AT_ONCE", "DEFERRED", "EARLY", "WAITED", "Style", "look_of"]


class Style(NamedTuple):
    """How an area is filled; `hatch` is matplotlib's, empty for none."""

    colour: str
    hatch: str = ""


_ORANGE, _BLUE, _PURPLE, _SAND = "#e69f00", "#0072b2", "#cc79a7", "#ddcc77"
_WINE, _GREEN, _CYAN, _TEAL, _INDIGO, _GREY, _BLACK = (
    "#882255", "#117733", "#88ccee", "#44aa99", "#332288", "#999999", "#333333",
)  # fmt: skip
_LINES = "////"

AT_ONCE, WAITED, DEFERRED, EARLY = Style("#56b4e9"), Style("#009e73"), Style("#d55e00"), Style(_ORANGE)

_LOOKS = {
    "early": EARLY,
    "client-bad": Style(_GREY),
    "dnsbl": Style(_WINE),
    "dnswl": Style(_SAND, _LINES),
    "helo": Style(_BLUE),
    "helo-mismatch": Style(_BLUE),
    "helo-half-match": Style(_BLUE, _LINES),
    "dynamic": Style(_PURPLE),
    "client-looks-dynamic": Style(_PURPLE),
    "client-has-no-name": Style(_PURPLE, _LINES),
    "helo-looks-dynamic": Style(_CYAN),
    "helo-not-fqdn": Style(_TEAL),
    "helo-bare-address": Style(_CYAN, _LINES),
    "helo-is-local": Style(_TEAL, _LINES),
    "helo-claims-us": Style(_INDIGO),
    "sender-is-recipient": Style(_SAND),
    "spf": Style(_GREEN),
    "spf-fail": Style(_GREEN),
    "spf-no-pass": Style(_GREEN, _LINES),
    "store-error": Style(_BLACK),
}
_OTHER = Style(_GREY, _LINES)


def look_of(word: str) -> Style:
    """That of a reason or finding; one for all that this bley does not know."""
    return _LOOKS.get(word, _OTHER)
