"""Other greylisters, as policy services of Postfix: known by their default ports, or by the names of their sockets."""

import re
from typing import NamedTuple

__all__ = ["Greylister", "find_greylister"]


class Greylister(NamedTuple):
    """A greylister, the command that imports its records, and how a service with other tasks stops greylisting."""

    name: str
    place: re.Pattern[str]
    importing: str = ""
    switching_off: str = ""


_POLICY_SERVICES = (
    Greylister("postgrey", re.compile(r":(?:10023|60000)$|postgrey"), "bley import postgrey /var/lib/postgrey"),
    Greylister("sqlgrey", re.compile(r":2501$|sqlgrey"), "bley import sqlgrey sqlite:////var/lib/sqlgrey/sqlgrey.db"),
    Greylister(
        "policyd (cluebringer)",
        re.compile(r":10031$|policyd/|cluebringer"),
        switching_off="in /etc/cluebringer/cluebringer.conf, section [Greylisting]: enable=0",
    ),
    Greylister(
        "iRedAPD",
        re.compile(r":7777$|iredapd"),
        switching_off="in /opt/iredapd/settings.py: remove `greylisting` from plugins",
    ),
    Greylister("gld", re.compile(r":2525$|\bgld\b")),
    Greylister("gross", re.compile(r":5525$|\bgross")),
    Greylister("tumgreyspf", re.compile("tumgreyspf")),
    Greylister("greyfix", re.compile("greyfix")),
    Greylister("greylistd", re.compile("greylistd")),
    Greylister("another greylister", re.compile("grey|gray")),
)


def find_greylister(place: str) -> Greylister | None:
    """Return the greylister that has this place by default; None if none has."""
    return next((each for each in _POLICY_SERVICES if each.place.search(place.lower())), None)
