"""The remarkable silences of the mail servers: of all nodes, or of one of several."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from bley.core.history.nodes import REQUEST_KINDS
from bley.core.history.search import StoredDecision
from bley.core.history.silence import LEAST_SILENCE, PAUSES, Silence, find_node_silences, find_silence
from bley.core.reasons import Reason
from bley.store.history import History

__all__ = ["SilenceWatch"]

_FRESH = timedelta(minutes=5)
"""The time for which the hours of the nodes are cached: short compared with LEAST_SILENCE."""


class SilenceWatch:
    """Finds silences. It caches the hours in which each node had requests."""

    def __init__(self) -> None:
        self._hours: Mapping[str, Collection[int]] = {}
        self._read_at: datetime | None = None

    async def find(self, history: History, latest: Sequence[StoredDecision], now: datetime) -> list[Silence]:
        """Return the silences that are remarkable: that of all nodes, else those of single ones.

        `latest`: the latest decisions. The pauses are read only after two hours without a request, and those of the
        nodes every five minutes. Raises StoreError.
        """
        requests = [each for each in latest if each.reason != Reason.RELEASED]
        if not requests or now - requests[0].at >= LEAST_SILENCE:
            hours = {count.start for count in await history.counts(PAUSES, now)}
            if silence := find_silence(hours, requests[0].at if requests else None, now):
                return [silence]
        if self._read_at is None or not timedelta(0) <= now - self._read_at < _FRESH:
            self._hours, self._read_at = await _node_hours(history, now), now
        active = {each.node for each in requests if now - each.at < LEAST_SILENCE}
        return [each for each in find_node_silences(self._hours, now) if each.node not in active]


async def _node_hours(history: History, now: datetime) -> Mapping[str, Collection[int]]:
    hours: defaultdict[str, set[int]] = defaultdict(set)
    for count in await history.counts(PAUSES, now, REQUEST_KINDS):
        hours[count.name].add(count.start)
    return hours
