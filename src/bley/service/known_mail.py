"""The caches of known mail, which is answered without the store for up to an hour."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from sys import getsizeof

from bley.coalescer import Coalescer
from bley.core.caches import GenerationCache
from bley.core.decision import KnownRequest
from bley.core.history.domain_counts import counted_domains
from bley.core.mail import RawRequest, Triplet
from bley.metrics import CACHE_HITS

__all__ = ["REFRESH", "KnownMail"]

REFRESH = timedelta(hours=1)
"""The least time between two updates of a known triplet's `last_seen`, and the lifetime of its cache entry."""

_TRIPLETS_FOR_A_REQUEST = 4
"""A cached request takes at most as much memory as this many triplets."""

_MOST_BYTES = 4096
"""The most bytes of a cached request with its line and triplet. Ordinary ones take some 0.7 KB together."""


class KnownMail:
    """Caches known triplets, and repeated requests by their unparsed text, since parsing costs more than answering.

    `log` gets the requests answered within a tick, once per tick: each decision, and the mail that it applies to.
    """

    def __init__(self, size: int, log: Callable[[Sequence[tuple[KnownRequest, RawRequest]]], None]) -> None:
        self._triplets = GenerationCache[str, str](REFRESH, size)
        """Each text of a triplet by itself, so that `_requests` can share it."""
        self._requests = GenerationCache[str, KnownRequest](REFRESH, size // _TRIPLETS_FOR_A_REQUEST)
        """By `RawRequest.deciding`."""
        self._log = log
        self._queue: list[tuple[KnownRequest, RawRequest]] = []
        self._hits = 0
        self._coalescer = Coalescer(self.flush)

    def answers(self, raw: RawRequest) -> bool:
        """Return whether a request with the same text is cached; if so, queue this one for the log."""
        known = self._requests.get(raw.deciding)
        if known is None:
            return False
        self._hits += 1
        self._enqueue(known, raw)
        return True

    def _enqueue(self, known: KnownRequest, raw: RawRequest) -> None:
        if not self._queue:
            self._coalescer.schedule()
        self._queue.append((known, raw))

    def flush(self) -> None:
        """Log the queued requests now."""
        queue, self._queue = self._queue, []
        hits, self._hits = self._hits, 0
        if queue:
            CACHE_HITS["requests"].inc(hits)
            self._log(queue)

    def __contains__(self, triplet: Triplet) -> bool:
        """Return whether the triplet is known."""
        return self._triplets.get("\n".join(triplet)) is not None

    def add_triplet(self, triplet: Triplet, now: datetime) -> None:
        """Cache a known triplet."""
        text = "\n".join(triplet)
        self._triplets.put(text, text, now)

    def add_request(self, line: str, triplet: Triplet, raw: RawRequest, now: datetime, section: str = "") -> None:
        """Cache the decision about a request with a cached triplet, and queue the request for the log."""
        text = "\n".join(triplet)
        known = KnownRequest(line, self._triplets.get(text) or text, section, counted_domains(*triplet[1:]))
        if getsizeof(raw.deciding) + getsizeof(line) + getsizeof(text) <= _MOST_BYTES:
            self._requests.put(raw.deciding, known, now)
        self._enqueue(known, raw)

    @property
    def entries(self) -> dict[str, int]:
        """The number of entries, by cache."""
        return {"triplets": len(self._triplets), "requests": len(self._requests)}

    def expire(self, now: datetime) -> None:
        """Remove expired entries. Call it periodically."""
        self._triplets.expire(now)
        self._requests.expire(now)

    def drop_requests(self) -> None:
        """Log the queued requests and empty the cache of requests, whose decisions depend on the settings."""
        self.flush()
        self._requests.clear()

    def clear(self) -> None:
        """Empty both caches."""
        self._triplets.clear()
        self._requests.clear()
