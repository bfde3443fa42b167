"""How fast counters grow that are looked at now and then."""

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

__all__ = ["Rates"]

_Key = TypeVar("_Key", bound=Hashable)


class Rates(Generic[_Key]):
    """Remembers what was seen in the last `longest_seconds`, and one look before."""

    def __init__(self, longest_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._looks: deque[tuple[float, Mapping[_Key, float]]] = deque()

    def add(self, seconds: float, counters: Mapping[_Key, float]) -> None:
        """The counters at this time of a clock that only goes forward. One that falls was started anew: so is this."""
        if self._looks and any(counters.get(key, 0) < value for key, value in self._looks[-1][1].items()):
            self._looks.clear()
        self._looks.append((seconds, counters))
        while len(self._looks) > 2 and self._looks[1][0] <= seconds - self._longest_seconds:
            self._looks.popleft()

    def over(self, seconds: float) -> Mapping[_Key, float]:
        """How much each grew in a second, over the last so many, or as long as is known; nothing after one look."""
        if len(self._looks) < 2:
            return {}
        now, counters = self._looks[-1]
        looks = reversed(list(self._looks)[:-1])
        at, before = next((look for look in looks if look[0] <= now - seconds), self._looks[0])
        return {key: (value - before.get(key, 0)) / (now - at) for key, value in counters.items()} if now > at else {}
