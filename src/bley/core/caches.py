"""Bounded caches with a time limit.

Their instants come from the monotonic clock (`ports.steady_now`), so that setting the system clock back keeps no entry
longer. If the clock given does run backwards, entries from its future are dropped.
"""

from datetime import datetime, timedelta
from typing import Generic, TypeVar

__all__ = ["ExpiringCache", "GenerationCache"]

K = TypeVar("K")
V = TypeVar("V")

_NO_TIME = timedelta(0)


class ExpiringCache(Generic[K, V]):
    """Values by key, each valid for `valid`; at most `size` of them.

    Two generations: when the younger one is full or too old, the older one is evicted as a whole. So no value stays
    in memory long after it has expired.
    """

    def __init__(self, valid: timedelta, size: int) -> None:
        self.valid, self._half = valid, size // 2
        self._young: dict[K, tuple[datetime, V]] = {}
        self._old: dict[K, tuple[datetime, V]] = {}
        self._begun: datetime | None = None

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K, now: datetime) -> V | None:
        """Return the value stored less than `valid` before `now`, or None."""
        entry = self._young.get(key) or self._old.get(key)
        if entry is None or not _NO_TIME <= now - entry[0] < self.valid:
            return None
        return entry[1]

    def put(self, key: K, value: V, now: datetime) -> None:
        """Store `value` at `now`, replacing any other."""
        is_over = self._begun is None or not _NO_TIME <= now - self._begun < self.valid
        if is_over or len(self._young) >= self._half:
            self._young, self._old, self._begun = {}, self._young, now
        if self._half:
            self._young[key] = (now, value)

    def clear(self) -> None:
        """Remove all entries."""
        self._young, self._old = {}, {}


class GenerationCache(Generic[K, V]):
    """Values by key, each cached for at most `valid`, and for at least half of that if `size` allows.

    Two generations, of which the older one is evicted as a whole. So entries need no time stamps of their own.
    """

    def __init__(self, valid: timedelta, size: int) -> None:
        self._half, self._size = valid / 2, size // 2
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._begun: datetime | None = None

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """Return the cached value, or None. Values expire only when `put` or `expire` is called."""
        return self._young.get(key) or self._old.get(key)

    def put(self, key: K, value: V, now: datetime) -> None:
        """Store `value`, which must be true, at `now`, replacing any other."""
        self.expire(now)
        if len(self._young) >= self._size:
            self._turn(now)
        if self._size:
            self._young[key] = value

    def expire(self, now: datetime) -> None:
        """Remove expired entries. Call it periodically."""
        if self._begun is None or not _NO_TIME <= now - self._begun < 2 * self._half:
            self.clear()
            self._begun = now
        elif now - self._begun >= self._half:
            self._turn(now)

    def _turn(self, now: datetime) -> None:
        self._young, self._old, self._begun = {}, self._young, now

    def clear(self) -> None:
        """Remove all entries."""
        self._young, self._old = {}, {}
