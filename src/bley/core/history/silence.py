"""The silence of a mail server that sends no requests, judged by the pauses that it usually makes."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from bley.core.history.periods import Period

__all__ = ["LEAST_SILENCE", "PAUSES", "Silence", "find_node_silences", "find_silence"]

LEAST_SILENCE = timedelta(hours=2)
"""No shorter silence is remarkable: within it, an hour of the clock with requests may border on the next one."""

PAUSES = Period("", timedelta(days=28), timedelta(hours=1))
"""The period whose pauses are compared: some 700 hours, in which each weekend occurs four times."""

_HOUR = timedelta(hours=1)
_RETIRED = timedelta(days=7)
"""The silence after which a node is no more expected to have requests: it was removed or renamed."""

_FEWEST_HOURS = 24
"""Hours with requests from which the pauses are known."""


class Silence(NamedTuple):
    """A silence since the last request, or for ever (None); `usual`: the longest usual pause, None if not known."""

    since: datetime | None
    usual: timedelta | None = None
    length: timedelta | None = None
    node: str = ""
    """The node whose mail server is silent, while another node has requests; empty: all are silent."""


def find_silence(hours: Collection[int], last: datetime | None, now: datetime) -> Silence | None:
    """Return the silence, if it is remarkable.

    `hours`: the starts of the hours with requests (seconds since 1970 UTC) within PAUSES. `last`: the last request, if
    it is stored. A usual pause is the second longest one: the longest may be an outage.
    """
    starts = [datetime.fromtimestamp(start, now.tzinfo) for start in sorted(hours)]
    if last is None and starts:
        last = starts[-1] + _HOUR
    if last is None:
        return Silence(None)
    if len(starts) < _FEWEST_HOURS:
        return None
    pauses = sorted((later - earlier - _HOUR for earlier, later in pairwise(starts)), reverse=True)
    usual, length = pauses[1], now - last
    return Silence(last, usual, length) if length >= usual + max(LEAST_SILENCE, usual / 2) else None


def find_node_silences(hours: Mapping[str, Collection[int]], now: datetime) -> Iterator[Silence]:
    """Yield the remarkable silences of single nodes, as `find_silence` does; none if only one node is known.

    `hours`: for each node the starts of its hours with requests. So the silence begins an hour late at most.
    """
    for node, starts in sorted(hours.items()) if len(hours) > 1 else ():
        silence = find_silence(starts, None, now)
        if silence and silence.length and silence.length < _RETIRED:
            yield silence._replace(node=node)
