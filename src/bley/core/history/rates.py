"""The rates of counters that are sampled from time to time."""

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

__all__ = ["Rates"]

_Key = TypeVar("_Key", bound=Hashable)


class Rates(Generic[_Key]):
    """The samples of the last `longest_seconds`, and one older sample."""

    def __init__(self, longest_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._samples: deque[tuple[float, Mapping[_Key, float]]] = deque()

    def add(self, seconds: float, counters: Mapping[_Key, float]) -> None:
        """Add a sample; `seconds` is the time of a monotonic clock.

        A counter that falls was reset by a restart, so the earlier samples are deleted.
        """
        if self._samples and any(counters.get(key, 0) < value for key, value in self._samples[-1][1].items()):
            self._samples.clear()
        self._samples.append((seconds, counters))
        while len(self._samples) > 2 and self._samples[1][0] <= seconds - self._longest_seconds:
            self._samples.popleft()

    def over(self, seconds: float) -> Mapping[_Key, float]:
        """Return the rate of each counter per second, over the last `seconds` or over all samples if they are fewer.

        Empty if there is only one sample.
        """
        if len(self._samples) < 2:
            return {}
        now, counters = self._samples[-1]
        earlier = reversed(list(self._samples)[:-1])
        at, before = next((sample for sample in earlier if sample[0] <= now - seconds), self._samples[0])
        return {key: (value - before.get(key, 0)) / (now - at) for key, value in counters.items()} if now > at else {}
