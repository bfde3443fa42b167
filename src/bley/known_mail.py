"""Known mail, answered from memory: what the store knew, or was told, within the hour."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bley.core.mail import Request, Triplet
from bley.core.recent import RecentKeys
from bley.pacing import Pacer

__all__ = ["KnownMail"]

_DECIDING = Request._fields.index("recipient") + 1
"""The first attributes of a request are those that steps 1 to 5 look at, and HELO, which makes no difference."""


class KnownMail:
    """Remembers known triplets, and requests just as they came, since to normalise these costs more than to answer.

    `tell` is given, soon, the requests that were known, all of a tick at once, and how many were recognised.
    """

    def __init__(self, valid: timedelta, size: int, tell: Callable[[Sequence[Request], int], None]) -> None:
        self._triplets, self._requests = RecentKeys(valid, size), RecentKeys(valid, size)
        self._tell = tell
        self._to_tell: list[Request] = []
        self._recognised = 0
        self._pacer = Pacer(self.tell)

    def recognises(self, request: Request) -> bool:
        """Whether the request was seen just so, and its triplet is known. Then it is told."""
        if "\n".join(request[:_DECIDING]) not in self._requests:
            return False
        self._recognised += 1
        self.tell_later(request)
        return True

    def tell_later(self, request: Request) -> None:
        """It was known, whoever has found that."""
        if not self._to_tell:
            self._pacer.want()
        self._to_tell.append(request)

    def __contains__(self, triplet: Triplet) -> bool:
        """Whether the triplet is known."""
        return "\n".join(triplet) in self._triplets

    @property
    def entries(self) -> dict[str, int]:
        """How much is remembered, by memory."""
        return {"triplets": len(self._triplets), "requests": len(self._requests)}

    def add(self, triplet: Triplet, now: datetime) -> None:
        """Remember a triplet."""
        self._triplets.add("\n".join(triplet), now)

    def add_request(self, request: Request, now: datetime) -> None:
        """Remember a request just as it came, of a triplet that is remembered: one that comes again and again."""
        self._requests.add("\n".join(request[:_DECIDING]), now)

    def tell(self) -> None:
        """Tell now."""
        requests, recognised = self._to_tell, self._recognised
        self._to_tell, self._recognised = [], 0
        if requests:
            self._tell(requests, recognised)

    def age(self, now: datetime) -> None:
        """Forget what is too old; to be called now and then."""
        for memory in (self._triplets, self._requests):
            memory.age(now)

    def forget_requests(self) -> None:
        """The rules have changed by which a request is known."""
        self._requests.clear()

    def clear(self) -> None:
        """Remember nothing."""
        self._triplets.clear()
        self._requests.clear()
