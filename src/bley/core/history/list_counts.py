"""The events that are counted for each DNS list.

The unit is a stranger that a list was queried about, also if the DNS cache had the answer, or if two strangers shared
a query. So the numbers of a list can be compared with each other.

A count has the list's shown name; its kind is the check and the event, as in `dnsbl-alone`. Answers from the network
are also counted by their latency, whatever the setting that the list is in.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import timedelta
from enum import StrEnum
from functools import cache

from bley.core.findings import Check
from bley.core.greylist import LONGEST_CAUSE
from bley.core.reasons import Reason

__all__ = [
    "LATENCY_BOUNDS",
    "LIST_CHECKS",
    "LIST_KINDS",
    "LIST_SPANS",
    "SLOWER",
    "ListEvent",
    "back_keys",
    "cause_with_lists",
    "latency_kind",
    "list_kind",
]


class ListEvent(StrEnum):
    """The events about one list of one setting."""

    QUERIES = "queries"
    """Strangers that the list was queried about."""
    LISTED = "listed"
    """Those that it lists, with a return code that an entry of the setting accepts."""
    ALONE = "alone"
    """Those whose verdict would have been the other one without its answer (core.policy.decisive_lists)."""
    BACK = "back"
    """Mails that were deferred by this list alone, and passed after their wait."""
    ERRORS = "errors"
    """Queries without a conclusive answer."""


LIST_CHECKS = {Check.DNSBL: "dnsbls", Check.DOMAIN_LIST: "domain_lists", Check.DNSWL: "dnswls"}
"""The checks of DNS lists, each with its setting."""

LATENCY_BOUNDS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000)
"""Milliseconds. A resolver of one's own needs ten for a list nearby; a list on another continent, some hundred."""

_LATENCY = "list-ms-"

SLOWER = f"{_LATENCY}slower"
"""The kind of count of an answer that took longer than all bounds."""


@cache
def list_kind(check: Check, event: ListEvent) -> str:
    """Return the kind of count of this event, for the lists of this check."""
    return f"{check.value}-{event.value}"


def latency_kind(seconds: float) -> str:
    """Return the kind of count of an answer that took so long."""
    place = bisect_left(LATENCY_BOUNDS, 1000 * seconds)
    return f"{_LATENCY}{LATENCY_BOUNDS[place]}" if place < len(LATENCY_BOUNDS) else SLOWER


LIST_KINDS = frozenset(
    {list_kind(check, event) for check in LIST_CHECKS for event in ListEvent}
    | {f"{_LATENCY}{bound}" for bound in LATENCY_BOUNDS}
    | {SLOWER}
)
"""All kinds of counts whose name is a DNS list: 25, of which some eight of a list are in use."""

LIST_SPANS = {600: timedelta(days=2), 28_800: timedelta(days=32), 604_800: timedelta(days=400)}
"""The spans of these counts, as store.engine.SPANS: ten minutes, eight hours and a week, each with its lifetime.

A range is summed from its span, without slots. With eight kinds for each of six lists, a day has 7,000 rows, 28 days
4,000 and a year 3,000. With the minutes and hours of the other counts, a year would have 880,000 rows instead of
460,000, and take 880 ms instead of 410.
"""


_OF_REASON = {
    Reason.DNSBL.value: Check.DNSBL,
    Reason.DOMAIN_LIST.value: Check.DOMAIN_LIST,
    Reason.FRESH_DOMAIN.value: Check.DOMAIN_LIST,
}
"""The check whose lists stand in a cause without its name, by reason."""


def cause_with_lists(cause: str, lists: Iterable[tuple[Check, str]]) -> str:
    """Return the cause of a record (greylist.Record.cause) with the DNS lists that alone have deferred it.

    Lists of another check than that of the reason stand there as `check:name`. A name for which there is no room is
    left out: one always fits, since a zone has at most 189 characters.
    """
    for check, name in lists:
        word = name if check is _OF_REASON.get(cause.partition(" ")[0]) else f"{check}:{name}"
        if len(longer := f"{cause} {word}") <= LONGEST_CAUSE:
            cause = longer
    return cause


def back_keys(cause: str) -> Iterator[tuple[str, str]]:
    """Yield kind and name of the counts of a mail that came back, whose record has this cause."""
    reason, _, words = cause.partition(" ")
    if own := _OF_REASON.get(reason):
        for word in words.split():
            other, _, name = word.rpartition(":")
            check = next((check for check in LIST_CHECKS if check.value == other), own)
            yield list_kind(check, ListEvent.BACK), name
