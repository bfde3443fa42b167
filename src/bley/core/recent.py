"""A bounded memory of what happened a short time ago."""

from datetime import datetime, timedelta
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Remembers values by key for `valid`, at most `size` of them; the one put in first goes first."""

    def __init__(self, valid: timedelta, size: int) -> None:
        self.valid, self.size = valid, size
        self._values: dict[K, tuple[datetime, V]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K, now: datetime) -> V | None:
        """The value put in less than `valid` before `now`, or None."""
        entry = self._values.get(key)
        if entry is None or now - entry[0] >= self.valid:
            return None
        return entry[1]

    def put(self, key: K, value: V, now: datetime) -> None:
        """Remember `value` from `now` on, in place of what was there."""
        values = self._values
        values.pop(key, None)  # so that the order is that of `now`
        values[key] = (now, value)
        while len(values) > self.size:
            del values[next(iter(values))]

    def clear(self) -> None:
        """Remember nothing."""
        self._values.clear()
