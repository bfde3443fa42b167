"""Known mail, answered from memory: what the store knew, or was told, within the hour."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from sys import getsizeof

from bley.coalescer import Coalescer
from bley.core.caches import GenerationCache
from bley.core.mail import RawRequest, Triplet

__all__ = ["KnownMail"]

_TRIPLETS_FOR_A_REQUEST = 4
"""A request and its line take no more memory than so many triplets."""

_MOST_BYTES = 4096
"""Of a request that is remembered, with its line. Ordinary ones take some 0.7 KB together."""


class KnownMail:
    """Remembers known triplets, and requests just as they came, since to read these costs more than to answer.

    `tell` is given, soon, the requests that were known, all of a tick at once, each with its line in the log as it is
    for every mail, and how many were recognised.
    """

    def __init__(
        self, valid: timedelta, size: int, tell: Callable[[Sequence[tuple[str, RawRequest]], int], None]
    ) -> None:
        self._triplets = GenerationCache[str, bool](valid, size)
        self._lines = GenerationCache[str, str](valid, size // _TRIPLETS_FOR_A_REQUEST)
        """By what decides about a request."""
        self._tell = tell
        self._to_tell: list[tuple[str, RawRequest]] = []
        self._recognised = 0
        self._pacer = Coalescer(self.tell)

    def recognises(self, raw: RawRequest) -> bool:
        """Whether the request was seen just so, and its triplet is known. Then it is told."""
        line = self._lines.get(raw.deciding)
        if line is None:
            return False
        self._recognised += 1
        self.tell_later(line, raw)
        return True

    def tell_later(self, line: str, raw: RawRequest) -> None:
        """It was known, whoever has found that."""
        if not self._to_tell:
            self._pacer.want()
        self._to_tell.append((line, raw))

    def __contains__(self, triplet: Triplet) -> bool:
        """Whether the triplet is known."""
        return self._triplets.get("\n".join(triplet)) is not None

    @property
    def entries(self) -> dict[str, int]:
        """How much is remembered, by memory."""
        return {"triplets": len(self._triplets), "requests": len(self._lines)}

    def add(self, triplet: Triplet, now: datetime) -> None:
        """Remember a triplet."""
        self._triplets.put("\n".join(triplet), True, now)

    def add_request(self, line: str, raw: RawRequest, now: datetime) -> None:
        """Remember a request of a triplet that is remembered: one that comes again and again."""
        if getsizeof(raw.deciding) + getsizeof(line) <= _MOST_BYTES:
            self._lines.put(raw.deciding, line, now)

    def tell(self) -> None:
        """Tell now."""
        told, recognised = self._to_tell, self._recognised
        self._to_tell, self._recognised = [], 0
        if told:
            self._tell(told, recognised)

    def age(self, now: datetime) -> None:
        """Forget what is too old; to be called now and then."""
        self._triplets.age(now)
        self._lines.age(now)

    def forget_requests(self) -> None:
        """The rules change by which a request is known, or told; those that were known are told by the old ones."""
        self.tell()
        self._lines.clear()

    def clear(self) -> None:
        """Remember nothing."""
        self._triplets.clear()
        self._lines.clear()
