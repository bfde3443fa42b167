"""By what each word is told from the others in a chart: a colour, and hatching where colours alone do not suffice.

The colours are such as the colour-blind can tell apart (Okabe and Ito; Paul Tol's muted scheme). A word has the same
look in all charts, and a finding that of the reason it leads to.
"""

from typing import NamedTuple

__all__ = ["AT_ONCE", "DEFERRED", "EARLY", "WAITED", "Look", "look_of"]


class Look(NamedTuple):
    """How an area is filled; `hatch` is matplotlib's, empty for none."""

    colour: str
    hatch: str = ""


_ORANGE, _BLUE, _PURPLE, _SAND = "#e69f00", "#0072b2", "#cc79a7", "#ddcc77"
_WINE, _GREEN, _CYAN, _TEAL, _INDIGO, _GREY, _BLACK = (
    "#882255", "#117733", "#88ccee", "#44aa99", "#332288", "#999999", "#333333",
)  # fmt: skip
_LINES = "////"

AT_ONCE, WAITED, DEFERRED, EARLY = Look("#56b4e9"), Look("#009e73"), Look("#d55e00"), Look(_ORANGE)

_LOOKS = {
    "early": EARLY,
    "client-bad": Look(_GREY),
    "dnsbl": Look(_WINE),
    "dnswl": Look(_SAND, _LINES),
    "helo": Look(_BLUE),
    "helo-mismatch": Look(_BLUE),
    "helo-half-match": Look(_BLUE, _LINES),
    "dynamic": Look(_PURPLE),
    "client-looks-dynamic": Look(_PURPLE),
    "client-has-no-name": Look(_PURPLE, _LINES),
    "helo-looks-dynamic": Look(_CYAN),
    "helo-not-fqdn": Look(_TEAL),
    "helo-bare-address": Look(_CYAN, _LINES),
    "helo-is-local": Look(_TEAL, _LINES),
    "helo-claims-us": Look(_INDIGO),
    "sender-is-recipient": Look(_SAND),
    "spf": Look(_GREEN),
    "spf-fail": Look(_GREEN),
    "spf-no-pass": Look(_GREEN, _LINES),
    "store-error": Look(_BLACK),
}
_OTHER = Look(_GREY, _LINES)


def look_of(word: str) -> Look:
    """That of a reason or finding; one for all that this bley does not know."""
    return _LOOKS.get(word, _OTHER)
